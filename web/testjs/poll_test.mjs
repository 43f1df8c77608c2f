import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {fakePage, open, settle, stopClock} from "./client.mjs";
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
