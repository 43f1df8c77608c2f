// A server that does everything wrong but one thing: after id n it sends what
// follows n. The client must get each event once and in order.

import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {open, settle} from "./client.mjs";
import {startServer} from "./server.mjs";

const seeds = Number(process.env.SEEDS ?? 6);
const first = Number(process.env.SEED ?? 1);
const count = 24; // events of a run
const heartbeat = 33; // ms; three of them are less than what is cut short below

/** mulberry32: random numbers from 0 to 1 that are the same for the same seed. */
function randomNumbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let x = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Long pauses are over soon: 3 s, until the server has named its retry, and what failed attempts make of that. */
const {setTimeout} = globalThis;
globalThis.setTimeout = (call, ms, ...more) => setTimeout(call, ms >= 100 ? 10 : ms, ...more);

const data = (i) => ["plain", "ünïcödé 🎉", "two\nlines", "", "id: 3", "x".repeat(300)][i % 6] + i;

function encode(i, end) {
  const name = i === count ? "done" : i % 3 ? "" : "third";
  const lines = [`id: ${i}`, ...(name ? [`event: ${name}`] : []), ...data(i).split("\n").map((line) => `data: ${line}`), "", ""];
  return lines.join(end) + (i % 4 ? "" : `: comment${end}`);
}

describe("exactly once and in order", {concurrency: 8}, () => {
  for (let seed = first; seed < first + seeds; seed++) {
    test(`seed ${seed}`, {timeout: 55_000}, async (t) => {
      const random = randomNumbers(seed);
      const pick = (...values) => values[Math.floor(random() * values.length)];
      const server = await startServer(t);
      const buffers = random() < 0.2; // something on the way passes on only what has ended
      const post = random() < 0.3;
      const stream = open(t, `${server.url}/s`, {until: "done", ...(post ? {body: "x"} : {heartbeat})});
      let served = 0;
      const serve = async () => {
        for (let posted = false; stream.state !== "closed"; served++) {
          const request = await server.next();
          assert.equal(request.method, post && !posted ? "POST" : "GET");
          if (request.method === "POST" && pick(true, false)) {
            request.answer("503 Service Unavailable", {"Retry-After": "0.001"});
            continue;
          }
          posted = true;
          await answer(request, random, pick, buffers);
        }
      };
      serve().catch((error) => stream.seen.problems.push(error));
      await stream.seen.state("closed");
      const got = stream.seen.events.map(({id}) => Number(id));
    const fault = `after ${served} requests, ${JSON.stringify(stream.seen.problems.at(-1))}`;
    assert.equal(got.join(), Array.from({length: count}, (_, i) => i + 1).join(), fault);
    assert.ok(stream.seen.events.every((event, i) => event.data === data(i + 1)), "the data of an event differs");
  });
  }
});

/** Answers one request as well or as badly as the random numbers say. */
async function answer(request, random, pick, buffers) {
  const {socket} = request;
  const poll = new URL(request.path, "http://a").searchParams.has("wait");
  const begin = Number(request.headers["last-event-id"] ?? 0);
  if (buffers && !poll) {
    if (request.method === "POST") request.stream({Location: "/s", "Last-Event-ID": String(begin), "SSE-Heartbeat": String(heartbeat)});
    return request.gone;
  }
  if (request.method === "GET") {
    const fault = random();
    if (fault < 0.05) return socket.destroy();
    if (fault < 0.1) return request.answer("503 Service Unavailable", {"Retry-After": "0.001"});
    if (fault < 0.15) return request.answer("200 OK", {"Content-Type": "text/html", "Retry-After": "0.001"}, "<p>data: x\n\n");
    if (fault < 0.17) return request.gone; // silence
  }
  const end = pick("\n", "\r\n", "\r");
  const last = Math.min(count, begin + Math.ceil(random() * 12));
  const events = Array.from({length: last - begin}, (_, i) => encode(begin + 1 + i, end)).join("");
  const body = Buffer.from(pick("", "\ufeff") + `retry: 1${end}` + events);
  request.stream({"Last-Event-ID": String(begin), Location: "/s", "SSE-Heartbeat": String(heartbeat)});
  if (random() < 0.1) socket.write(": a comment that the next bytes make invalid");
  const cut = last < count || random() < 0.5 ? Math.floor(random() * body.length) : body.length;
  const clean = cut === body.length || pick(true, false);
  for (let at = 0; at < cut;) {
    const next = Math.min(cut, at + 1 + Math.floor(random() * pick(3, 50, 5000)));
    request.send(body.subarray(at, next));
    at = next;
    if (!poll && random() < 0.3) await settle();
  }
  for (let i = 0; i < 3; i++) await settle(); // an error makes fetch drop what has come and was not read
  if (clean) request.end();
  else socket.end(pick("", "5", "5\r\ndat"));
}
