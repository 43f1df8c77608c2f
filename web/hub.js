// The streams of the page, shared by its tabs. Over HTTP/1.1 a browser opens six
// connections to one origin, in all tabs together; four streams a tab would leave
// the second tab frozen. So one hub, in a SharedWorker, has one stream of each
// kind, and every tab that wants it listens to that.
//
// A client is anything with postMessage. It sends
//   {open: NAME, query, names, after}  listen; opens the stream where nobody does
//   {set: NAME, query, names, after}   the stream anew with these, for all tabs
//   {close: NAME}                      listen no more
//   {wire: NAME, on: BOOL}             the raw text of a stream; one at a time
// and is sent
//   {stream: NAME, query, names, reset}  what follows is of this query
//   {stream: NAME, state}, {stream: NAME, event}, {stream: NAME, problem}
//   {wire: NAME or "", text}, {health}

import {openStream} from "./stream.js";

// What ends a stream, and how many events a tab gets that comes later.
const kinds = {
  tick: {recent: 300},
  log: {recent: 500},
  progress: {until: "done", recent: 1},
  channel: {recent: 100},
};

const healthEvery = 2000; // ms
const wireKeeps = 8000; // characters
const wireRest = 5000; // ms, before the raw text is fetched again

export class Hub {
  #clients = new Set();
  #streams = new Map();
  #wire = {name: "", text: "", abort: null, watchers: new Set()};
  #health = null;

  join(client) {
    this.#clients.add(client);
    this.#health ??= setInterval(() => this.#askHealth(), healthEvery);
    this.#askHealth();
  }

  leave(client) {
    for (const name of this.#streams.keys()) this.#leaveStream(client, name);
    this.#unwatchWire(client, this.#wire.name);
    this.#clients.delete(client);
    if (this.#clients.size === 0) {
      clearInterval(this.#health);
      this.#health = null;
    }
  }

  receive(client, message) {
    if (message.open) this.#open(client, message);
    if (message.set) this.#set(client, message);
    if (message.close) this.#leaveStream(client, message.close);
    if (message.wire && message.on) this.#watchWire(client, message.wire);
    if (message.wire && !message.on) this.#unwatchWire(client, message.wire);
  }

  #open(client, {open: name, query, names, after}) {
    const stream = this.#streams.get(name);
    if (!stream?.listeners.size || stream.failed) {
      this.#start(name, query, names, after, new Set(stream?.listeners).add(client));
      return;
    }
    stream.listeners.add(client);
    client.postMessage({stream: name, query: stream.query, names: stream.names, reset: true});
    for (const event of stream.recent) client.postMessage({stream: name, event});
    client.postMessage({stream: name, state: stream.state});
  }

  #set(client, {set: name, query, names, after}) {
    const old = this.#streams.get(name);
    old?.source.close();
    this.#start(name, query, names, after, new Set(old?.listeners).add(client), true);
  }

  #start(name, query, names, after, listeners, reset = false) {
    const {until, recent: keep} = kinds[name];
    const stream = {query, names, listeners, recent: [], state: "connecting"};
    this.#streams.set(name, stream);
    const tell = (message) => {
      if (this.#streams.get(name) !== stream) return; // it has a successor
      for (const client of stream.listeners) client.postMessage({stream: name, ...message});
    };
    tell({query, names, reset});
    stream.source = openStream(`/stream/${name}?${query}`, {
      names,
      after,
      until,
      onEvent: (event) => {
        stream.recent.push(event);
        if (stream.recent.length > keep) stream.recent.shift();
        tell({event});
      },
      onState: (state) => tell({state: (stream.state = state)}),
      onProblem: (problem) => {
        stream.failed = true; // whoever opens it again wants it tried again
        tell({problem});
      },
    });
    if (this.#wire.name === name) this.#fetchWire(name);
  }

  #leaveStream(client, name) {
    const stream = this.#streams.get(name);
    if (!stream?.listeners.delete(client)) return;
    if (stream.listeners.size === 0) stream.source.close();
  }

  async #askHealth() {
    let health = null;
    try {
      const response = await fetch("/health", {cache: "no-store"});
      health = await response.json();
    } catch {
      // The page shows that there is no answer.
    }
    for (const client of this.#clients) client.postMessage({health});
  }

  // The wire takes a connection of its own, so there is one for all tabs.
  #watchWire(client, name) {
    const wire = this.#wire;
    if (wire.name !== name) {
      for (const other of wire.watchers) if (other !== client) other.postMessage({wire: ""});
      wire.watchers.clear();
      this.#fetchWire(name);
    } else {
      client.postMessage({wire: name, text: wire.text});
    }
    wire.watchers.add(client);
  }

  #unwatchWire(client, name) {
    const wire = this.#wire;
    if (wire.name !== name) return; // another has taken its place
    wire.watchers.delete(client);
    if (wire.watchers.size === 0) this.#fetchWire("");
  }

  async #fetchWire(name) {
    const wire = this.#wire;
    wire.abort?.abort();
    Object.assign(wire, {name, text: "", abort: null});
    if (name === "") return;
    const abort = (wire.abort = new AbortController());
    const say = (text) => {
      if (wire.abort !== abort) return;
      wire.text = (wire.text + text).slice(-wireKeeps);
      for (const client of wire.watchers) client.postMessage({wire: name, text});
    };
    while (!abort.signal.aborted) {
      try {
        const {query} = this.#streams.get(name) ?? {query: ""};
        const response = await fetch(`/stream/${name}?${query}`, {headers: {Accept: "text/event-stream"}, signal: abort.signal});
        say(`HTTP ${response.status}, ${response.headers.get("Content-Type") ?? "no content"}\n\n`);
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let part; !(part = await reader.read()).done; ) say(part.value);
        say("(the server has ended the stream)\n\n");
        if (name === "progress" || !response.ok) return;
      } catch {
        if (abort.signal.aborted) return;
        say("(the connection is lost)\n\n");
      }
      await new Promise((later) => setTimeout(later, wireRest));
    }
  }
}
