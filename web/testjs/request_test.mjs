import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {openStream} from "../eventstream.js";
import {open, settle, stopClock} from "./client.mjs";
import {startServer} from "./server.mjs";

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

  test("has the headers at every origin that the url function names", async (t) => {
    const servers = [await startServer(t), await startServer(t), await startServer(t)];
    let n = 0;
    open(t, () => servers[n++].url, {headers: () => ({"X-N": String(n)}), body: "x"});
    for (const i of [0, 1]) {
      const request = await servers[i].next();
      assert.equal(request.headers["x-n"], String(i + 1));
      if (i === 0) request.answer("503 Service Unavailable", {"Retry-After": "0.001"});
      else request.answer("202 Accepted", {Location: "/p"});
    }
    const {path, headers} = await servers[1].next(); // Location is of the origin that has named it
    assert.deepEqual([path, headers["x-n"]], ["/p", "2"]);
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

describe("a request that can never be sent", () => {
  const never = "This request cannot be sent, now or later, so it is not tried again.";
  const table = {
    "a URL that is none": ["http://["],
    "a URL without a base": ["/stream"],
    "a port that is none": ["http://127.0.0.1:65536/"],
    "a URL with a password": ["http://a:b@127.0.0.1/"],
    "a URL that fetch does not know": ["ws://127.0.0.1/"],
    "a URL, whatever the headers are": ["http://[", {headers: () => ({})}],
    "a header that is none": ["http://127.0.0.1/", {headers: {"X Y": "1"}}],
    "a header's value that is none": ["http://127.0.0.1/", {headers: {"X-Y": "1\n2"}}],
    "a method that is none": ["http://127.0.0.1/", {method: "TRACE"}],
    "a GET with a body": ["http://127.0.0.1/", {method: "GET", body: "x"}],
  };
  for (const [name, [url, options]] of Object.entries(table)) {
    test(`${name}: ends the stream`, async (t) => {
      const clock = stopClock(t);
      const fetches = t.mock.method(globalThis, "fetch");
      const seen = {states: [], problems: []};
      const stream = openStream(url, {...options, onState: (state) => seen.states.push(state), onProblem: (problem) => seen.problems.push(problem)});
      t.after(() => stream.close());
      await clock.move(600_000);
      assert.deepEqual(seen.states, ["connecting", "closed"]);
      assert.equal(seen.problems.length, 1);
      const {title} = seen.problems[0];
      assert.ok(title.length > 5, title);
      assert.deepEqual(seen.problems[0], {title, status: 0, detail: never});
      assert.equal(fetches.mock.callCount(), 0);
    });
  }

  test("may come from a function, which is asked again", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    let n = 0;
    const stream = open(t, () => (++n < 3 ? "http://[" : server.url));
    for (const [i, delay] of [3000, 6000].entries()) {
      await stream.seen.until(() => stream.seen.problems.length === i + 1);
      await settle();
      await clock.move(delay);
    }
    await server.next();
  });

  test("may be sent by a fetch of one's own", async (t) => {
    const urls = [];
    const fetch = async (url) => (urls.push(url.href), new Response("data: a\n\n", {headers: {"Content-Type": "text/event-stream"}}));
    const stream = open(t, "app://a/", {fetch});
    await stream.seen.until(() => stream.seen.events.length === 1);
    assert.deepEqual(urls, ["app://a/"]);
  });
});

describe("a ReadableStream as a body", () => {
  const content = () => new Blob(["some ", "text"]).stream();

  test("is sent", async (t) => {
    const server = await startServer(t);
    const stream = open(t, server.url, {body: content()});
    const request = await server.next();
    assert.deepEqual([request.method, request.body], ["POST", "some text"]);
    request.stream({Location: "/p"});
    await stream.seen.state("open");
  });

  test("can be sent once, and is not said to have been acted on", async (t) => {
    const server = await startServer(t);
    const stream = open(t, server.url, {body: content()});
    (await server.next()).answer("503 Service Unavailable", {"Retry-After": "0.001"});
    await stream.seen.state("closed");
    assert.deepEqual(stream.seen.problems.map(({status}) => status), [503, 0]);
    assert.match(stream.seen.problems[1].detail, /cannot be sent/);
    assert.equal(stream.seen.attempts, 1);
  });

  test("comes anew from a function", async (t) => {
    const server = await startServer(t);
    open(t, server.url, {body: content});
    (await server.next()).answer("503 Service Unavailable", {"Retry-After": "0.001"});
    assert.equal((await server.next()).body, "some text");
  });
});

describe("an id that cannot be sent back", () => {
  const longest = "é".repeat(2048); // 4,096 bytes
  const table = {
    "with a control character": "2\u0001",
    "with a tab": "2\t2",
    "with DEL": "2\x7f",
    "of 4,097 bytes": `${longest}x`,
    "of 200,000 bytes": "x".repeat(200_000),
  };
  for (const [name, id] of Object.entries(table)) {
    test(`${name} leaves the one before`, async (t) => {
      const server = await startServer(t);
      const stream = open(t, server.url, {lastEventId: id});
      const first = await server.next();
      assert.equal("last-event-id" in first.headers, false);
      first.stream().send(`retry: 1\nid: 1\ndata: a\n\nid: ${id}\ndata: b\n\n`);
      await stream.seen.until(() => stream.seen.events.length === 2);
      first.cut();
      const second = await server.next();
      assert.equal(second.headers["last-event-id"], "1");
      assert.deepEqual(stream.seen.events.map((event) => event.id), ["1", id]);
      assert.equal(stream.lastEventId, "1");
      second.stream({"Last-Event-ID": "1"}).send("id: 3\ndata: c\n\n");
      await stream.seen.until(() => stream.seen.events.length === 3);
      second.cut();
      assert.equal((await server.next()).headers["last-event-id"], "3");
    });
  }

  test("is not one of 4,096 bytes", async (t) => {
    const server = await startServer(t);
    open(t, server.url, {lastEventId: longest});
    assert.equal(Buffer.from((await server.next()).headers["last-event-id"], "latin1").toString(), longest);
  });
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
