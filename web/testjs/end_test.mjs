import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {openStream} from "../eventstream.js";
import {fakePage, open, settle} from "./client.mjs";
import {startServer} from "./server.mjs";

describe("handlers", () => {
  test("are called after openStream has returned, and in order", async (t) => {
    const server = await startServer(t);
    const calls = [];
    let returned = false;
    const stream = openStream(server.url, {
      onState: (state) => calls.push(`${returned} ${state} ${stream.state}`),
      onEvent: ({data}) => calls.push(`${data} ${stream.state} ${stream.lastEventId}`),
    });
    returned = true;
    assert.equal(stream.state, "connecting");
    const first = await server.next();
    first.stream().send("retry: 1\nid: 1\ndata: a\n\nid: 2\ndata: b\n\n");
    first.end();
    const second = await server.next();
    second.stream();
    second.end();
    (await server.next()).answer("204 No Content");
    while (stream.state !== "closed") await settle();
    assert.deepEqual(calls, ["true connecting connecting", "true open open", "a open 1", "b open 2", "true reconnecting reconnecting",
      "true open open", "true reconnecting reconnecting", "true closed closed"]);
  });

  test("that throw or reject do not break the stream", async (t) => {
    const server = await startServer(t);
    const errors = t.mock.method(console, "error", () => {});
    const fault = () => { throw new Error("mine"); };
    const stream = open(t, server.url, {onState: fault, onProblem: async () => fault(), onEvent: fault});
    (await server.next()).answer("500 Internal Server Error", {"Retry-After": "0.001"});
    const second = await server.next();
    second.stream().send("retry: 1\ndata: a\n\ndata: b\n\n");
    second.end();
    (await server.next()).answer("204 No Content");
    await stream.seen.state("closed");
    assert.deepEqual(stream.seen.data(), ["a", "b"]);
    await settle();
    assert.equal(errors.mock.callCount(), 2 + 1 + 5); // events, problem, states
  });

  test("that throw do not end a process of Deno or Bun, whose reportError does", async (t) => {
    const server = await startServer(t);
    const errors = t.mock.method(console, "error", () => {});
    globalThis.reportError = t.mock.fn();
    t.after(() => delete globalThis.reportError);
    const stream = open(t, server.url, {onEvent: () => { throw new Error("mine"); }});
    (await server.next()).stream().send("data: a\n\n");
    await stream.seen.until(() => stream.seen.events.length === 1);
    await settle();
    assert.deepEqual([errors.mock.callCount(), globalThis.reportError.mock.callCount()], [1, 0]);
  });

  test("that throw are reported to a page as every error is", async (t) => {
    fakePage(t);
    const server = await startServer(t);
    globalThis.reportError = t.mock.fn();
    t.after(() => delete globalThis.reportError);
    const stream = open(t, server.url, {onEvent: () => { throw new Error("mine"); }});
    (await server.next()).stream().send("data: a\n\n");
    await stream.seen.until(() => stream.seen.events.length === 1);
    await settle();
    assert.equal(globalThis.reportError.mock.calls[0].arguments[0].message, "mine");
  });

  const closers = {
    onEvent: "data: a\n\ndata: b\n\n",
    onState: "data: a\n\n",
    onProblem: null,
  };
  for (const [name, answer] of Object.entries(closers)) {
    test(`close from inside ${name} stops everything`, async (t) => {
      const server = await startServer(t);
      const handler = (value) => (name !== "onState" || value === "open") && stream.close();
      const stream = open(t, server.url, {[name]: handler});
      const request = await server.next();
      if (answer) request.stream().send(answer);
      else request.answer("500 Internal Server Error");
      await stream.seen.state("closed");
      await request.gone;
      await settle();
      assert.deepEqual(stream.seen.states, name === "onProblem" ? ["connecting", "closed"] : ["connecting", "open", "closed"]);
      assert.deepEqual(stream.seen.data(), name === "onEvent" ? ["a"] : []);
      assert.equal(server.unanswered(), 0);
    });
  }
});

describe("the end", () => {
  const finals = ["400 Bad Request", "403 Forbidden", "404 Not Found", "410 Gone", "422 Unprocessable Entity"];
  const passing = ["401 Unauthorized", "408 Request Timeout", "425 Too Early", "429 Too Many Requests", "500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "304 Not Modified"];
  for (const status of finals) {
    test(`at ${status}`, async (t) => {
      const server = await startServer(t);
      const stream = open(t, server.url);
      (await server.next()).answer(status, {"Content-Type": "text/html"}, "<p>no</p>");
      await stream.seen.state("closed");
      assert.deepEqual(stream.seen.states, ["connecting", "closed"]);
      assert.deepEqual(stream.seen.problems, [{title: status.slice(4), status: Number(status.slice(0, 3))}]);
    });
  }
  for (const status of passing) {
    test(`not at ${status}`, async (t) => {
      const server = await startServer(t);
      const stream = open(t, server.url);
      (await server.next()).answer(status, {"Retry-After": "0.001"});
      const second = await server.next();
      assert.deepEqual(stream.seen.problems, [{title: status.slice(4), status: Number(status.slice(0, 3))}]);
      second.stream();
      await stream.seen.state("open");
    });
  }

  test("at 204, without a problem", async (t) => {
    const server = await startServer(t);
    const stream = open(t, server.url);
    (await server.next()).answer("204 No Content");
    await stream.seen.state("closed");
    assert.deepEqual([stream.seen.states, stream.seen.problems], [["connecting", "closed"], []]);
  });

  test("after the event named by until", async (t) => {
    const server = await startServer(t);
    const stream = open(t, server.url, {until: "done"});
    const request = await server.next();
    request.stream().send("data: done\n\nid: 9\nevent: done\ndata: a\n\ndata: b\n\n");
    await request.gone;
    assert.deepEqual(stream.seen.data(), ["done", "a"]);
    assert.deepEqual([stream.state, stream.lastEventId], ["closed", "9"]);
  });

  test("at close and when the signal aborts, whatever goes on", async (t) => {
    const server = await startServer(t);
    for (const end of ["close", "abort"]) {
      const phases = {
        connecting: async () => (await server.next()).gone,
        open: async () => {
          const request = await server.next();
          request.stream().send("data: a\n\n");
          await stream.seen.until(() => stream.seen.events.length);
          return request.gone;
        },
        reconnecting: async () => {
          (await server.next()).answer("503 Service Unavailable");
          await stream.seen.state("reconnecting");
        },
      };
      let stream;
      for (const [state, phase] of Object.entries(phases)) {
        const controller = new AbortController();
        stream = open(t, server.url, {signal: controller.signal});
        const gone = phase();
        if (state !== "connecting") await stream.seen.state(state);
        else await stream.seen.until(() => stream.seen.states.length).then(settle);
        await settle();
        if (end === "close") stream.close();
        else controller.abort();
        assert.equal(stream.state, "closed");
        assert.equal(stream.seen.states.at(-1), "closed");
        stream.close();
        await gone;
      }
    }
    assert.equal(server.unanswered(), 0);
  });

  test("while a chunk is on its way from a fetch that heeds no signal", async (t) => {
    let source;
    const body = new ReadableStream({start: (controller) => (source = controller)});
    const stream = open(t, "http://a/", {fetch: async () => new Response(body, {headers: {"Content-Type": "text/event-stream"}})});
    await stream.seen.state("open");
    stream.close();
    source.enqueue(new TextEncoder().encode("id: 1\ndata: a\n\n"));
    await settle();
    assert.deepEqual([stream.seen.events, stream.seen.states, stream.lastEventId], [[], ["connecting", "open", "closed"], ""]);
  });

  test("before the beginning", async (t) => {
    const closed = open(t, "http://a/");
    closed.close();
    await settle();
    assert.deepEqual([closed.seen.states, closed.seen.attempts], [["closed"], 0]);
    const aborted = open(t, "http://a/", {signal: AbortSignal.abort()});
    await settle();
    assert.deepEqual([aborted.seen.states, aborted.seen.attempts], [["closed"], 0]);
  });
});
