import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {open, settle, stopClock} from "./client.mjs";
import {startServer} from "./server.mjs";

const once = "The request may have been acted on, and no Location says where to go on, so it is not sent again.";
const post = {body: '{"kind":"answer"}', headers: {Authorization: "Bearer x", "Content-Type": "application/json"}};

describe("a POST that was acted on", () => {
  test("goes on with GET at Location, with the last id and the headers", async (t) => {
    const server = await startServer(t);
    const stream = open(t, `${server.url}/deep/jobs?x=1`, {...post, until: "done"});
    const first = await server.next();
    assert.deepEqual([first.method, first.path, first.body], ["POST", "/deep/jobs?x=1", post.body]);
    first.stream({Location: "progress?id=7", "Last-Event-ID": "6"}).send("retry: 1\nid: 7\ndata: a\n\nid: 8");
    first.cut();
    for (let i = 0; i < 3; i++) {
      const get = await server.next();
      assert.deepEqual([get.method, get.path, get.body], ["GET", "/deep/progress?id=7", ""]);
      assert.deepEqual([get.headers.authorization, get.headers["last-event-id"]], ["Bearer x", String(7 + i)]);
      get.stream().send(`id: ${8 + i}\n${i === 2 ? "event: done\n" : ""}data: b\n\n`);
      get.cut();
    }
    await stream.seen.state("closed");
    assert.deepEqual(stream.seen.data(), ["a", "b", "b", "b"]);
  });

  test("and is cut before its first event goes on where its head says", async (t) => {
    const server = await startServer(t);
    open(t, server.url, post);
    const first = await server.next();
    first.stream({Location: "/p", "Last-Event-ID": "6"}).send("retry: 1\n");
    first.cut();
    const second = await server.next();
    assert.deepEqual([second.method, second.path, second.headers["last-event-id"]], ["GET", "/p", "6"]);
  });

  test("keeps its headers from another origin", async (t) => {
    const server = await startServer(t);
    const other = await startServer(t);
    open(t, server.url, post);
    const first = await server.next();
    first.stream({Location: `${other.url}/p`}).send("retry: 1\nid: 1\ndata: a\n\n");
    first.end();
    const second = await other.next();
    assert.deepEqual([second.path, second.headers.authorization, second.headers["last-event-id"]], ["/p", undefined, "1"]);
  });

  test("goes on at once after 202 with Location", async (t) => {
    const server = await startServer(t);
    const stream = open(t, server.url, post);
    (await server.next()).answer("202 Accepted", {"Content-Type": "application/json", Location: "/p"}, "{}");
    const second = await server.next();
    assert.deepEqual([second.method, second.path], ["GET", "/p"]);
    second.stream();
    await stream.seen.state("open");
    assert.deepEqual([stream.seen.states, stream.seen.problems], [["connecting", "open"], []]);
  });

  test("and not before Retry-After", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, post);
    (await server.next()).answer("202 Accepted", {Location: "/p", "Retry-After": "8"});
    await stream.seen.state("reconnecting");
    await clock.move(9_999);
    assert.equal(stream.seen.attempts, 1);
    await clock.move(1);
    assert.equal((await server.next()).path, "/p");
    assert.deepEqual(stream.seen.problems, []);
  });

  test("goes on after a 200 that is no event stream, which is a problem", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, post);
    (await server.next()).answer("200 OK", {Location: "/p"});
    await stream.seen.state("reconnecting");
    await clock.move(3000);
    assert.equal((await server.next()).method, "GET");
    assert.equal(stream.seen.problems.length, 1);
  });
});

describe("a POST that can't go on is closed with a problem", () => {
  const table = {
    "cut before its head": [(request) => request.socket.destroy(), {status: 0, detail: once}],
    "answered without Location, and cut": [(request) => request.stream().send("data: a\n\n").cut(), {status: 0, detail: once}],
    "answered without Location, and ended": [(request) => request.stream().send("data: a\n\n").end(), {title: "The stream has ended", status: 200, detail: once}],
    "accepted without Location": [(request) => request.answer("202 Accepted"), {title: "Accepted", status: 202, detail: "The answer is no text/event-stream"}],
    "answered by 500": [(request) => request.answer("500 Internal Server Error"), {title: "Internal Server Error", status: 500}],
    "answered by 408": [(request) => request.answer("408 Request Timeout"), {title: "Request Timeout", status: 408}],
    "answered by 422": [(request) => request.answer("422 Unprocessable Entity"), {title: "Unprocessable Entity", status: 422}],
    "answered with a Location that is none": [(request) => request.stream({Location: "http://["}).send("data: a\n\n").end(), {title: "The stream has ended", status: 200, detail: once}],
    "accepted with a Location that is none": [(request) => request.answer("202 Accepted", {Location: "http://["}), {title: "Accepted", status: 202, detail: "The answer is no text/event-stream"}],
  };
  for (const [name, [answer, problem]] of Object.entries(table)) {
    test(name, async (t) => {
      const server = await startServer(t);
      const stream = open(t, server.url, post);
      answer(await server.next());
      await stream.seen.state("closed");
      await settle();
      assert.equal(stream.seen.problems.length, 1);
      const {title} = stream.seen.problems[0];
      assert.deepEqual(stream.seen.problems[0], {title, ...problem});
      assert.equal(stream.seen.attempts, 1);
    });
  }

  test("after all that it answers, if it ends or its Location is none", async (t) => {
    const server = await startServer(t);
    for (const headers of [{}, {Location: "http://["}]) {
      const stream = open(t, server.url, post);
      (await server.next()).stream(headers).send("data: a\n\n").end();
      await stream.seen.state("closed");
      assert.deepEqual(stream.seen.data(), ["a"]);
    }
  });

  test("silent before its head", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {...post, heartbeat: 1000});
    await server.next();
    await clock.move(3000);
    await stream.seen.state("closed");
    assert.deepEqual(stream.seen.problems, [{title: "No byte came for three heartbeats", status: 0, detail: once}]);
  });

  test("but not one that ends with until, or with 204", async (t) => {
    const server = await startServer(t);
    for (const answer of [(request) => request.stream().send("event: done\ndata: a\n\n"), (request) => request.answer("204 No Content")]) {
      const stream = open(t, server.url, {...post, until: "done"});
      answer(await server.next());
      await stream.seen.state("closed");
      assert.deepEqual(stream.seen.problems, []);
    }
  });
});

test("a POST is sent again after 401, 429 and 503", async (t) => {
  const server = await startServer(t);
  const stream = open(t, server.url, {...post, until: "done"});
  for (const status of ["401 Unauthorized", "429 Too Many Requests", "503 Service Unavailable"]) {
    const request = await server.next();
    assert.deepEqual([request.method, request.body], ["POST", post.body]);
    request.answer(status, {"Retry-After": "0.001"});
  }
  (await server.next()).stream().send("event: done\ndata: a\n\n");
  await stream.seen.state("closed");
  assert.deepEqual(stream.seen.problems.map(({status}) => status), [401, 429, 503]);
});
