// What the contract promises of eventstream.js, sentence by sentence. Run it with
// node --test web/eventstream_test.mjs; it takes Node 20 and nothing else.

import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {openStream} from "./eventstream.js";
import {open, settle, stopClock} from "./testjs/client.mjs";
import {startServer} from "./testjs/server.mjs";

const problem422 = {type: "about:blank", title: "Unprocessable Entity", status: 422, detail: "no such interval"};
const problemJSON = {"Content-Type": "application/problem+json"};

/** A response that arrives in exactly these pieces. */
function pieces(...chunks) {
  const body = new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  return new Response(body, {headers: {"Content-Type": "text/event-stream"}});
}

describe("parsing, as WHATWG HTML 9.2.6 says", () => {
  const event = (data, more = {}) => ({id: "", name: "message", data, ...more});
  const table = [
    ["one event", "data: a\n\n", [event("a")]],
    ["CRLF", "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", [event("a\nb"), event("c")]],
    ["CR", "data: a\rdata: b\r\rdata: c\r\r", [event("a\nb"), event("c")]],
    ["all line ends at once", "data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\n\n", [event("a\nb\nc"), event("d")]],
    ["a CR that ends the block, then an LF line", "data: a\r\r\n\ndata: b\n\n", [event("a"), event("b")]],
    ["a byte order mark", "\ufeffdata: a\n\n", [event("a")]],
    ["only the first byte order mark", "\ufeff\ufeffdata: a\n\ndata: b\n\n", [event("b")]],
    ["UTF-8 of four bytes", "data: 🎉é\n\n", [event("🎉é")]],
    ["bytes that are not UTF-8", Buffer.from([...Buffer.from("data: "), 0xff, 0xc3, 0x0a, 0x0a]), [event("\ufffd\ufffd")]],
    ["one space only is dropped", "data:  a\ndata:b\ndata:\tc\n\n", [event(" a\nb\n\tc")]],
    ["a field without a colon", "data\n\ndata\ndata\n\n", [event(""), event("\n")]],
    ["colons in the value", "data: a: b\n\n", [event("a: b")]],
    ["comments and unknown fields", ": hello\ndata: a\n:\nfoo: bar\nData: x\n data: y\n\n", [event("a")]],
    ["a name", "event: tick\ndata: a\n\ndata: b\n\n", [event("a", {name: "tick"}), event("b")]],
    ["a name without data is forgotten", "event: tick\n\ndata: b\n\n", [event("b")]],
    ["an empty name", "event: tick\nevent:\ndata: b\n\n", [event("b")]],
    ["names of properties of objects", "event: __proto__\ndata: a\n\nconstructor: a\n\n", [event("a", {name: "__proto__"})]],
    ["an id stays", "id: 1\ndata: a\n\ndata: b\n\n", [event("a", {id: "1"}), event("b", {id: "1"})], "1"],
    ["an id of a block without data", "id: 1\n\n", [], "1"],
    ["an empty id takes it back", "id: 1\ndata: a\n\nid\ndata: b\n\n", [event("a", {id: "1"}), event("b")], ""],
    ["an id with NUL is ignored", "id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", [event("a", {id: "1"}), event("b", {id: "1"})], "1"],
    ["an unfinished block is dropped", "id: 1\ndata: a\n\nid: 2\ndata: b\n", [event("a", {id: "1"})], "1"],
    ["an unfinished line is dropped", "id: 1\ndata: a\n\nid: 2\ndata: b", [event("a", {id: "1"})], "1"],
    ["an end after CR is an end", "data: a\r\r", [event("a")]],
  ];
  for (const [name, text, events, lastEventId = ""] of table) {
    test(name, async (t) => {
      const bytes = Buffer.from(text);
      const splits = [[bytes], [...bytes].map((byte) => Buffer.from([byte]))];
      for (let i = 1; i < bytes.length; i++) splits.push([bytes.subarray(0, i), Buffer.alloc(0), bytes.subarray(i)]);
      for (const chunks of splits) {
        const stream = open(t, "http://a/", {fetch: async () => pieces(...chunks)});
        await stream.seen.state("reconnecting");
        stream.close();
        assert.deepEqual(stream.seen.events, events, `split as ${chunks.map(String).join("|")}`);
        assert.equal(stream.lastEventId, lastEventId);
      }
    });
  }

  test("retry takes digits only", async (t) => {
    const clock = stopClock(t);
    const table = [["7", 7], ["0", 1], ["", 3000], ["+5", 3000], ["5.5", 3000], ["5 ", 3000], ["٣", 3000], ["007", 7]];
    for (const [value, ms] of table) {
      const stream = open(t, "http://a/", {fetch: async () => pieces(Buffer.from(`retry: ${value}\n`))});
      await stream.seen.state("reconnecting");
      await settle();
      if (ms > 1) await clock.move(ms - 1);
      assert.equal(stream.seen.attempts, 1, `retry: ${value} came early`);
      await clock.move(1);
      assert.equal(stream.seen.attempts, 2, `retry: ${value} came late`);
      stream.close();
    }
  });

  test("a long line in many pieces", async (t) => {
    const piece = Buffer.from("x".repeat(1 << 16));
    const stream = open(t, "http://a/", {fetch: async () => pieces(Buffer.from("data:"), ...new Array(200).fill(piece), Buffer.from("\n\n"))});
    await stream.seen.state("reconnecting");
    assert.equal(stream.seen.events[0].data.length, 200 << 16);
  });
});

describe("the request", () => {
  test("has headers, credentials, Accept and Last-Event-ID", async (t) => {
    const server = await startServer(t);
    let init;
    const fetch = (url, given) => globalThis.fetch(url, (init = given));
    open(t, `${server.url}/a?b=c#d`, {headers: {"X-A": "1"}, lastEventId: "7-1", credentials: "include", fetch});
    const {method, path, headers} = await server.next();
    assert.deepEqual([method, path, headers["x-a"], headers.accept, headers["last-event-id"]], ["GET", "/a?b=c", "1", "text/event-stream", "7-1"]);
    assert.deepEqual([init.credentials, init.cache], ["include", "no-store"]);
  });

  test("an Accept of one's own remains, and no id sends none", async (t) => {
    const server = await startServer(t);
    open(t, new URL(server.url), {headers: [["accept", "text/event-stream, application/problem+json"]]});
    const {headers} = await server.next();
    assert.equal(headers.accept, "text/event-stream, application/problem+json");
    assert.equal("last-event-id" in headers, false);
  });

  test("an id that is not ASCII is sent as UTF-8", async (t) => {
    const server = await startServer(t);
    open(t, server.url, {lastEventId: "é🎉"});
    assert.equal(Buffer.from((await server.next()).headers["last-event-id"], "latin1").toString(), "é🎉");
  });

  test("functions are asked anew for each attempt, also async", async (t) => {
    const server = await startServer(t);
    let n = 0;
    open(t, async () => `${server.url}/${++n}`, {headers: async () => ({"X-N": String(n)}), method: "post", body: () => `body ${n}`});
    for (const want of [1, 2, 3]) {
      const request = await server.next();
      assert.deepEqual([request.method, request.path, request.headers["x-n"], request.body], ["POST", `/${want}`, String(want), `body ${want}`]);
      request.answer("503 Service Unavailable", {"Retry-After": "0.001"});
    }
  });

  for (const name of ["url", "headers", "body"]) {
    test(`a ${name} function that throws is a failed attempt`, async (t) => {
      const clock = stopClock(t);
      const server = await startServer(t);
      let asked = 0;
      const faulty = (value) => () => {
        if (++asked < 3) throw new Error("no token yet");
        return value;
      };
      const options = {method: "POST", body: "x", [name]: name === "body" ? faulty("x") : faulty({})};
      const stream = open(t, name === "url" ? faulty(server.url) : server.url, options);
      await stream.seen.until(() => stream.seen.problems.length === 1);
      assert.deepEqual(stream.seen.problems, [{title: "no token yet", status: 0}]);
      await clock.move(2999);
      assert.equal(asked, 1);
      await clock.move(1);
      assert.equal(asked, 2);
      await clock.move(6000);
      assert.equal(asked, 3);
      assert.equal((await server.next()).method, "POST");
    });
  }
});

describe("the last id", () => {
  test("before the first event is that of the response's header", async (t) => {
    const server = await startServer(t);
    const stream = open(t, server.url);
    const first = await server.next();
    first.stream({"Last-Event-ID": "41"}).send("retry: 1\n: hello\n");
    await stream.seen.state("open");
    assert.equal(stream.lastEventId, "41");
    first.cut();
    const second = await server.next();
    assert.equal(second.headers["last-event-id"], "41");
    second.stream({"Last-Event-ID": "41"}).send("id: 42\ndata: a\n\nid: 43\ndata: b");
    second.cut();
    const third = await server.next();
    assert.equal(third.headers["last-event-id"], "42");
    assert.deepEqual(stream.seen.data(), ["a"]);
  });

  test("of one's own remains until a gap has arrived", async (t) => {
    const server = await startServer(t);
    const stream = open(t, server.url, {lastEventId: "5"});
    const gap = "event: gap\ndata: {}\n\n";
    const first = await server.next();
    first.stream({"Last-Event-ID": "90"}).send("retry: 1\n" + gap.slice(0, -1));
    first.cut();
    const second = await server.next();
    assert.equal(second.headers["last-event-id"], "5");
    second.stream({"Last-Event-ID": "90"}).send(gap);
    second.cut();
    assert.equal((await server.next()).headers["last-event-id"], "90");
    assert.deepEqual(stream.seen.events.map(({name}) => name), ["gap"]);
  });
});

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
