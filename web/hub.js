// The streams of the page, shared by its tabs. Over HTTP/1.1 a browser opens six connections to one origin, in all
// tabs together: with four streams in each, the second tab would be frozen. So one hub, in a SharedWorker, has one
// stream of each kind, and every tab listens to those.
//
// A tab sends
//   {here}                     it is there; from a tab that the hub does not know, this makes it join
//   {bye}                      it leaves
//   {open: NAME, settings, position}   listen; the stream is opened if nobody else listens. Without settings: whatever
//                              runs. What follows the position is sent
//   {set: NAME, settings}      the stream anew with these, for all tabs
//   {close: NAME}              listen no more
//   {call: "cut" | "offline" | "poll" | "open", of: NAME, value}   the method of shared-stream.js
//   {token}                    that the service has accepted, for all requests from now on
// and is sent
//   {ready}                    it has joined, and may say what it wants
//   {there}                    the answer to {here}
//   {about: NAME, run, query, reset, updates}   of this query; updates are those of shared-stream.js and tap.js
//   {about: NAME, none}        nothing runs, and it is up to this tab what does
//   {about: NAME, refused: problem}   the service does not accept the settings; what runs goes on
//   {about: "health", health, at}, {about: "token", token}, {about: "token", needed: problem}

import {SharedStream} from "./shared-stream.js";

const patience = 180_000; // ms without a message until a tab counts as gone: in a hidden one timers may run once a minute
const lookEvery = 20_000; // ms
const healthEvery = 2_000; // ms between an answer and the next question
const healthLimit = 5_000; // ms

export class Hub {
  #tabs = new Map(); // the time at which each was last heard, Unix ms
  #streams = new Map();
  #wishes = new Map(); // by stream: {tab, stream}, the newest settings, which the service has not accepted yet
  #waiting = new Map(); // by stream: a set of tabs that take what the first of them will run
  #token = "";
  #health = {about: "health", health: null, at: 0}; // the newest answer, null if there is none, and the time of the last one
  #asking = false;

  constructor() {
    setInterval(() => { // a tab that crashed, or was closed on a busy machine, says no bye
      for (const [tab, heard] of this.#tabs) if (Date.now() - heard > patience) this.#leave(tab);
    }, lookEvery);
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
    if (this.#token) tab.postMessage({about: "token", token: this.#token});
    if (this.#health.at) tab.postMessage(this.#health);
    this.#askHealth();
  }

  #leave(tab) {
    for (const name of [...this.#streams.keys(), ...this.#waiting.keys()]) this.#close(tab, name);
    this.#tabs.delete(tab);
  }

  #receive(tab, message) {
    if (message.here) tab.postMessage({there: true});
    if (message.token) this.#setToken(message.token);
    if (message.open) this.#open(tab, message);
    if (message.set) this.#set(tab, message.set, message.settings);
    if (message.close) this.#close(tab, message.close);
    if (message.call) this.#streams.get(message.of)?.[message.call](message.value);
  }

  #tell(message) {
    for (const tab of this.#tabs.keys()) tab.postMessage(message);
  }

  #open(tab, {open: name, settings, position}) {
    const stream = this.#streams.get(name);
    if (stream?.listeners.size && (!settings || !stream.over)) return stream.join(tab, position);
    if (!settings) return this.#wait(tab, name);
    const next = this.#create(name, settings);
    this.#replace(name, next, tab, {after: settings.after});
    next.open();
  }

  /** Lets a tab wait for what the first of those that wait will run. It asks again now and then. */
  #wait(tab, name) {
    const tabs = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, tabs.add(tab));
    const [first] = tabs;
    if (tab === first) tab.postMessage({about: name, none: true});
  }

  /** Opens a stream with these settings, which replaces the present one unless the service refuses it. The last wish counts. */
  #set(tab, name, settings) {
    this.#dropWish(name);
    const stream = this.#create(name, settings, (problem) => {
      if (this.#wishes.get(name)?.stream !== stream) return;
      this.#wishes.delete(name);
      if (problem) tab.postMessage({about: name, refused: problem});
      else this.#replace(name, stream, tab, {});
    });
    this.#wishes.set(name, {tab, stream});
    stream.open();
  }

  #dropWish(name) {
    const wish = this.#wishes.get(name);
    this.#wishes.delete(name);
    wish?.stream.close();
  }

  #create(name, settings, onJudged = (_) => {}) {
    const onRefused = (token, problem) => token === this.#token && this.#tell({about: "token", needed: problem});
    return new SharedStream(name, settings, {token: () => this.#token, onRefused, onJudged});
  }

  /** Makes a stream the one that a tab, all that wait and all that listen now have. */
  #replace(name, stream, tab, position) {
    const old = this.#streams.get(name);
    const listeners = new Set([...old?.listeners ?? [], ...this.#waiting.get(name) ?? [], tab]);
    this.#waiting.delete(name);
    this.#streams.set(name, stream);
    old?.listeners.clear();
    old?.close();
    for (const tab of listeners) stream.join(tab, position);
  }

  #close(tab, name) {
    if (this.#wishes.get(name)?.tab === tab) this.#dropWish(name);
    this.#waiting.get(name)?.delete(tab);
    const stream = this.#streams.get(name);
    if (stream?.listeners.delete(tab) && stream.listeners.size === 0) stream.close();
  }

  #setToken(token) {
    if (token !== this.#token) this.#tell({about: "token", token});
    this.#token = token;
    for (const stream of this.#streams.values()) if (stream.refused && stream.listeners.size) stream.open();
  }

  /** Asks for /health again and again, one question at a time, as long as there is a tab. */
  async #askHealth() {
    if (this.#asking) return;
    this.#asking = true;
    while (this.#tabs.size > 0) {
      const health = await fetch("/health", {cache: "no-store", signal: AbortSignal.timeout(healthLimit)})
        .then((response) => response.json()).catch(() => null);
      this.#health = {...this.#health, health, at: health ? Date.now() : this.#health.at};
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
