// The streams of the page, shared by its tabs. Over HTTP/1.1 a browser opens six connections to one origin, in all
// tabs together: with four streams in each, the second tab would be frozen. So one hub, in a SharedWorker, has one
// stream of each kind, and every tab listens to those.
//
// A tab is anything with postMessage. It sends
//   {open: NAME, settings}     listen; the stream is opened if nobody else listens. Without settings: whatever runs
//   {set: NAME, settings}      the stream anew with these, for all tabs
//   {close: NAME}              listen no more
//   {cut: NAME}, {offline: NAME, ms}, {poll: NAME, on}   break it
//   {token}                    that the service has accepted, for all requests from now on
// and is sent
//   {ready}                    once it has joined
//   {stream: NAME, query, reset, updates}   what follows is of this query; updates are those of shared.js and line.js
//   {stream: NAME, none}       nothing runs, and it is up to this tab what does
//   {refused: NAME, problem}   the service does not accept the settings; what runs goes on
//   {health, at}, {token}, {tokenNeeded: problem}

import {Health} from "./health.js";
import {SharedStream} from "./shared.js";

const checkFor = 8_000; // ms in which settings have to be judged; what is not judged is tried

export class Hub {
  #tabs = new Set();
  #streams = new Map();
  #waiting = new Map(); // by stream: tabs that take what the first of them will run
  #token = "";
  #health = new Health((health) => this.#tell(health));

  join(tab) {
    this.#tabs.add(tab);
    tab.postMessage({ready: true});
    if (this.#token) tab.postMessage({token: this.#token});
    this.#health.start(tab);
  }

  leave(tab) {
    for (const name of this.#streams.keys()) this.#leaveStream(tab, name);
    for (const name of this.#waiting.keys()) this.#leaveQueue(tab, name);
    this.#tabs.delete(tab);
    if (this.#tabs.size === 0) this.#health.stop();
  }

  receive(tab, message) {
    if (message.token) this.#setToken(message.token);
    if (message.open) this.#open(tab, message.open, message.settings);
    if (message.set) this.#set(tab, message.set, message.settings);
    if (message.close) this.#leaveStream(tab, message.close);
    if (message.close) this.#leaveQueue(tab, message.close);
    if (message.cut) this.#streams.get(message.cut)?.cut();
    if (message.offline) this.#streams.get(message.offline)?.offline(message.ms);
    if (message.poll) this.#streams.get(message.poll)?.poll(message.on);
  }

  #tell(message) {
    for (const tab of this.#tabs) tab.postMessage(message);
  }

  #open(tab, name, settings) {
    const stream = this.#streams.get(name);
    if (stream?.listeners.size && (!settings || !stream.over)) return stream.join(tab);
    if (settings) return this.#start(name, settings, new Set(stream?.listeners).add(tab), false);
    const queue = this.#waiting.get(name) ?? [];
    this.#waiting.set(name, [...queue, tab]);
    if (queue.length === 0) tab.postMessage({stream: name, none: true});
  }

  async #set(tab, name, settings) {
    const problem = await this.#check(name, settings);
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
    for (const tab of listeners) tab.postMessage({stream: name, query: settings.query, reset, updates: []});
    stream.open();
  }

  #leaveStream(tab, name) {
    const stream = this.#streams.get(name);
    if (!stream?.listeners.delete(tab)) return;
    if (stream.listeners.size === 0) stream.close();
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
}
