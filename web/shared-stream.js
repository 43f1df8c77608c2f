// One stream, for all tabs that listen to it: what it was opened with, what came lately, and its tapped connection.
// What comes is a log of numbered updates, and a tab is a position in it.

import {openStream} from "./eventstream.js";
import {Tap} from "./tap.js";

const pollFor = 20_000; // ms
const assumedHeartbeat = 15_000; // ms, until the service has named its own
const together = 30; // ms of updates that go to the tabs as one message
const most = 1_000_000; // characters of updates for a tab that comes later

/**
 * What a stream is opened with: a query, the event that ends it, how many events a tab gets that comes later, and the
 * id after which it begins.
 * @typedef {{query: string, until?: string, recent: number, after?: string}} Settings
 * The last that a tab has shown: the update with number n of a run, and the id of the last event.
 * @typedef {{run: string, n: number, after: string}} Position
 */

export class SharedStream {
  run = `${Date.now()} ${Math.random()}`; // names it among those before and after it
  listeners = new Set(); // ports of tabs
  refused = false; // it ended because of its token
  #name;
  #settings;
  #token;
  #onRefused;
  #lastEventId;
  #tap = new Tap((report) => this.#note(report));
  #source = null;
  #state = "connecting";
  #n = 0; // of the newest update
  #recent = []; // updates
  #size = 0; // of those, in characters
  #events = 0; // among those
  #dropped = 0; // the number of the newest update that is not kept any more
  #updates = []; // that the listeners have not been sent yet
  #timer = null;
  #problem = null; // why the stream is not open
  #sent = null; // the newest request, and how the connection ended after it
  #clean = false;
  #heartbeat = 0; // ms, 0 if the server names none

  /**
   * @param {string} name
   * @param {Settings} settings
   * @param {() => string} token of the next request, "" for none
   * @param {(token: string, problem: object) => void} onRefused told of a token that the service does not accept
   */
  constructor(name, settings, token, onRefused) {
    this.#name = name;
    this.#settings = settings;
    this.#token = token;
    this.#onRefused = onRefused;
    this.#lastEventId = settings.after ?? "";
  }

  get over() { return this.#state === "closed"; }

  open() {
    this.refused = false;
    const {query, until} = this.#settings;
    const before = this.#lastEventId;
    const source = openStream(`/stream/${this.#name}?${query}`, {
      lastEventId: before,
      until,
      heartbeat: assumedHeartbeat,
      headers: () => (this.#token() ? {Authorization: `Bearer ${this.#token()}`} : undefined),
      fetch: this.#tap.fetch,
      onEvent: (event) => {
        this.#lastEventId = source.lastEventId;
        this.#keep({event, at: Date.now()});
        if (event.name === "busy") this.#setProblem(busy(JSON.parse(event.data)));
      },
      onState: (state) => source === this.#source && this.#setState(state, source.lastEventId !== before),
      onProblem: (problem) => this.#setProblem(problem),
    });
    this.#source = source;
  }

  close() {
    this.#lastEventId = this.#source?.lastEventId || this.#lastEventId;
    const source = this.#source;
    this.#source = null; // what it reports from now on is of no interest
    source?.close();
    this.#state = "closed";
  }

  /** Goes on after the last event on a new connection. */
  reopen() {
    this.close();
    this.open();
  }

  cut() { this.#tap.cut("You have cut the connection"); }
  offline(ms) { this.#tap.offline(ms); }

  /** One response that stays open, or many that end, by the service's parameter wait. */
  poll(on) {
    this.#tap.poll = on ? pollFor : 0;
    this.#tell({poll: on});
    this.reopen();
  }

  /** Sends a tab what follows its position, or, if nobody knows what that is, all that is kept. @param {MessagePort} port @param {Position} position */
  join(port, position) {
    const {run, n, after} = position;
    this.flush();
    this.listeners.add(port);
    const isInRun = run === this.run && n >= this.#dropped;
    const isAtBegin = after === (this.#settings.after ?? "") && this.#dropped === 0;
    const updates = isInRun ? this.#recent.filter((update) => update.n > n) : this.#recent;
    port.postMessage({
      stream: this.#name, run: this.run, query: this.#settings.query, reset: !isInRun && !isAtBegin,
      updates: [{poll: this.#tap.poll > 0, heartbeat: this.#heartbeat}, ...updates, {state: this.#state}, {problem: this.#problem}],
    });
  }

  flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const updates = this.#updates;
    this.#updates = [];
    if (updates.length > 0) for (const port of this.listeners) port.postMessage({stream: this.#name, run: this.run, updates});
  }

  /** Sends all tabs an update soon. */
  #tell(update) {
    this.#updates.push({...update, n: ++this.#n});
    this.#timer ??= setTimeout(() => this.flush(), together);
  }

  /** Does that, and keeps the update for tabs that come later. */
  #keep(update) {
    this.#tell(update);
    this.#recent.push({...update, n: this.#n});
    this.#size += sizeOf(update);
    if (update.event) this.#events++;
    while (this.#size > most || this.#events > this.#settings.recent) {
      const oldest = this.#recent.shift();
      this.#dropped = oldest.n;
      this.#size -= sizeOf(oldest);
      if (oldest.event) this.#events--;
    }
  }

  #note(report) {
    if (report.sent) this.#sent = report;
    if (report.head) this.#heartbeat = report.head.heartbeat || 0;
    if (report.end !== undefined) this.#clean = report.clean;
    this.#keep(report);
  }

  #setState(state, progressed) {
    if (this.#tap.poll && state === "reconnecting" && this.#clean) {
      // The next poll follows at once, unless this one was empty and early.
      if (progressed || Date.now() - this.#sent.at >= 0.9 * this.#tap.poll) return this.reopen();
    }
    if (this.#tap.poll && state === "connecting" && this.#state === "closed") return; // it is between two polls
    this.#state = state;
    if (state === "open") this.#problem = null;
    this.#tell({state});
  }

  #setProblem(problem) {
    this.#problem = problem;
    this.#tell({problem});
    if (problem.status !== 401 && problem.status !== 403) return; // 403: another token may have the rights
    this.refused = true;
    this.#onRefused(this.#sent.sent.token, problem);
  }
}

const busy = (problem) => ({...problem, detail: `The service is busy: ${problem.detail || problem.title}`});

const sizeOf = ({event, text}) => (event?.data ?? text ?? "").length + 100;
