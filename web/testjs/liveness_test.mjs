import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {countBytes, open, settle, stopClock} from "./client.mjs";
import {startServer} from "./server.mjs";

describe("silence", () => {
  const table = [
    ["three times SSE-Heartbeat", {"SSE-Heartbeat": "1000"}, {}, 3000],
    ["three times SSE-Heartbeat that was sent twice", {"SSE-Heartbeat": "1000, 1000"}, {}, 3000],
    ["three times heartbeat, if the server names none", {}, {heartbeat: 2000}, 6000],
    ["of the server's heartbeat, if both name one", {"SSE-Heartbeat": "1000"}, {heartbeat: 5000}, 3000],
    ["of heartbeat, if the server's is no number", {"SSE-Heartbeat": "often"}, {heartbeat: 5000}, 15000],
    ["of heartbeat, if the server's is not positive", {"SSE-Heartbeat": "-1"}, {heartbeat: 5000}, 15000],
  ];
  for (const [name, headers, options, limit] of table) {
    test(name, async (t) => {
      const clock = stopClock(t);
      const server = await startServer(t);
      const bytes = {count: 0};
      const stream = open(t, server.url, {...options, fetch: countBytes(bytes)});
      const request = await server.next();
      request.stream(headers);
      await stream.seen.state("open");
      for (const [i, text] of [":", "\n", "data: a"].entries()) { // bytes count, not events
        await clock.move(limit - 1);
        request.send(text);
        while (bytes.count < [1, 2, 9][i]) await settle();
        await settle();
        assert.equal(stream.state, "open");
      }
      await clock.move(limit - 1);
      assert.equal(stream.state, "open");
      await clock.move(1);
      await stream.seen.state("reconnecting");
      await request.gone;
      assert.deepEqual(stream.seen.problems, [{title: "No byte came for three heartbeats", status: 0}]);
      await clock.move(3000);
      await server.next();
    });
  }

  test("is never too long if neither names a time", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url);
    const request = await server.next();
    for (let hour = 0; hour < 3; hour++) await clock.move(3_600_000);
    request.stream();
    await stream.seen.state("open");
    for (let hour = 0; hour < 3; hour++) await clock.move(3_600_000);
    request.send("data: a\n\n");
    await stream.seen.until(() => stream.seen.events.length === 1);
    assert.equal(stream.seen.attempts, 1);
  });

  test("of a request whose head does not come ends with heartbeat", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 1000});
    const request = await server.next();
    await clock.move(2999);
    assert.deepEqual(stream.seen.problems, []);
    await clock.move(1);
    await request.gone;
    await stream.seen.state("reconnecting");
  });

  test("does not bound the caller's functions", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    let type = () => {};
    const token = new Promise((done) => (type = done));
    open(t, server.url, {heartbeat: 1000, headers: async () => ({Authorization: await token})});
    await clock.move(600_000); // a person types
    type("Bearer x");
    assert.equal((await server.next()).headers.authorization, "Bearer x");
  });
});

describe("a sleep of the machine, in which timers stand still", () => {
  const hour = 3_600_000;

  test("ends a connection that has been silent for too long", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 15_000});
    const request = await server.next();
    request.stream().send("retry: 1\ndata: a\n\n");
    await stream.seen.until(() => stream.seen.events.length === 1);
    await clock.move(10);
    clock.sleep(hour);
    await clock.move(5000);
    await request.gone;
    await stream.seen.state("reconnecting");
    await clock.move(1);
    await server.next();
  });

  test("ends a wait that is over by the clock", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url);
    (await server.next()).answer("503 Service Unavailable", {"Retry-After": "600"});
    await stream.seen.state("reconnecting");
    await clock.move(10);
    clock.sleep(hour);
    await clock.move(5000);
    await server.next();
  });

  test("a clock that is set back makes nothing longer", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 15_000});
    const request = await server.next();
    request.stream();
    await stream.seen.state("open");
    clock.sleep(-hour);
    for (let s = 0; s < 45; s++) await clock.move(1000);
    await request.gone;
    await stream.seen.state("reconnecting");
    for (let s = 0; s < 3; s++) await clock.move(1000);
    await server.next();
  });

  test("a page whose timers are throttled keeps a living connection", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {heartbeat: 15_000});
    const request = await server.next();
    request.stream();
    await stream.seen.state("open");
    for (let i = 1; i <= 10; i++) {
      clock.sleep(30_000); // no timer has run
      request.send("data: a\n\n");
      await stream.seen.until(() => stream.seen.events.length === i);
      clock.sleep(30_000);
      await clock.move(2000);
      assert.equal(stream.state, "open");
    }
  });
});
