import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {later, open, settle, stopClock} from "./client.mjs";
import {startServer} from "./server.mjs";

describe("problems", () => {
  const json = (value) => ["422 Unprocessable Entity", {"Content-Type": "application/problem+json; charset=utf-8"}, JSON.stringify(value)];
  const full = {type: "about:blank", title: "Unprocessable Entity", status: 422, detail: "…", errors: [{field: "interval", rule: "min"}]};
  const plain = {title: "Unprocessable Entity", status: 422};
  const table = [
    ["the body of problem+json", json(full), full],
    ["what problem+json leaves out", json({detail: "no"}), {...plain, detail: "no"}],
    ["problem+json that is no JSON", [json(1)[0], json(1)[1], "<p>"], plain],
    ["problem+json without details", json(null), plain],
    ["JSON", [json(1)[0], {"Content-Type": "application/json"}, "{}"], plain],
    ["a status without a text", ["404 ", {}, "no"], {title: "HTTP 404", status: 404}],
  ];
  for (const [name, answer, want] of table) {
    test(name, async (t) => {
      const server = await startServer(t);
      const stream = open(t, server.url);
      (await server.next()).answer(...answer);
      await stream.seen.state("closed");
      assert.deepEqual(stream.seen.problems, [want]);
    });
  }

  test("a body that does not come", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const head = later();
    const fetch = (...request) => globalThis.fetch(...request).finally(() => head.resolve());
    const stream = open(t, server.url, {fetch});
    (await server.next()).head(json({})[0], json({})[1]).send("{");
    await head.promise;
    await settle();
    for (let s = 0; s < 10; s++) await clock.move(1000);
    await stream.seen.state("closed");
    assert.deepEqual(stream.seen.problems, [plain]);
  });

  test("a network that fails has the status 0", async (t) => {
    const server = await startServer(t);
    const stream = open(t, server.url);
    (await server.next()).socket.destroy();
    await stream.seen.state("reconnecting");
    assert.equal(stream.seen.problems[0].status, 0);
    assert.equal(typeof stream.seen.problems[0].title, "string");
  });

  for (const type of ["text/event-stream, text/event-stream", "text/html, text/event-stream; x=\"a, b\"", "text/event-stream;x=1, */"]) {
    test(`a Content-Type that was sent twice is the last that is one: ${type}`, async (t) => {
      const server = await startServer(t);
      const stream = open(t, server.url);
      (await server.next()).stream({"Content-Type": type}).send("data: a\n\n");
      await stream.seen.until(() => stream.seen.events.length + stream.seen.problems.length === 1);
      assert.deepEqual(stream.seen.data(), ["a"]);
    });
  }

  test("a 200 that is no event stream is a failed attempt", async (t) => {
    const server = await startServer(t);
    const stream = open(t, server.url);
    for (const type of ["text/html", "text/event-streams", "text/event-stream, text/html"]) {
      (await server.next()).answer("200 OK", {"Content-Type": type, "Retry-After": "0.001"}, "data: a\n\n");
    }
    const last = await server.next();
    last.stream({"Content-Type": "Text/Event-Stream; charset=utf-8"}).send("data: b\n\n");
    await stream.seen.until(() => stream.seen.events.length === 1);
    const problem = {title: "OK", status: 200, detail: "The answer is no text/event-stream"};
    assert.deepEqual(stream.seen.problems, [problem, problem, problem]);
    assert.deepEqual(stream.seen.states, ["connecting", "reconnecting", "open"]);
  });
});

describe("401", () => {
  test("asks once more at once, and only a second in a row ends", async (t) => {
    const server = await startServer(t);
    let tokens = 0;
    const stream = open(t, server.url, {headers: () => ({Authorization: `Bearer ${++tokens}`})});
    (await server.next()).answer("401 Unauthorized");
    const second = await server.next();
    assert.equal(second.headers.authorization, "Bearer 2");
    second.stream().send("retry: 1\ndata: a\n\n");
    await stream.seen.state("open");
    second.end();
    (await server.next()).answer("401 Unauthorized");
    (await server.next()).answer("503 Service Unavailable", {"Retry-After": "0.001"});
    (await server.next()).answer("401 Unauthorized");
    (await server.next()).answer("401 Unauthorized");
    await stream.seen.state("closed");
    assert.deepEqual(stream.seen.states, ["connecting", "open", "reconnecting", "closed"]);
    assert.deepEqual(stream.seen.problems.map(({status}) => status), [401, 401, 503, 401, 401]);
    assert.equal(tokens, 6);
  });

  test("twice, with a connection that failed between them, does not end", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url);
    (await server.next()).answer("401 Unauthorized");
    (await server.next()).socket.destroy();
    await stream.seen.state("reconnecting");
    await settle();
    await clock.move(3000);
    (await server.next()).answer("401 Unauthorized");
    (await server.next()).stream();
    await stream.seen.state("open");
  });
});
