// Opens a stream and notes what it reports.

import {setImmediate} from "node:timers/promises";
import {openStream} from "../eventstream.js";

export function open(t, url, options = {}) {
  const seen = {events: [], states: [], problems: [], attempts: 0};
  const waiting = new Set();
  const note = (list, handler) => (value) => {
    list.push(value);
    for (const check of waiting) check();
    return handler?.(value);
  };
  const fetch = options.fetch ?? globalThis.fetch;
  const stream = openStream(url, {
    ...options,
    fetch: (...request) => (seen.attempts++, fetch(...request)),
    onEvent: note(seen.events, options.onEvent),
    onState: note(seen.states, options.onState),
    onProblem: note(seen.problems, options.onProblem),
  });
  t.after(() => stream.close());
  /** Waits for a condition that a report makes true. */
  seen.until = (condition) => new Promise((done) => {
    const check = () => condition() && (waiting.delete(check), done());
    waiting.add(check);
    check();
  });
  seen.state = (state) => seen.until(() => seen.states.at(-1) === state);
  seen.data = () => seen.events.map((event) => event.data);
  return Object.assign(stream, {seen});
}

/** Lets everything run that needs no time and no network. */
export async function settle() {
  for (let i = 0; i < 5; i++) await setImmediate();
}

/**
 * A clock that stands still unless it is moved, and random numbers that are all
 * the same. Node's own fetch keeps its real timers.
 */
export function stopClock(t, random = 0.5) {
  const real = {setTimeout, clearTimeout, now: Date.now};
  const timers = new Set();
  let now = Math.floor(Date.now() / 1000) * 1000; // as Retry-After can name it
  let slept = 0;
  globalThis.setTimeout = (call, ms, ...more) => {
    if (new Error().stack.includes("undici")) return real.setTimeout(call, ms, ...more);
    const timer = {call, at: now + ms};
    timers.add(timer);
    return timer;
  };
  globalThis.clearTimeout = (timer) => timers.delete(timer) || real.clearTimeout(timer);
  Date.now = () => now + slept;
  t.mock.method(Math, "random", () => random);
  t.after(() => {
    Object.assign(globalThis, {setTimeout: real.setTimeout, clearTimeout: real.clearTimeout});
    Date.now = real.now;
  });
  return {
    async move(ms) {
      const end = now + ms;
      for (;;) {
        const [next] = [...timers].sort((a, b) => a.at - b.at);
        if (!next || next.at > end) break;
        timers.delete(next);
        now = Math.max(now, next.at);
        next.call();
        await settle();
      }
      now = end;
      await settle();
    },
    /** What Date shows moves on, and no timer. */
    sleep(ms) {
      slept += ms;
    },
  };
}

/** Makes the global object look like a page's, which can be shown and hidden. */
export function fakePage(t) {
  const events = new EventTarget();
  const document = Object.assign(new EventTarget(), {visibilityState: "visible"});
  globalThis.addEventListener = events.addEventListener.bind(events);
  globalThis.document = document;
  t.after(() => {
    delete globalThis.addEventListener;
    delete globalThis.document;
  });
  return {
    dispatch: (type) => events.dispatchEvent(new Event(type)),
    set visibility(state) {
      document.visibilityState = state;
      document.dispatchEvent(new Event("visibilitychange"));
    },
  };
}

/** A promise and what resolves it. */
export function later() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return {promise, resolve};
}

/** A fetch that counts the bytes of each response that the stream reads, in bytes.count. */
export function countBytes(bytes) {
  return async (url, init) => {
    const response = await fetch(url, init);
    const body = response.body.pipeThrough(new TransformStream({
      transform(chunk, controller) {
        controller.enqueue(chunk);
        bytes.count += chunk.length;
      },
    }));
    return new Response(body, response);
  };
}
