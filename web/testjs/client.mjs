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

/** A clock that stands still unless it is moved, and the middle of all random numbers. */
export function stopClock(t, random = 0.5) {
  t.mock.timers.enable({apis: ["setTimeout", "Date"], now: Date.now()});
  t.mock.method(Math, "random", () => random);
  return {
    async move(ms) {
      t.mock.timers.tick(ms);
      await settle();
    },
  };
}
