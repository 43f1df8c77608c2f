import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {open, stopClock} from "./client.mjs";
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
