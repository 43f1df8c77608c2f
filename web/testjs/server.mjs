// A server whose every byte is written by the test.

import {once} from "node:events";
import net from "node:net";

/** Listens on a free port, and ends with the test. */
export async function startServer(t) {
  const requests = [];
  const waiting = [];
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {}); // cut by the client
    receive(socket, (request) => (waiting.length ? waiting.shift()(request) : requests.push(request)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** The next request that nobody has taken yet. */
    next: () => (requests.length ? Promise.resolve(requests.shift()) : new Promise((done) => waiting.push(done))),
    unanswered: () => requests.length,
  };
}

function receive(socket, deliver) {
  let text = "";
  socket.setEncoding("latin1");
  socket.on("data", (bytes) => {
    text += bytes;
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const [line, ...fields] = text.slice(0, end).split("\r\n");
    const headers = Object.fromEntries(fields.map((field) => {
      const colon = field.indexOf(":");
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
    }));
    const {body, length} = bodyOf(text.slice(end + 4), headers);
    if (length < 0) return;
    const [method, path] = line.split(" ");
    text = text.slice(end + 4 + length);
    deliver(new Exchange(socket, {method, path, headers, body}));
  });
}

/** The body at the beginning of a text, and how long it is there; -1 if a part of it is missing. */
function bodyOf(text, headers) {
  if (headers["transfer-encoding"] !== "chunked") {
    const length = Number(headers["content-length"] ?? 0);
    return {body: text.slice(0, length), length: text.length < length ? -1 : length};
  }
  for (let body = "", at = 0; ;) {
    const [line] = /^.*\r\n/.exec(text.slice(at)) ?? [];
    const size = parseInt(line, 16);
    if (line === undefined || text.length < at + line.length + size + 2) return {body, length: -1};
    body += text.substr(at + line.length, size);
    at += line.length + size + 2;
    if (size === 0) return {body, length: at};
  }
}

/** One request, and the means to answer it. */
class Exchange {
  constructor(socket, request) {
    Object.assign(this, request);
    this.socket = socket;
    this.gone = new Promise((done) => socket.on("close", done));
  }

  /** Writes the head of a response that is of unknown length. */
  head(status, headers = {}) {
    const fields = Object.entries({...headers, "Transfer-Encoding": "chunked"});
    this.socket.write(`HTTP/1.1 ${status}\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`, "latin1");
    return this;
  }

  stream(headers = {}) {
    return this.head("200 OK", {"Content-Type": "text/event-stream", ...headers});
  }

  send(text) {
    const bytes = Buffer.from(text);
    this.socket.write(Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]));
    return this;
  }

  end() {
    this.socket.write("0\r\n\r\n");
  }

  /** Ends the connection in the middle of the response, once what was written has been sent. */
  cut() {
    this.socket.end();
  }

  answer(status, headers = {}, body = "") {
    this.head(status, headers);
    if (body) this.send(body);
    this.end();
  }
}
