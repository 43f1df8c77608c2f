// One stream, for all tabs that listen to it: what it was opened with, what came lately, and its line.

import {openStream} from "./eventstream.js";
import {Line} from "./line.js";

const pollFor = 20_000; // ms
const assumedHeartbeat = 15_000; // ms, until the service has named its own
const together = 30; // ms of updates that go to the tabs as one message
const wireKeeps = 40_000; // characters for a tab that comes later
const eventsKeep = 1_000_000; // characters, too

/**
 * What a stream is opened with: a query, the event that ends it, and how many events a tab gets that comes later.
 * @typedef {{query: string, until?: string, recent: number, after?: string}} Settings
 */

export class SharedStream {
  listeners = new Set(); // ports of tabs
  lastEventId = "";
  #name;
  #settings;
  #token;
  #onRefused;
  #line = new Line((report) => this.#note(report));
  #source = null;
  #state = "connecting";
  #events = new Recent(eventsKeep);
  #wire = new Recent(wireKeeps);
  #updates = []; // that the listeners have not been sent yet
  #timer = null;
  #problem = null; // why the stream is not open
  #sent = null; // the newest request, and how the line ended after it
  #clean = false;

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
    this.lastEventId = settings.after ?? "";
  }

  get settings() { return this.#settings; }
  get over() { return this.#state === "closed"; }
  refused = false; // it ended because of its token

  open() {
    this.refused = false;
    const {query, until} = this.#settings;
    const before = this.lastEventId;
    const source = openStream(`/stream/${this.#name}?${query}`, {
      lastEventId: before,
      until,
      heartbeat: assumedHeartbeat,
      headers: () => (this.#token() ? {Authorization: `Bearer ${this.#token()}`} : undefined),
      fetch: this.#line.fetch,
      onEvent: (event) => {
        this.lastEventId = source.lastEventId;
        const update = {event, at: Date.now()};
        this.#events.add(update, event.data.length + 100, this.#settings.recent);
        this.#tell(update);
        if (event.name === "busy") this.#setProblem(busy(JSON.parse(event.data)));
      },
      onState: (state) => source === this.#source && this.#setState(state, source.lastEventId !== before),
      onProblem: (problem) => this.#setProblem(problem),
    });
    this.#source = source;
  }

  close() {
    this.lastEventId = this.#source?.lastEventId || this.lastEventId;
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

  cut() { this.#line.cut("You have cut the connection"); }
  offline(ms) { this.#line.offline(ms); }

  /** One response that stays open, or many that end, by the service's parameter wait. */
  poll(on) {
    this.#line.poll = on ? pollFor : 0;
    this.#tell({poll: on});
    this.reopen();
  }

  /** What a tab needs that comes now. */
  join(port) {
    this.flush();
    this.listeners.add(port);
    const updates = [{poll: this.#line.poll > 0}, ...this.#wire.all, ...this.#events.all.map((update) => ({...update, recent: true})), {state: this.#state}, {problem: this.#problem}];
    port.postMessage({stream: this.#name, query: this.#settings.query, reset: true, updates});
  }

  flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const updates = this.#updates;
    this.#updates = [];
    if (updates.length > 0) for (const port of this.listeners) port.postMessage({stream: this.#name, updates});
  }

  #tell(update) {
    this.#updates.push(update);
    this.#timer ??= setTimeout(() => this.flush(), together);
  }

  #note(report) {
    if (report.sent) this.#sent = report;
    if (report.end !== undefined) this.#clean = report.clean;
    this.#wire.add(report, (report.text ?? "").length + 100);
    this.#tell(report);
  }

  #setState(state, progressed) {
    if (this.#line.poll && state === "reconnecting" && this.#clean) {
      // The next poll follows at once, unless this one was empty and early.
      if (progressed || Date.now() - this.#sent.at >= 0.9 * this.#line.poll) return this.reopen();
    }
    if (this.#line.poll && state === "connecting" && this.#state === "closed") return; // it is between two polls
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

/** The newest of a sequence, up to a number and a size. */
class Recent {
  all = [];
  #sizes = [];
  #size = 0;
  #most;

  constructor(most) {
    this.#most = most;
  }

  add(item, size, number = Infinity) {
    this.all.push(item);
    this.#sizes.push(size);
    this.#size += size;
    while (this.all.length > 1 && (this.#size > this.#most || this.all.length > number)) {
      this.all.shift();
      this.#size -= this.#sizes.shift();
    }
  }
}
