import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {fakePage, later, open, settle, stopClock} from "./client.mjs";
import {startServer} from "./server.mjs";

const query = (request) => new URL(request.path, "http://a").searchParams;

/** Lets two connections die without a byte, and returns the first poll. */
async function toPolling(clock, server, stream, {heartbeat = 1000, head} = {}) {
  for (const [i, pause] of [3000, 1].entries()) {
    const request = await server.next();
    if (head) {
      request.stream(head);
      await stream.seen.until(() => stream.seen.states.filter((state) => state === "open").length === i + 1);
    }
    await clock.move(3 * heartbeat);
    await stream.seen.until(() => stream.seen.problems.length === i + 1);
    await settle();
    await clock.move(pause);
  }
  return server.next();
}

describe("behind a proxy that buffers", () => {
  test("polls, with the last id, and the state is open meanwhile", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, `${server.url}/s?replay=5`, {heartbeat: 1000});
    const first = await toPolling(clock, server, stream);
    assert.deepEqual([...query(first)], [["replay", "5"], ["wait", "2000"]]);
    assert.equal("last-event-id" in first.headers, false);
    first.stream({"Last-Event-ID": "6"}).send("retry: 50\nid: 7\ndata: a\n\n");
    first.end();
    for (let i = 8; i < 12; i++) {
      const poll = await server.next(); // at once: the clock stands still
      assert.equal(poll.headers["last-event-id"], String(i - 1));
      assert.equal(query(poll).get("wait"), "2000");
      poll.stream().send(`id: ${i}\ndata: b\n\nid: ${i + 1}\ndata: cut`);
      poll.end();
    }
    await server.next();
    assert.deepEqual(stream.seen.states, ["connecting", "reconnecting", "open"]);
    assert.deepEqual(stream.seen.data(), ["a", "b", "b", "b", "b"]);
  });

  test("a visit to the back/forward cache between two silent connections changes nothing", async (t) => {
    const clock = stopClock(t);
    const page = fakePage(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 1000});
    await server.next();
    await clock.move(3000);
    await stream.seen.until(() => stream.seen.problems.length === 1);
    await settle();
    await clock.move(3000);
    await server.next();
    page.dispatch("pagehide");
    await settle();
    page.dispatch("pageshow");
    await server.next();
    await clock.move(3000);
    await stream.seen.until(() => stream.seen.problems.length === 2);
    await settle();
    await clock.move(1);
    assert.equal(query(await server.next()).get("wait"), "2000");
  });

  test("a first poll that is empty says where the next begins", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 1000});
    const first = await toPolling(clock, server, stream);
    await clock.move(2000);
    first.stream({"Last-Event-ID": "6"}).send("retry: 50\n");
    first.end();
    const second = await server.next();
    assert.equal(second.headers["last-event-id"], "6");
    assert.deepEqual(stream.seen.states, ["connecting", "reconnecting", "open"]);
  });

  test("that passes the head on keeps the position that it names", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url);
    const head = {"SSE-Heartbeat": "1000", "Last-Event-ID": "6"};
    const poll = await toPolling(clock, server, stream, {head});
    assert.deepEqual([query(poll).get("wait"), poll.headers["last-event-id"]], ["2000", "6"]);
  });

  test("asks for whole milliseconds, which is all that a server takes", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 1000.2});
    assert.equal(query(await toPolling(clock, server, stream, {heartbeat: 1000.2})).get("wait"), "2001");
  });

  test("a poll takes 25 s at most", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 15_000});
    const poll = await toPolling(clock, server, stream, {heartbeat: 15_000});
    assert.equal(query(poll).get("wait"), "25000");
  });

  test("after a poll that is empty and early the next waits, and the state remains open", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 1000});
    const first = await toPolling(clock, server, stream);
    await clock.move(1000);
    first.stream({"Last-Event-ID": "6"}).send("retry: 50\n");
    await stream.seen.state("open");
    while (stream.lastEventId !== "6") await settle();
    first.end();
    await settle();
    assert.equal(stream.seen.attempts, 3);
    while (stream.seen.attempts === 3) await clock.move(50);
    assert.equal(query(await server.next()).get("wait"), "2000");
    assert.deepEqual(stream.seen.states, ["connecting", "reconnecting", "open"]);
  });

  test("a server that is busy is not asked again at once", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 1000});
    const first = await toPolling(clock, server, stream);
    first.stream().send("retry: 30000\nevent: busy\ndata: {}\n\n");
    first.end();
    await stream.seen.until(() => stream.seen.events.length === 1);
    for (let s = 0; s < 29; s++) await clock.move(1000);
    assert.equal(stream.seen.attempts, 3);
    while (stream.seen.attempts === 3) await clock.move(1000);
  });

  test("after a poll that brings an event without an id the next follows after 100 ms, and the state remains open", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    let ended = later();
    const fetch = async (...request) => {
      const response = await globalThis.fetch(...request);
      return new Response(response.body.pipeThrough(new TransformStream({flush: () => ended.resolve()})), response);
    };
    const stream = open(t, server.url, {heartbeat: 1000, fetch});
    let poll = await toPolling(clock, server, stream);
    for (let attempts = 3; attempts < 6; attempts++) {
      poll.stream().send("data: a\n\n");
      poll.end();
      await ended.promise;
      ended = later();
      await settle();
      await clock.move(99);
      assert.equal(stream.seen.attempts, attempts);
      await clock.move(1);
      assert.equal(stream.seen.attempts, attempts + 1);
      poll = await server.next();
    }
    assert.deepEqual(stream.seen.states, ["connecting", "reconnecting", "open"]);
  });

  test("a poll that fails is a failed attempt", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 1000});
    const first = await toPolling(clock, server, stream);
    first.answer("502 Bad Gateway", {"Retry-After": "1"});
    await stream.seen.until(() => stream.seen.problems.length === 3);
    await clock.move(1250);
    const second = await server.next();
    assert.equal(query(second).get("wait"), "2000");
    second.stream();
    await stream.seen.state("open");
    second.cut();
    await stream.seen.state("reconnecting");
  });

  test("a poll that begins long before it ends shows that nothing buffers any more", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 1000});
    const first = await toPolling(clock, server, stream);
    first.stream().send("retry: 50\ndata: now\n\n");
    await stream.seen.until(() => stream.seen.events.length === 1);
    await clock.move(2000);
    first.send("id: 1\ndata: a\n\n");
    first.end();
    const next = await server.next();
    assert.deepEqual([[...query(next)], next.headers["last-event-id"]], [[], "1"]);
  });

  test("a server that names a shorter heartbeat is asked for shorter polls, which end before they count as dead", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 15_000});
    const first = await toPolling(clock, server, stream, {heartbeat: 15_000});
    first.stream({"SSE-Heartbeat": "1000"}).send("id: 1\ndata: a\n\n");
    first.end();
    assert.equal(query(await server.next()).get("wait"), "2000");
  });
});

describe("while it polls, it tries a plain stream", () => {
  const minute = 60_000;

  /** Answers a poll after ms - 1, and the next after ms; returns the request after them. */
  async function afterPolls(ms, clock, server, request) {
    for (const pause of [ms - 1, 1]) {
      clock.sleep(pause);
      assert.equal(query(request).get("wait"), "25000");
      const id = Number(request.headers["last-event-id"] ?? 0) + 1;
      request.stream().send(`id: ${id}\ndata: ${id}\n\n`);
      request.end();
      request = await server.next(); // at once: the clock stands still
    }
    return request;
  }

  /** Opens a stream that polls, and returns it with its first trial. */
  async function toTrial(t, clock, server) {
    const stream = open(t, server.url, {heartbeat: 15_000});
    const first = await toPolling(clock, server, stream, {heartbeat: 15_000}); // has polled for 1 ms
    return {stream, trial: await afterPolls(minute - 1, clock, server, first)};
  }

  test("after 1, 2, 4 … 60 minutes, for 5 s, and neither tells nor loses anything by it", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    let {stream, trial} = await toTrial(t, clock, server);
    for (const [i, minutes] of [2, 4, 8, 16, 32, 60, 60].entries()) {
      assert.deepEqual([[...query(trial)], trial.headers["last-event-id"]], [[], String(2 * i + 2)]);
      if (i % 2) trial.stream(); // the head may come, too
      await settle();
      await clock.move(4_999);
      assert.equal(server.unanswered(), 0);
      await clock.move(1);
      await trial.gone;
      trial = await afterPolls(minutes * minute, clock, server, await server.next());
    }
    assert.deepEqual(stream.seen.states, ["connecting", "reconnecting", "open"]);
    assert.equal(stream.seen.problems.length, 2);
    assert.deepEqual(stream.seen.data(), Array.from({length: 16}, (_, i) => String(i + 1)));
  });

  test("and stays with it if it brings a byte", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const {stream, trial} = await toTrial(t, clock, server);
    await clock.move(4_999);
    trial.stream().send("retry: 100\nid: 3\ndata: 3\n\n");
    await stream.seen.until(() => stream.seen.events.length === 3);
    await clock.move(44_999);
    trial.send("id: 4\ndata: 4\n\n");
    await stream.seen.until(() => stream.seen.events.length === 4);
    assert.deepEqual([stream.seen.problems.length, stream.state], [2, "open"]);
    trial.cut();
    await stream.seen.state("reconnecting");
    await settle();
    await clock.move(100);
    const next = await server.next();
    assert.deepEqual([[...query(next)], next.headers["last-event-id"]], [[], "4"]);
    await clock.move(44_999); // no trial any more: silence is what it was before
    assert.equal(server.unanswered(), 0);
    assert.equal(stream.seen.problems.length, 3);
    await clock.move(1); // silent for the first time, and for the second
    await stream.seen.until(() => stream.seen.problems.length === 4);
    await settle();
    await clock.move(200);
    await server.next();
    await clock.move(45_000);
    await stream.seen.until(() => stream.seen.problems.length === 5);
    await settle();
    await clock.move(1);
    const second = await afterPolls(2 * minute - 1, clock, server, await server.next());
    assert.equal(second.headers["last-event-id"], "6");
    assert.deepEqual([...query(second)], [], "a trial after twice the time");
  });

  test("and polls again, after the usual delay, if it fails otherwise", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const {stream, trial} = await toTrial(t, clock, server);
    trial.answer("502 Bad Gateway", {"Retry-After": "1"});
    await stream.seen.state("reconnecting");
    await settle();
    await clock.move(1250);
    const next = await server.next();
    assert.deepEqual([[...query(next)], next.headers["last-event-id"]], [[["wait", "25000"]], "2"]);
  });
});

test("at the Location of a POST, wait is gone when nothing buffers any more", async (t) => {
  const clock = stopClock(t);
  const server = await startServer(t);
  const stream = open(t, server.url, {body: "x"});
  const head = {Location: "/p?id=1", "SSE-Heartbeat": "1000"};
  const poll = await toPolling(clock, server, stream, {head});
  assert.deepEqual([poll.method, poll.path], ["GET", "/p?id=1&wait=2000"]);
  poll.stream(head).send("retry: 50\ndata: now\n\n");
  await stream.seen.until(() => stream.seen.events.length === 1);
  await clock.move(2000);
  poll.send("id: 1\ndata: a\n\n");
  poll.end();
  assert.equal((await server.next()).path, "/p?id=1");
});

describe("what is no buffering", () => {
  test("one silence, or two with another outcome between them", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 1000});
    const outcomes = ["silence", "503", "silence", "cut", "silence", "stream", "silence"];
    for (const [i, outcome] of outcomes.entries()) {
      const request = await server.next();
      assert.deepEqual([...query(request)], []);
      if (outcome === "503") request.answer("503 Service Unavailable");
      else if (outcome === "cut") request.socket.destroy();
      else if (outcome === "stream") {
        request.stream();
        await stream.seen.state("open");
        request.end();
        await stream.seen.until(() => stream.seen.states.at(-1) === "reconnecting");
      } else await clock.move(3000);
      await stream.seen.until(() => stream.seen.problems.length === i + (i < 5 ? 1 : 0));
      await settle();
      while (stream.seen.attempts === i + 1) await clock.move(100);
    }
    assert.deepEqual([...query(await server.next())], []);
  });

  test("silence after a byte has come", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 1000});
    for (let i = 1; i <= 3; i++) {
      const request = await server.next();
      assert.deepEqual([...query(request)], []);
      request.stream().send("data: a\n\n");
      await stream.seen.until(() => stream.seen.events.length === i);
      await clock.move(3000);
      await stream.seen.until(() => stream.seen.problems.length === i);
      await settle();
      await clock.move(3000);
    }
  });
});
