// The streams of the page, shared by its tabs. Over HTTP/1.1 a browser opens six connections to one origin, in all
// tabs together: with four streams in each, the second tab would be frozen. So one hub, in a SharedWorker, has one
// stream of each kind, and every tab listens to those.
//
// A tab sends
//   {here}                     it is there; from a tab that the hub does not know, this makes it join
//   {bye}                      it leaves
//   {open: NAME, settings, position, anew}   listen; the stream is opened if nobody else listens, or if it is to be
//                              anew. Without settings: whatever runs. What follows the position is sent
//   {set: NAME, settings}      the stream anew with these, for all tabs
//   {close: NAME}              listen no more
//   {cut: NAME}, {offline: NAME, ms}, {poll: NAME, on}   break it
//   {token}                    that the service has accepted, for all requests from now on
// and is sent
//   {ready}                    it has joined, and may say what it wants
//   {there}                    the answer to {here}
//   {stream: NAME, run, query, reset, updates}   of this query; updates are those of shared-stream.js and tap.js
//   {stream: NAME, none}       nothing runs, and it is up to this tab what does
//   {refused: NAME, problem}   the service does not accept the settings; what runs goes on
//   {health, at}, {token}, {tokenNeeded: problem}

import {SharedStream} from "./shared-stream.js";

const checkFor = 8_000; // ms in which settings have to be judged; what is not judged is tried
const patience = 180_000; // ms without a message until a tab counts as gone: in a hidden one timers may run once a minute
const lookEvery = 20_000; // ms
const healthEvery = 2_000; // ms between an answer and the next question
const healthLimit = 5_000; // ms

export class Hub {
  #tabs = new Map(); // the time at which each was last heard, Unix ms
  #streams = new Map();
  #waiting = new Map(); // by stream: tabs that take what the first of them will run
  #wishes = new Map(); // by stream: the newest settings that are not judged yet, as {tab}
  #token = "";
  #health = {health: null, at: 0}; // the newest answer, null if there is none, and the time of the last one
  #asking = false;

  constructor() {
    setInterval(() => this.#dropSilentTabs(), lookEvery); // a tab that crashed says no bye
  }

  /** Serves a tab, by its port, whenever it is there. @param {MessagePort} tab */
  serve(tab) {
    tab.onmessage = ({data}) => {
      if (data.bye) return this.#leave(tab);
      const known = this.#tabs.has(tab);
      this.#tabs.set(tab, Date.now());
      if (known) this.#receive(tab, data);
      else this.#join(tab); // whatever it has sent, it will say again
    };
  }

  #join(tab) {
    tab.postMessage({ready: true});
    if (this.#token) tab.postMessage({token: this.#token});
    if (this.#health.at) tab.postMessage(this.#health);
    this.#askHealth();
  }

  #leave(tab) {
    for (const name of this.#streams.keys()) this.#close(tab, name);
    for (const name of this.#waiting.keys()) this.#leaveQueue(tab, name);
    this.#tabs.delete(tab);
  }

  #dropSilentTabs() {
    for (const [tab, heard] of this.#tabs) if (Date.now() - heard > patience) this.#leave(tab);
  }

  #receive(tab, message) {
    if (message.here) tab.postMessage({there: true});
    if (message.token) this.#setToken(message.token);
    if (message.open) this.#open(tab, message);
    if (message.set) this.#set(tab, message.set, message.settings);
    if (message.close) this.#close(tab, message.close);
    if (message.cut) this.#streams.get(message.cut)?.cut();
    if (message.offline) this.#streams.get(message.offline)?.offline(message.ms);
    if (message.poll) this.#streams.get(message.poll)?.poll(message.on);
  }

  #tell(message) {
    for (const tab of this.#tabs.keys()) tab.postMessage(message);
  }

  #open(tab, {open: name, settings, position, anew}) {
    const stream = this.#streams.get(name);
    if (anew && stream && !stream.over) stream.reopen();
    if (stream?.listeners.size && (!settings || !stream.over)) return stream.join(tab, position);
    if (settings) return this.#start(name, settings, new Set(stream?.listeners).add(tab), false);
    const queue = this.#waiting.get(name) ?? [];
    this.#waiting.set(name, [...queue, tab]);
    if (queue.length === 0) tab.postMessage({stream: name, none: true});
  }

  /** Replaces the stream, if the service accepts the settings and nothing else was wished for meanwhile. */
  async #set(tab, name, settings) {
    const wish = {tab};
    this.#wishes.set(name, wish);
    const problem = await this.#check(name, settings);
    if (this.#wishes.get(name) !== wish) return;
    this.#wishes.delete(name);
    if (problem?.status === 403) this.#askForToken(this.#token, problem);
    if (problem) return tab.postMessage({refused: name, problem});
    const old = this.#streams.get(name);
    old?.flush();
    old?.close();
    this.#start(name, settings, new Set(old?.listeners).add(tab), true);
  }

  /** Asks the service what it has against the settings. A wait of nothing ends at once. */
  async #check(name, {query}) {
    if (name === "progress") return null; // whoever asks for a job starts it
    const headers = {Accept: "application/problem+json", ...(this.#token && {Authorization: `Bearer ${this.#token}`})};
    try {
      const response = await fetch(`/stream/${name}?${query}&wait=0`, {headers, signal: AbortSignal.timeout(checkFor)});
      const final = response.status >= 400 && response.status < 500 && ![401, 408, 425, 429].includes(response.status);
      const problem = final ? await response.json() : null;
      response.body?.cancel().catch(() => {});
      return problem;
    } catch {
      return null; // the stream itself says what is wrong
    }
  }

  #start(name, settings, listeners, reset) {
    this.#streams.get(name)?.close();
    const stream = new SharedStream(name, settings, () => this.#token, this.#askForToken);
    for (const tab of this.#waiting.get(name) ?? []) listeners.add(tab);
    this.#waiting.delete(name);
    stream.listeners = listeners;
    this.#streams.set(name, stream);
    for (const tab of listeners) tab.postMessage({stream: name, run: stream.run, query: settings.query, reset});
    stream.open();
  }

  #close(tab, name) {
    if (this.#wishes.get(name)?.tab === tab) this.#wishes.delete(name);
    this.#leaveQueue(tab, name);
    const stream = this.#streams.get(name);
    if (stream?.listeners.delete(tab) && stream.listeners.size === 0) stream.close();
  }

  #leaveQueue(tab, name) {
    const [first, ...rest] = this.#waiting.get(name) ?? [];
    this.#waiting.set(name, [first, ...rest].filter((other) => other && other !== tab));
    if (first === tab) rest[0]?.postMessage({stream: name, none: true});
  }

  #askForToken = (token, problem) => {
    if (token === this.#token) this.#tell({tokenNeeded: problem});
  };

  #setToken(token) {
    if (token !== this.#token) this.#tell({token});
    this.#token = token;
    for (const stream of this.#streams.values()) if (stream.refused && stream.listeners.size) stream.reopen();
  }

  /** Asks for /health again and again, one question at a time, as long as there is a tab. */
  async #askHealth() {
    if (this.#asking) return;
    this.#asking = true;
    while (this.#tabs.size > 0) {
      const health = await fetch("/health", {cache: "no-store", signal: AbortSignal.timeout(healthLimit)})
        .then((response) => response.json()).catch(() => null);
      this.#health = {health, at: health ? Date.now() : this.#health.at};
      this.#tell(this.#health);
      await new Promise((resolve) => setTimeout(resolve, healthEvery));
    }
    this.#asking = false;
  }
}

if ("SharedWorkerGlobalScope" in globalThis) {
  const hub = new Hub();
  addEventListener("connect", (/** @type {MessageEvent} */ {ports: [tab]}) => hub.serve(tab));
}
