// One stream, for all tabs that listen to it: what it was opened with, what came lately, and its tapped connection.
// What comes is a log of numbered updates, and a tab is a position in it.

import {openStream} from "./eventstream.js";
import {tap} from "./tap.js";

const pollFor = 20_000; // ms
const assumedHeartbeat = 15_000; // ms, until the service has named its own

/**
 * What a stream is opened with: a query, the event that ends it, how many events a tab gets that comes later, about,
 * and the id after which it begins.
 * @typedef {{query: string, until?: string, recent: number, after?: string}} Settings
 * The last that a tab has shown: the update with number n of a run, and the id of the last event.
 * @typedef {{run?: string, n?: number, after?: string}} Position
 * @typedef {object} Asker
 * @property {() => string} token of the next request, "" for none
 * @property {(token: string, problem: object) => void} onRefused the service does not accept the token
 * @property {(problem: object | null) => void} onJudged whether the service accepts the settings, or cannot say; more than once
 */

export class SharedStream {
  run = `${Date.now()} ${Math.random()}`; // names it among those before and after it
  listeners = new Set(); // ports of tabs
  over = false; // it has ended, and does not come back by itself
  refused = false; // because of its token
  #name;
  #settings;
  #asker;
  #tap = tap((report) => this.#add(report));
  #source = null;
  #state = "connecting";
  #problem = null; // why it is not open
  #token = ""; // of the newest request
  #heartbeat = 0; // ms, 0 if the server names none
  #log = []; // updates
  #n = 0; // of the newest update
  #dropped = 0; // of the newest one that is not kept any more
  #unsent = []; // updates that the listeners have not been sent yet

  /** @param {string} name @param {Settings} settings @param {Asker} asker */
  constructor(name, settings, asker) {
    this.#name = name;
    this.#settings = settings;
    this.#asker = asker;
  }

  /** Opens it, or goes on after the last event on a new connection. */
  open() {
    const {query, until, after} = this.#settings;
    const before = this.#source;
    const source = openStream(`/stream/${this.#name}?${query}`, {
      lastEventId: before?.lastEventId || after,
      until,
      heartbeat: assumedHeartbeat,
      headers: () => ((this.#token = this.#asker.token()) ? {Authorization: `Bearer ${this.#token}`} : undefined),
      fetch: this.#tap.fetch,
      onEvent: (event) => {
        this.#add({event});
        if (event.name === "busy") this.#setProblem(busy(JSON.parse(event.data)));
      },
      onState: (state) => source === this.#source && this.#setState(state),
      onProblem: (problem) => this.#setProblem(problem),
    });
    this.#source = source;
    before?.close();
    this.over = this.refused = false;
  }

  close() { this.#source?.close(); }
  cut() { this.#tap.cut("You have cut the connection"); }

  /** @param {number} ms */
  offline(ms) { this.#tap.offline(ms); }

  /** One response that stays open, or many that end, by the service's parameter wait. @param {boolean} on */
  poll(on) {
    this.#tap.poll = on ? pollFor : 0;
    this.#add({poll: on});
    this.open();
  }

  /** Sends a tab what follows its position, or, if nobody knows what that is, all that is kept. @param {MessagePort} port @param {Position} position */
  join(port, {run, n = 0, after = ""}) {
    this.listeners.add(port);
    const isInRun = run === this.run && n >= this.#dropped;
    const isAtBegin = after === (this.#settings.after ?? "") && this.#dropped === 0;
    port.postMessage({
      about: this.#name, run: this.run, query: this.#settings.query, reset: !isInRun && !isAtBegin,
      updates: [
        {poll: this.#tap.poll > 0, heartbeat: this.#heartbeat},
        ...this.#log.filter((update) => !isInRun || update.n > n),
        {state: this.#state, problem: this.#problem},
      ],
    });
  }

  /** Keeps an update for tabs that come later, and sends it to the listeners, together with what comes at the same time. */
  #add(update) {
    const numbered = {...update, n: ++this.#n};
    if (update.head) this.#heartbeat = update.head.heartbeat || 0;
    if (this.#unsent.push(numbered) === 1) setTimeout(() => this.#send());
    const kept = 3 * this.#settings.recent; // an event is an update, and so are its bytes and the comments between
    if (this.#log.push(numbered) > kept) this.#dropped = this.#log.shift().n;
  }

  #send() {
    const updates = this.#unsent;
    this.#unsent = [];
    for (const port of this.listeners) port.postMessage({about: this.#name, run: this.run, updates});
  }

  #setState(state) {
    this.#state = state;
    this.over = state === "closed";
    if (state === "open") this.#problem = null;
    this.#add({state});
    const refused = this.over && this.#problem?.status !== 401; // 401: another token may do
    if (state !== "connecting") this.#asker.onJudged(refused ? this.#problem : null);
  }

  #setProblem(problem) {
    this.#problem = problem;
    this.#add({problem});
    if (problem.status !== 401 && problem.status !== 403) return; // 403: another token may have the rights
    this.refused = true;
    this.#asker.onRefused(this.#token, problem);
  }
}

const busy = (problem) => ({...problem, detail: `The service is busy: ${problem.detail || problem.title}`});
