// A client for Server-Sent Events, to be copied: one module without dependencies, for browsers, workers and Node 20.
// Unlike EventSource it can set headers and POST, reports errors and goes on after them, and notices a dead connection.
//
//   const stream = openStream("/stream/channel?name=news", {
//     onEvent: ({id, name, data}) => { name === "gap" ? loadAnew() : show(data); },
//   }); // until stream.close()
//
// On another origin the server has to expose SSE-Heartbeat, Last-Event-ID, Location and Retry-After to it, and to
// allow Last-Event-ID in a preflight: of the requests that send it, browsers exempt only EventSource's own.

/** @typedef {"connecting" | "open" | "reconnecting" | "closed"} State */
/** id: the last one as of this event; name: or "message". @typedef {{id: string, name: string, data: string}} StreamEvent */
/** lastEventId: the last one that can be sent back. @typedef {{close(): void, readonly state: State, readonly lastEventId: string}} EventStream */
/** A value, or a function that is asked before each attempt. @template T @typedef {T | (() => T | Promise<T>)} Asked */
/**
 * Problem details (RFC 9457): the server's own, or title and status of its status line. The status is 0 if there is
 * none: the network failed, the stream was silent for too long, or one of the caller's functions has thrown.
 * @typedef {{title: string, status: number, detail?: string, [member: string]: unknown}} Problem
 */
/**
 * @typedef {object} Options
 * @property {string} [lastEventId] begin after this event
 * @property {Asked<HeadersInit | undefined>} [headers]
 * @property {string} [method] GET, or POST if there is a body. Only GET is repeated; others go on by GET at Location
 * @property {Asked<BodyInit | null | undefined>} [body] a ReadableStream can be sent once; a function can give a new one
 * @property {RequestCredentials} [credentials] as for fetch
 * @property {string} [until] name of the event that ends the stream
 * @property {number} [heartbeat] ms, if the server sends no SSE-Heartbeat: three times that without a byte is too long
 * @property {"close"} [hidden] close the connection of a page that has been hidden for a minute, until it is shown
 * @property {AbortSignal} [signal] closes the stream
 * @property {(event: StreamEvent) => unknown} [onEvent]
 * @property {(state: State) => unknown} [onState]
 * @property {(problem: Problem) => unknown} [onProblem]
 * @property {(url: URL, init: RequestInit) => Promise<Response>} [fetch] instead of the global one: to watch the bytes
 */

const RETRY = 3_000; // ms between attempts, until the server names another time
const MAX_RETRY = 60_000; // ms, up to which failed attempts double it
const MIN_RETRY = 100; // ms after a successful attempt, however short the server's retry is
const MAX_POLL = 25_000; // ms of a long poll: many proxies end a silent request after 30 s
const MIN_POLLING = 60_000, MAX_POLLING = 3_600_000; // ms of polling before a plain stream is tried: doubled if that fails
const MAX_TRIAL = 5_000; // ms in which that has to bring a byte: events may be late by it
const MAX_HIDDEN = 60_000; // ms
const MAX_PROBLEM = 10_000; // ms in which the body of a problem has to come
const MAX_ID = 4_096; // bytes of an id that is sent back: many servers take heads of 8 kB
const TICK = 2_000; // ms in which a sleep of the machine is noticed
const SILENT = new Error("No byte came for three heartbeats");
const HIDDEN = new Error("The page is hidden");
const encoder = new TextEncoder();

/**
 * Opens a stream that reconnects by itself. No handler is called before openStream has returned, or after "closed".
 * @param {Asked<string | URL>} url @param {Options} [options] @returns {EventStream}
 */
export function openStream(url, options = {}) {
  // The end if over, or the next attempt after delay ms (else the usual), not cut short if firm; cause: a status, or why no byte came
  /** @typedef {{problem?: Problem, over?: boolean, delay?: number, firm?: boolean, cause?: unknown}} Outcome */
  const {headers, body, credentials, until, hidden, signal, onEvent, onState, onProblem} = options;
  const method = options.method?.toUpperCase() ?? (body == null ? "GET" : "POST");
  const ended = new AbortController();
  let state = /** @type {State} */ ("connecting");
  let lastEventId = ""; // the last one that can be sent back
  let heartbeat = options.heartbeat || Infinity; // ms
  let retry = RETRY, failures = 0; // since the last successful attempt
  let previous = /** @type {Outcome} */ ({}); // of the attempt before
  let polling = 0, pollUntil = 0; // if something on the way buffers: ms of polling, and the time at which they are over
  let location = /** @type {URL | undefined} */ (undefined); // where GET goes on
  let origin = ""; // of the last request but those to location: the headers are for it
  let connection = new AbortController(); // of the present attempt, as are
  let started = 0, firstByte = Infinity; // times by Date
  let succeeded = false, pollTime = 0; // ms, if it is a long poll
  let whyFinal = ""; // why there is no next attempt if this one fails
  let paused = false; // the page was hidden for too long, or is in the back/forward cache
  let endWait = () => {};
  const isTrial = () => pollUntil && !pollTime && firstByte === Infinity; // of a plain stream
  const watch = () => after(Math.min(3 * heartbeat, isTrial() ? MAX_TRIAL : Infinity), () => connection.abort(SILENT));
  let timer = /** @type {any} */ (undefined), hideTimer = timer;

  remember(options.lastEventId ?? "");
  signal?.addEventListener("abort", close, {signal: ended.signal});
  for (const type of ["online", "pagehide", "pageshow"]) globalThis.addEventListener?.(type, pageChanged, {signal: ended.signal});
  globalThis.document?.addEventListener("visibilitychange", pageChanged, {signal: ended.signal});
  queueMicrotask(run);
  return {close, get state() { return state; }, get lastEventId() { return lastEventId; }};

  function close() {
    ended.abort();
    connection.abort();
    clearTimeout(timer);
    clearTimeout(hideTimer);
    setState("closed");
  }

  /** @param {State} next */
  function setState(next) {
    if (next !== state && state !== "closed") notify(onState, state = next);
  }

  /** @param {string} id */
  function remember(id) {
    if (!/[\0-\x1f\x7f]/.test(id) && encoder.encode(id).length <= MAX_ID) lastEventId = id;
  }

  async function run() {
    if (signal?.aborted || ended.signal.aborted) return close();
    pageChanged();
    notify(onState, state);
    while (!ended.signal.aborted) {
      previous = await attempt();
      const {problem, over, delay = backoff(), firm} = previous;
      if (problem && !ended.signal.aborted) notify(onProblem, problem);
      if (over) close();
      if (delay > 0 && (problem || !pollTime)) setState("reconnecting");
      if (delay > 0) await wait(delay, firm);
      while (paused) await wait(Infinity);
    }
  }

  /** The server's retry, doubled by each failed attempt, ± 50 %. */
  function backoff() {
    const usual = Math.min(Math.max(retry, 1) * 2 ** failures++, Math.max(retry, MAX_RETRY)) * (0.5 + Math.random());
    return succeeded ? Math.max(usual, MIN_RETRY) : usual;
  }

  /** @param {number} ms @param {boolean} [firm] not to be cut short @returns {Promise<void>} */
  function wait(ms, firm) {
    return new Promise((done) => {
      if (!firm) endWait = done;
      after(ms, done);
    });
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

  /** Follows the page and its network. @param {{type: string}} [event] none at the beginning */
  function pageChanged({type} = {type: ""}) {
    if (type === "online") return endWait();
    clearTimeout(hideTimer);
    if (type === "pagehide") return pause();
    if (type === "pageshow" || globalThis.document?.visibilityState !== "hidden") {
      paused = false;
      endWait();
    } else if (hidden === "close") hideTimer = setTimeout(pause, MAX_HIDDEN);
  }

  function pause() {
    if (whyFinal) return hideTimer = setTimeout(pause, MAX_HIDDEN); // there is no way back yet
    paused = true;
    setState("reconnecting");
    connection.abort(HIDDEN);
  }

  /** @returns {Promise<Outcome>} */
  async function attempt() {
    const {signal} = connection = new AbortController();
    firstByte = Infinity;
    pollTime = Date.now() < pollUntil ? Math.min(MAX_POLL, Math.ceil(2 * heartbeat)) : 0; // ends before it counts as dead
    succeeded = false;
    const wasTrial = isTrial();
    try {
      return await judge(await request());
    } catch (error) {
      return lost(signal.aborted ? signal.reason : error);
    } finally {
      const alive = Date.now() - (signal.reason === SILENT ? 3 * heartbeat : 0); // the last time it was
      if (firstByte === Infinity && signal.reason !== HIDDEN && (wasTrial || !pollTime && signal.reason === SILENT && previous.cause === SILENT)) {
        polling = Math.min(2 * polling || MIN_POLLING, MAX_POLLING);
        pollUntil = Date.now() + polling;
      }
      if (alive - firstByte > heartbeat) pollUntil = 0; // it began long before it ended: nothing buffers any more
      if (succeeded ||= alive - firstByte > 2 * heartbeat) failures = 0;
      clearTimeout(timer);
      connection.abort(); // ends a response that was not read
    }
  }

  async function request() {
    if (!location) validate();
    const target = new URL(location ?? new Request(await ask(url)).url); // relative to the page or worker
    if (!location) origin = target.origin;
    if (pollTime) target.searchParams.set("wait", String(pollTime));
    const sent = new Headers(target.origin === origin ? await ask(headers) : undefined);
    if (!sent.has("Accept")) sent.set("Accept", "text/event-stream");
    if (lastEventId) sent.set("Last-Event-ID", String.fromCharCode(...encoder.encode(lastEventId)));
    const init = {method: location ? "GET" : method, body: location ? null : await ask(body), headers: sent, duplex: "half"};
    connection.signal.throwIfAborted();
    if (init.method !== "GET") whyFinal = "The request may have been acted on, and no Location says where to go on, so it is not sent again.";
    started = Date.now();
    watch();
    return (options.fetch ?? fetch)(target, {...init, credentials, cache: "no-store", signal: connection.signal});
  }

  /** Throws what is wrong with the request at every attempt. A function may give something better next time. */
  function validate() {
    whyFinal = "This request cannot be sent, now or later, so it is not tried again.";
    const init = {method, credentials, headers: fixed(headers), body: fixed(body, ""), duplex: "half"};
    const {protocol} = new URL(new Request(fixed(url, "http://a/"), init).url);
    if (!options.fetch && !/^(https?|data|blob):$/.test(protocol)) throw new TypeError(`No stream can be fetched from ${protocol}`);
    whyFinal = "";
  }

  /** @param {Response} response */
  async function judge(response) {
    const {status, ok} = response;
    const types = response.headers.get("Content-Type") ?? ""; // if there are several, the last valid one counts
    const type = /^(?:.*,)?\s*([^\s,;"]+\/[^\s,;"]+)\s*(?:[;,]|$)/.exec(types)?.[1]?.toLowerCase();
    const target = response.headers.get("Location") ?? "", base = response.url || origin;
    const moved = ok && whyFinal && target && URL.canParse(target, base);
    if (moved) location = new URL(target, base);
    if (moved || [401, 429, 503].includes(status)) whyFinal = "";
    if (status === 204) return {over: true};
    if (ok && type === "text/event-stream") return read(response);
    const later = retryAfter(response.headers.get("Retry-After") ?? "");
    if (moved && status !== 200) return {delay: 0, ...later}; // 202: the stream is there
    after(MAX_PROBLEM, () => connection.abort());
    const isProblem = type === "application/problem+json";
    const details = ok ? {detail: "The answer is no text/event-stream"} : isProblem && await response.json().catch(() => null);
    const problem = {title: response.statusText || `HTTP ${status}`, status, ...details};
    const askAgain = status === 401 && previous.cause !== 401; // for a new token
    const refused = status >= 400 && status < 500 && ![408, 425, 429].includes(status) && !askAgain;
    if (refused || whyFinal) return {problem, over: true};
    return {problem, cause: status, ...(askAgain && {delay: 0}), ...later};
  }

  /** @param {Response} response @returns {Promise<Outcome>} */
  async function read(response) {
    const begin = response.headers.get("Last-Event-ID") ?? "";
    heartbeat = Math.max(0, Number(response.headers.get("SSE-Heartbeat")?.split(",")[0])) || options.heartbeat || Infinity;
    if (!lastEventId) remember(begin); // one's own remains until an event follows, because a gap before that could be lost
    let busy = false; // the server's retry says when to come back
    const before = lastEventId, decoder = new TextDecoder();
    const parse = parser(begin || before, (ms) => (retry = ms));
    const reader = response.body?.getReader();
    watch();
    setState("open");
    for (let chunk; (chunk = await reader?.read()) && !chunk.done && !ended.signal.aborted;) { // close() may have come first
      firstByte = Math.min(firstByte, Date.now());
      watch();
      for (const {id, event} of parse(decoder.decode(chunk.value, {stream: true}))) {
        remember(id);
        if (!event) continue;
        succeeded = true;
        busy = event.name === "busy";
        notify(onEvent, event);
        if (ended.signal.aborted || event.name === until) return {over: true};
      }
    }
    if (whyFinal) return {over: true, problem: {title: "The stream has ended", status: response.status, detail: whyFinal}};
    const early = Date.now() - started < 0.9 * pollTime;
    if (!pollTime || early && (busy || !succeeded)) return {};
    return {delay: early && lastEventId === before ? MIN_RETRY : 0}; // a server without ids could repeat itself without end
  }

  /** @param {unknown} reason why there is no response, or no more of it */
  function lost(reason) {
    if (reason === HIDDEN) return {delay: 0, cause: previous.cause === SILENT && SILENT}; // this attempt proves nothing
    const problem = {title: reason instanceof Error ? reason.message : String(reason), status: 0};
    if (whyFinal) return {over: true, problem: {...problem, detail: whyFinal}};
    const cause = firstByte === Infinity && reason;
    if (cause !== SILENT || pollTime || !pollUntil && previous.cause !== SILENT) return {problem, cause};
    return isTrial() ? {delay: 0} : {problem, delay: 1}; // that a trial has failed is no news
  }
}

/**
 * Returns a parser, as in WHATWG HTML 9.2.6: it takes a text piece by piece, and yields the id and event of each block.
 * @param {string} id the last one @param {(ms: number) => void} onRetry
 */
function parser(id, onRetry) {
  let name = "", data = "";
  let unfinished = ""; // the beginning of a line
  let afterCR = false; // if an LF follows, it belongs to that CR
  return function* (/** @type {string} */ text) {
    if (text === "") return;
    const lines = (afterCR ? text.replace(/^\n/, "") : text).split(/\r\n|\r|\n/);
    afterCR = text.endsWith("\r");
    lines[0] = unfinished + lines[0];
    unfinished = lines.pop() ?? "";
    for (const line of lines) {
      const colon = `${line}:`.indexOf(":"); // at 0: a comment
      const field = line.slice(0, colon), value = line.slice(colon + 1).replace(/^ /, "");
      if (line === "") {
        yield {id, event: data ? {id, name: name || "message", data: data.slice(0, -1)} : undefined};
        name = data = "";
      } else if (field === "data") data += `${value}\n`;
      else if (field === "event") name = value;
      else if (field === "id" && !value.includes("\0")) id = value;
      else if (field === "retry" && /^[0-9]+$/.test(value)) onRetry(Number(value));
    }
  };
}

/** @template T @param {((value: T) => unknown) | undefined} handler @param {T} value */
function notify(handler, value) { // what it throws, now or later, does not end the stream
  const report = globalThis.document && globalThis.reportError; // in Deno and Bun it would end the process
  (async () => handler?.(value))().catch(report ?? console.error);
}

/** @template T @param {Asked<T>} value */
const ask = async (value) => (typeof value === "function" ? /** @type {() => T} */ (value)() : value);

/** @template T @param {Asked<T>} value @param {T} [instead] of a function */
const fixed = (value, instead) => /** @type {T} */ (typeof value === "function" ? instead : value);

/** The delay that Retry-After asks for, in seconds or as a date, plus up to 50 %. @param {string} header */
function retryAfter(header) {
  const date = Date.parse(header.replace(/ \d{4}$/, "$& GMT")); // asctime's form names no zone
  const ms = /^[\d., ]+$/.test(header) ? Math.max(...header.split(",").map(Number)) * 1000 : date - Date.now();
  return ms > 0 ? {delay: ms * (1 + Math.random() / 2), firm: true} : {};
}
