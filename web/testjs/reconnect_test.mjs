import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {countBytes, fakePage, open, settle, stopClock} from "./client.mjs";
import {startServer} from "./server.mjs";

/** Checks that the next attempt is made after ms, and not before. */
async function attemptAfter(clock, stream, ms) {
  const {attempts} = stream.seen;
  await settle();
  await clock.move(Math.ceil(ms) - 1);
  assert.equal(stream.seen.attempts, attempts, `came in under ${ms} ms`);
  await clock.move(1);
  assert.equal(stream.seen.attempts, attempts + 1, `did not come after ${ms} ms`);
}

describe("the delay", () => {
  for (const [random, factor] of [[0, 0.5], [0.5, 1], [1, 1.5]]) {
    test(`is 3 s × ${factor}, doubled up to 60 s × ${factor}, and retry again after an event`, async (t) => {
      const clock = stopClock(t, random);
      const server = await startServer(t);
      const stream = open(t, server.url);
      const delays = [3000, 6000, 12000, 24000, 48000, 60000, 60000];
      for (const [i, delay] of delays.entries()) {
        (await server.next()).answer("500 Internal Server Error");
        await stream.seen.until(() => stream.seen.problems.length === i + 1);
        await attemptAfter(clock, stream, delay * factor);
      }
      const last = await server.next();
      last.stream().send("retry: 1000\ndata: a\n\n");
      await stream.seen.state("open");
      last.end();
      for (const [i, delay] of [1000, 2000, 4000].entries()) {
        await stream.seen.until(() => stream.seen.states.at(-1) === "reconnecting" && stream.seen.problems.length === delays.length + i);
        await attemptAfter(clock, stream, delay * factor);
        (await server.next()).answer("200 OK", {"Content-Type": "text/html"});
      }
    });
  }

  test("grows for connections that bring no event, whatever else they bring", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url);
    for (const delay of [100, 200, 400]) {
      const request = await server.next();
      request.stream().send("retry: 100\nid: 1\n\n: comment\n");
      await stream.seen.state("open");
      request.end();
      await stream.seen.state("reconnecting");
      await attemptAfter(clock, stream, delay);
    }
  });

  const ends = {
    "ends cleanly": (request) => request.end(),
    "is cut": (request) => request.cut(),
    "falls silent": (request, clock) => clock.move(3000),
  };
  for (const [name, end] of Object.entries(ends)) {
    test(`is retry again after a connection without an event that lived for over two heartbeats and then ${name}`, async (t) => {
      const clock = stopClock(t);
      const server = await startServer(t);
      const bytes = {count: 0};
      const stream = open(t, server.url, {fetch: countBytes(bytes)});
      for (const [i, beats] of [2, 1, 3, 3, 1].entries()) { // those of one heartbeat have failed
        const request = await server.next();
        const head = "retry: 500\n";
        bytes.count = 0;
        request.stream({"SSE-Heartbeat": "1000"}).send(head);
        await stream.seen.until(() => stream.seen.states.filter((state) => state === "open").length === i + 1);
        for (let beat = 1; beat <= beats; beat++) {
          await clock.move(1001);
          request.send(":\n");
          while (bytes.count < head.length + 2 * beat) await settle();
          await settle();
        }
        await end(request, clock);
        await stream.seen.until(() => stream.seen.states.at(-1) === "reconnecting");
        await attemptAfter(clock, stream, [500, 1000, 500, 500, 1000][i]);
      }
    });
  }

  for (const retry of [0, 1, 99]) {
    test(`is 100 ms after a successful attempt if retry is ${retry}`, async (t) => {
      const clock = stopClock(t, 0.5);
      const server = await startServer(t);
      const stream = open(t, server.url);
      for (let i = 1; i < 5; i++) {
        const request = await server.next();
        request.stream().send(`retry: ${retry}\ndata: a\n\n`);
        request.end();
        await stream.seen.until(() => stream.seen.states.filter((state) => state === "reconnecting").length === i);
        await attemptAfter(clock, stream, 100);
      }
    });
  }

  test("may be over 60 s if the server says so", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url);
    for (let i = 0; i < 3; i++) {
      const request = await server.next();
      request.stream().send("retry: 90000\n");
      request.end();
      await stream.seen.until(() => stream.seen.states.filter((state) => state === "reconnecting").length === i + 1);
      await attemptAfter(clock, stream, 90000);
    }
  });

  test("is ten times as long if the server is busy, as it says", async (t) => {
    const clock = stopClock(t);
    const server = await startServer(t);
    const stream = open(t, server.url);
    const request = await server.next();
    request.stream().send("retry: 30000\nevent: busy\ndata: {}\n\n");
    request.end();
    await stream.seen.state("reconnecting");
    await attemptAfter(clock, stream, 30000);
    assert.deepEqual(stream.seen.events.map(({name}) => name), ["busy"]);
  });

  const inSeconds = (seconds) => String(seconds);
  const twice = (seconds) => `1, ${seconds}`; // two headers, as fetch joins them
  const asDate = (seconds) => new Date(Date.now() + 1000 * seconds).toUTCString();
  const asctime = (seconds) => asDate(seconds).replace(/(...), (..) (...) (....) (.*) GMT/, "$1 $3 $2 $5 $4");
  const inZone = (t, zone) => {
    const {TZ = ""} = process.env;
    process.env.TZ = zone;
    t.after(() => (process.env.TZ = TZ));
  };
  for (const [random, factor] of [[0, 1], [0.5, 1.25], [1, 1.5]]) {
    test(`after Retry-After is ${factor} times that, in seconds and as a date`, async (t) => {
      const clock = stopClock(t, random);
      const server = await startServer(t);
      inZone(t, "Asia/Tokyo"); // asctime is in UTC, and does not say so
      const stream = open(t, server.url);
      const answers = [["503 Service Unavailable", inSeconds, 8], ["503 Service Unavailable", twice, 20], ["503 Service Unavailable", asctime, 8], ["429 Too Many Requests", inSeconds, 120],
        ["408 Request Timeout", asDate, 8], ["500 Internal Server Error", asDate, 240]];
      for (const [i, [status, form, seconds]] of answers.entries()) {
        (await server.next()).answer(status, {"Retry-After": form(seconds)});
        await stream.seen.until(() => stream.seen.problems.length === i + 1);
        await attemptAfter(clock, stream, 1000 * seconds * factor);
      }
    });
  }

  for (const header of ["0", "soon", "-5", "Infinity", "0x10", "1e999", "Sat, 21 Nov 2015 12:00:00 GMT"]) {
    test(`after Retry-After: ${header} is the usual one`, async (t) => {
      const clock = stopClock(t);
      const server = await startServer(t);
      const stream = open(t, server.url);
      (await server.next()).answer("503 Service Unavailable", {"Retry-After": header});
      await stream.seen.state("reconnecting");
      await attemptAfter(clock, stream, 3000);
    });
  }

  test("after Retry-After is not cut short", async (t) => {
    const clock = stopClock(t, 0);
    const page = fakePage(t);
    const server = await startServer(t);
    const stream = open(t, server.url);
    (await server.next()).answer("503 Service Unavailable", {"Retry-After": "60"});
    await stream.seen.state("reconnecting");
    for (const event of ["online", "pageshow"]) page.dispatch(event);
    page.visibility = "hidden";
    page.visibility = "visible";
    await attemptAfter(clock, stream, 60_000);
  });
});

describe("what ends a wait at once, and keeps a living connection", () => {
  const events = {
    online: (page) => page.dispatch("online"),
    pageshow: (page) => page.dispatch("pageshow"),
    "a hidden page that is shown again": (page) => {
      page.visibility = "hidden";
      page.visibility = "visible";
    },
  };
  for (const [name, dispatch] of Object.entries(events)) {
    test(name, async (t) => {
      stopClock(t);
      const page = fakePage(t);
      const server = await startServer(t);
      const stream = open(t, server.url);
      const first = await server.next();
      first.stream().send("id: 1\ndata: a\n\n");
      await stream.seen.until(() => stream.seen.events.length === 1);
      dispatch(page);
      await settle();
      assert.deepEqual([stream.state, stream.seen.attempts], ["open", 1]);
      first.cut();
      await stream.seen.state("reconnecting");
      await settle();
      assert.equal(stream.seen.attempts, 1);
      dispatch(page);
      assert.equal((await server.next()).headers["last-event-id"], "1");
      dispatch(page);
      await settle();
      assert.equal(stream.seen.attempts, 2);
    });
  }

  test("hiding a page ends nothing", async (t) => {
    const clock = stopClock(t);
    const page = fakePage(t);
    const server = await startServer(t);
    const stream = open(t, server.url);
    const request = await server.next();
    request.stream();
    await stream.seen.state("open");
    page.visibility = "hidden";
    await clock.move(3_600_000);
    request.send("data: a\n\n");
    await stream.seen.until(() => stream.seen.events.length === 1);
    assert.equal(stream.seen.attempts, 1);
  });
});

describe("the back/forward cache", () => {
  test("gets a page whose connection is given up, and goes on when the page is shown", async (t) => {
    stopClock(t);
    const page = fakePage(t);
    const server = await startServer(t);
    const stream = open(t, server.url);
    const first = await server.next();
    first.stream().send("id: 1\ndata: a\n\n");
    await stream.seen.until(() => stream.seen.events.length === 1);
    page.dispatch("pagehide");
    page.visibility = "hidden"; // the order in which browsers do it
    await first.gone;
    await settle();
    assert.deepEqual([stream.state, stream.seen.attempts, stream.seen.problems], ["reconnecting", 1, []]);
    page.visibility = "visible";
    page.dispatch("pageshow");
    const second = await server.next();
    assert.equal(second.headers["last-event-id"], "1");
    second.stream();
    await stream.seen.state("open");
    assert.deepEqual([stream.seen.states, stream.seen.attempts], [["connecting", "open", "reconnecting", "open"], 2]);
  });

  test("does not shorten Retry-After, nor begin an attempt meanwhile", async (t) => {
    const clock = stopClock(t, 0);
    const page = fakePage(t);
    const server = await startServer(t);
    const stream = open(t, server.url);
    (await server.next()).answer("503 Service Unavailable", {"Retry-After": "60"});
    await stream.seen.state("reconnecting");
    page.dispatch("pagehide");
    page.dispatch("pageshow");
    await settle();
    assert.equal(stream.seen.attempts, 1);
    page.dispatch("pagehide");
    await clock.move(600_000);
    assert.equal(stream.seen.attempts, 1);
    page.dispatch("pageshow");
    await server.next();
  });

  test("leaves a POST alone that could not be continued", async (t) => {
    const clock = stopClock(t);
    const page = fakePage(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {body: "x"});
    const request = await server.next();
    request.stream();
    await stream.seen.state("open");
    page.dispatch("pagehide");
    page.dispatch("pageshow");
    await clock.move(600_000);
    request.send("data: a\n\n");
    await stream.seen.until(() => stream.seen.events.length === 1);
    assert.equal(stream.state, "open");
  });

  test("a page that is closed there reports nothing when it is shown", async (t) => {
    stopClock(t);
    const page = fakePage(t);
    const server = await startServer(t);
    const stream = open(t, server.url);
    (await server.next()).stream();
    await stream.seen.state("open");
    page.dispatch("pagehide");
    stream.close();
    page.dispatch("pageshow");
    await settle();
    assert.deepEqual([stream.seen.states, stream.seen.attempts], [["connecting", "open", "reconnecting", "closed"], 1]);
  });
});

describe("hidden: \"close\"", () => {
  test("closes after a minute, and goes on when shown", async (t) => {
    const clock = stopClock(t);
    const page = fakePage(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {hidden: "close"});
    const first = await server.next();
    first.stream().send("id: 1\ndata: a\n\n");
    await stream.seen.until(() => stream.seen.events.length === 1);
    page.visibility = "hidden";
    await clock.move(59_999);
    page.visibility = "visible";
    page.visibility = "hidden";
    await clock.move(59_999);
    assert.equal(stream.state, "open");
    await clock.move(1);
    await first.gone;
    await clock.move(3_600_000);
    assert.deepEqual([stream.state, stream.seen.attempts, stream.seen.problems], ["reconnecting", 1, []]);
    page.dispatch("online");
    await settle();
    assert.equal(stream.seen.attempts, 1);
    page.visibility = "visible";
    const second = await server.next();
    assert.equal(second.headers["last-event-id"], "1");
    second.stream();
    await stream.seen.state("open");
    assert.deepEqual(stream.seen.states, ["connecting", "open", "reconnecting", "open"]);
  });

  test("also of a page that is opened in the background, or while waiting", async (t) => {
    const clock = stopClock(t);
    const page = fakePage(t);
    page.visibility = "hidden";
    const server = await startServer(t);
    const stream = open(t, server.url, {hidden: "close"});
    (await server.next()).answer("503 Service Unavailable", {"Retry-After": "90"});
    await stream.seen.state("reconnecting");
    await clock.move(3_600_000);
    assert.equal(stream.seen.attempts, 1);
    page.visibility = "visible";
    (await server.next()).stream();
    await stream.seen.state("open");
  });

  test("leaves a POST alone that could not be continued", async (t) => {
    const clock = stopClock(t);
    const page = fakePage(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {hidden: "close", body: "x"});
    (await server.next()).stream();
    await stream.seen.state("open");
    page.visibility = "hidden";
    await clock.move(120_000);
    assert.equal(stream.state, "open");
  });

  test("closes a POST once its Location is known", async (t) => {
    const clock = stopClock(t);
    const page = fakePage(t);
    const server = await startServer(t);
    const stream = open(t, server.url, {hidden: "close", body: "x"});
    const request = await server.next();
    page.visibility = "hidden";
    await clock.move(60_000);
    request.stream({Location: "/p"});
    await stream.seen.state("open");
    await clock.move(60_000);
    await request.gone;
    assert.equal(stream.state, "reconnecting");
    page.visibility = "visible";
    assert.equal((await server.next()).path, "/p");
  });

  test("leaves no timer if its first handler closes the stream", async (t) => {
    const page = fakePage(t);
    page.visibility = "hidden";
    const timers = new Set();
    t.mock.method(globalThis, "setTimeout", () => {
      timers.add(timers.size);
      return timers.size - 1;
    });
    t.mock.method(globalThis, "clearTimeout", (timer) => timers.delete(timer));
    const stream = open(t, "http://a/", {hidden: "close", onState: () => stream.close()});
    await stream.seen.state("closed");
    await settle();
    assert.deepEqual([timers.size, stream.seen.attempts], [0, 0]);
  });
});
