// A client for Server-Sent Events, to be copied: one module without dependencies, for browsers, workers and Node 20.
// Unlike EventSource it can set headers and POST, reports errors and goes on after them, and notices a dead connection.
//
//   const stream = openStream("/stream/channel?name=news", {onEvent: ({id, name, data}) => …});
//   stream.close();
//
// On another origin the server has to expose SSE-Heartbeat, Last-Event-ID, Location and Retry-After to it, and to
// allow Last-Event-ID in a preflight: of the requests that send it, browsers exempt only EventSource's own.

/**
 * @typedef {"connecting" | "open" | "reconnecting" | "closed"} State
 * @typedef {{id: string, name: string, data: string}} StreamEvent id: the last one as of this event; name: or "message"
 * Problem details (RFC 9457): the server's own, or title and status of its status line. The status is 0 if there is
 * none: the network failed, the stream was silent for too long, or one of the caller's functions has thrown.
 * @typedef {{title: string, status: number, detail?: string, [member: string]: unknown}} Problem
 * @typedef {object} Options
 * @property {string} [lastEventId] begin after this event
 * @property {Asked<HeadersInit | undefined>} [headers]
 * @property {string} [method] GET, or POST if there is a body. Only GET is repeated; others go on by GET at Location
 * @property {Asked<BodyInit | null | undefined>} [body]
 * @property {RequestCredentials} [credentials] as for fetch
 * @property {string} [until] name of the event that ends the stream
 * @property {number} [heartbeat] ms, if the server sends no SSE-Heartbeat: three times that without a byte is too long
 * @property {"close"} [hidden] close the connection of a page that has been hidden for a minute, until it is shown
 * @property {AbortSignal} [signal] closes the stream
 * @property {(event: StreamEvent) => unknown} [onEvent]
 * @property {(state: State) => unknown} [onState]
 * @property {(problem: Problem) => unknown} [onProblem]
 * @property {(url: URL, init: RequestInit) => Promise<Response>} [fetch] instead of the global one: to watch the bytes
 *
 * What follows an attempt: the end, or the next attempt after delay ms, which are not cut short if firm.
 * @typedef {{problem?: Problem, over?: boolean, delay?: number, firm?: boolean}} Outcome
 */
/** A value, or a function that is asked before each attempt. @template T @typedef {T | (() => T | Promise<T>)} Asked */

const RETRY = 3_000; // ms between attempts, until the server names another time
const MAX_RETRY = 60_000; // ms, up to which attempts without an event double it
const MAX_POLL = 25_000; // ms of a long poll: many proxies end a silent request after 30 s
const MAX_HIDDEN = 60_000; // ms
const MAX_PROBLEM = 10_000; // ms in which the body of a problem has to come
const TICK = 2_000; // ms in which a sleep of the machine is noticed
const HIDDEN = new Error("The page is hidden");
const SILENT = new Error("No byte came for three heartbeats");
const ONCE = "The request may have been acted on, and no Location says where to go on, so it is not sent again.";

/**
 * Opens a stream that reconnects by itself. No handler is called before openStream has returned, or after "closed".
 * @param {Asked<string | URL>} url @param {Options} [options]
 */
export function openStream(url, options = {}) {
  const {headers, body, credentials, until, hidden, signal, onEvent, onState, onProblem} = options;
  const method = options.method?.toUpperCase() ?? (body == null ? "GET" : "POST");
  const ended = new AbortController();
  let connection = new AbortController(); // of the present attempt
  let state = /** @type {State} */ ("connecting");
  let lastEventId = options.lastEventId ?? "";
  let heartbeat = options.heartbeat || Infinity; // ms
  let retry = RETRY, waits = 0; // since the last event
  let endWait = () => {};
  let paused = false; // the page was hidden for too long
  let stranded = false; // the request may have been acted on, and there is no Location yet
  let location = /** @type {URL | undefined} */ (undefined); // where GET goes on
  let origin = ""; // of the last request but those to location: the headers are for it
  let refusals = 0, silences = 0; // in a row: answers of 401, connections that died without a byte
  let pollTime = 0; // ms of a long poll, if something on the way buffers
  let started = 0, firstByte = Infinity; // times of the present request, by Date
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let hideTimer;

  signal?.addEventListener("abort", close, {signal: ended.signal});
  for (const e of ["online", "pageshow"]) globalThis.addEventListener?.(e, () => endWait(), {signal: ended.signal});
  globalThis.document?.addEventListener("visibilitychange", visibilityChanged, {signal: ended.signal});
  queueMicrotask(run);
  return {close, get state() { return state; }, get lastEventId() { return lastEventId; }};

  function close() {
    if (ended.signal.aborted) return;
    ended.abort();
    connection.abort();
    clearTimeout(timer);
    clearTimeout(hideTimer);
    setState("closed");
  }

  /** @param {State} next */
  function setState(next) {
    if (next === state || (ended.signal.aborted && next !== "closed")) return;
    state = next;
    notify(onState, state);
  }

  // Reconnecting.

  async function run() {
    if (signal?.aborted || ended.signal.aborted) return close();
    if (globalThis.document) visibilityChanged();
    notify(onState, state);
    while (!ended.signal.aborted) {
      const {problem, over, delay = 0, firm} = await attempt();
      if (problem && !ended.signal.aborted) notify(onProblem, problem);
      if (over) close();
      if (delay > 0 && (problem || !pollTime)) setState("reconnecting");
      if (delay > 0) await wait(delay, firm);
      while (paused) await wait(Infinity);
    }
  }

  /** @param {number} ms @param {boolean} [firm] not to be cut short @returns {Promise<void>} */
  function wait(ms, firm) {
    return new Promise((done) => {
      endWait = firm ? () => {} : done;
      after(ms, done);
    });
  }

  /** The server's retry, doubled by each attempt without an event, ± 50 %. */
  function backoff() {
    return Math.min(Math.max(retry, 1) * 2 ** waits++, Math.max(retry, MAX_RETRY)) * (0.5 + Math.random());
  }

  function visibilityChanged() {
    clearTimeout(hideTimer);
    paused = false;
    if (document.visibilityState !== "hidden") endWait();
    else if (hidden === "close") hideTimer = setTimeout(pause, MAX_HIDDEN);
  }

  function pause() {
    if (stranded) { hideTimer = setTimeout(pause, MAX_HIDDEN); return; } // there would be no way back yet
    paused = true;
    setState("reconnecting");
    connection.abort(HIDDEN);
  }

  /** Calls then after ms, a sleep of the machine included. @param {number} ms @param {() => void} then */
  function after(ms, then) {
    const from = Date.now(), step = Math.min(ms, TICK);
    clearTimeout(timer);
    if (!ended.signal.aborted) timer = setTimeout(() => {
      const left = ms - Math.max(step, Date.now() - from); // timers stand still in a sleep, Date does not
      left > 0 ? after(left, then) : then();
    }, step);
  }

  // One connection.

  async function attempt() {
    const {signal} = connection = new AbortController();
    firstByte = Infinity;
    try {
      return await judge(await request(signal));
    } catch (error) {
      return lost(signal.aborted ? signal.reason : error);
    } finally {
      if (!signal.aborted) silences = 0;
      clearTimeout(timer);
      connection.abort(); // ends a response that was not read
    }
  }

  /** @param {AbortSignal} signal */
  async function request(signal) {
    const target = new URL(location ?? new Request(await ask(url)).url); // relative to the page or worker
    if (!location) origin = target.origin;
    if (pollTime) target.searchParams.set("wait", String(pollTime));
    const sent = new Headers(target.origin === origin ? await ask(headers) : undefined);
    if (!sent.has("Accept")) sent.set("Accept", "text/event-stream");
    if (lastEventId) sent.set("Last-Event-ID", String.fromCharCode(...new TextEncoder().encode(lastEventId)));
    const init = {method: location ? "GET" : method, body: location ? null : await ask(body), headers: sent};
    signal.throwIfAborted();
    stranded = init.method !== "GET";
    started = Date.now();
    alive();
    return (options.fetch ?? fetch)(target, {...init, credentials, cache: "no-store", signal});
  }

  /** @param {Response} response @returns {Promise<Outcome>} */
  async function judge(response) {
    const {status, ok} = response;
    refusals = status === 401 ? refusals + 1 : 0;
    if (status === 204) return {over: true};
    const found = ok && stranded && response.headers.get("Location");
    if (found) location = new URL(found, response.url || origin);
    if (found || [401, 429, 503].includes(status)) stranded = false;
    if (ok && hasType(response, "text/event-stream")) return read(response);
    const atLeast = retryAfter(response.headers.get("Retry-After") ?? "");
    const later = atLeast > 0 && {delay: atLeast * (1 + Math.random() / 2), firm: true};
    if (found && status !== 200) return {...later}; // 202: the stream is there

    const problem = await problemOf(response);
    const final = status >= 400 && status < 500 && ![401, 408, 425, 429].includes(status);
    const over = final || stranded || refusals > 1;
    return {problem, over, ...(later || {delay: refusals ? 0 : backoff()})};
  }

  /** @param {Response} response @returns {Promise<Problem>} */
  async function problemOf(response) {
    const problem = {title: response.statusText || `HTTP ${response.status}`, status: response.status};
    if (response.ok) return {...problem, detail: "The answer is no text/event-stream"};
    if (!hasType(response, "application/problem+json")) return problem;
    after(MAX_PROBLEM, () => connection.abort());
    return response.json().then((details) => ({...problem, ...details}), () => problem);
  }

  /** @param {Response} response @returns {Promise<Outcome>} */
  async function read(response) {
    const begin = response.headers.get("Last-Event-ID") ?? "";
    heartbeat = Math.max(0, Number(response.headers.get("SSE-Heartbeat"))) || options.heartbeat || Infinity;
    lastEventId ||= begin; // one's own remains until an event follows, because a gap before that could be lost
    const before = lastEventId, parser = new Parser(before, begin || before), decoder = new TextDecoder();
    const reader = response.body?.getReader();
    alive();
    setState("open");
    for (let chunk; (chunk = await reader?.read()) && !chunk.done && !ended.signal.aborted;) { // close() may have come first
      alive();
      firstByte = Math.min(firstByte, Date.now());
      for (const event of parser.feed(decoder.decode(chunk.value, {stream: true}))) {
        lastEventId = parser.lastEventId;
        waits = 0;
        notify(onEvent, event);
        if (ended.signal.aborted || event.name === until) return {over: true};
      }
      lastEventId = parser.lastEventId;
      retry = parser.retry ?? retry;
    }
    if (stranded) return {over: true, problem: {title: "The stream has ended", status: response.status, detail: ONCE}};
    const atOnce = pollTime && (lastEventId !== before || Date.now() - started >= 0.9 * pollTime);
    if (Date.now() - firstByte > heartbeat) pollTime = 0; // it began long before it ended: nothing buffers any more
    return {delay: atOnce ? 0 : backoff()};
  }

  /** A byte has come: waits for the next. */
  function alive() {
    after(3 * heartbeat, () => connection.abort(SILENT));
  }

  /** @param {unknown} reason why there is no response, or no more of it @returns {Outcome} */
  function lost(reason) {
    refusals = 0;
    if (reason === HIDDEN) return {};
    const problem = {title: reason instanceof Error ? reason.message : String(reason), status: 0};
    if (stranded) return {over: true, problem: {...problem, detail: ONCE}};
    silences = reason === SILENT && firstByte === Infinity ? silences + 1 : 0;
    if (silences < 2 || pollTime) return {problem, delay: backoff()};
    pollTime = Math.min(MAX_POLL, Math.ceil(2 * heartbeat)); // ends before it counts as dead
    return {problem, delay: 1};
  }
}

/** Parses a stream, piece by piece, as WHATWG HTML 9.2.6 says. */
class Parser {
  /** @type {number | undefined} */ retry; // ms
  name = ""; data = "";
  line = ""; // the beginning of one that has not ended
  afterCR = false; // if an LF follows, it belongs to that CR

  constructor(lastEventId = "", id = "") {
    this.lastEventId = lastEventId; // as of the last complete block
    this.id = id; // as of the last line
  }

  /** @param {string} text @returns {Generator<StreamEvent>} */
  *feed(text) {
    if (text === "") return;
    const lines = (this.afterCR ? text.replace(/^\n/, "") : text).split(/\r\n|\r|\n/);
    this.afterCR = text.endsWith("\r");
    lines[0] = this.line + lines[0];
    this.line = lines.pop() ?? "";
    for (const line of lines) {
      if (line !== "") { this.field(line); continue; }
      this.lastEventId = this.id;
      if (this.data !== "") yield {id: this.id, name: this.name || "message", data: this.data.slice(0, -1)};
      this.name = this.data = "";
    }
  }

  /** @param {string} line */
  field(line) {
    const colon = `${line}:`.indexOf(":"); // at 0: a comment
    const field = line.slice(0, colon), value = line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.data += `${value}\n`;
    else if (field === "event") this.name = value;
    else if (field === "id" && !value.includes("\0")) this.id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
  }
}

/** @template T @param {((value: T) => unknown) | undefined} handler @param {T} value */
function notify(handler, value) { // what it throws, now or later, does not end the stream
  (async () => handler?.(value))().catch(globalThis.reportError ?? console.error);
}

/** @template T @param {Asked<T>} value */
const ask = async (value) => (typeof value === "function" ? /** @type {() => T} */ (value)() : value);

/** @param {Response} response @param {string} type */
const hasType = ({headers}, type) => headers.get("Content-Type")?.split(";")[0]?.trim().toLowerCase() === type;

/** The ms that Retry-After names, in seconds or as a date; NaN for neither. @param {string} header */
const retryAfter = (header) => (/^[\d.]+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now());
