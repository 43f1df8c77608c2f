import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {open, settle, stopClock} from "./client.mjs";

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
