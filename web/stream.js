// An event stream that stays open, to be copied. EventSource reconnects by
// itself after a lost connection, but gives up for good at any HTTP status but
// 200; this asks why, and goes on where that makes sense.
//
//   const stream = openStream("/stream/channel?name=news", {
//     names: ["greeting"],            // named events; unnamed ones always come
//     after: localStorage.lastId,     // where a page continues after a reload
//     until: "done",                  // the event that ends the stream
//     onEvent({id, name, data}) {},
//     onState(state) {},              // connecting, open, reconnecting, closed
//     onProblem(problem) {},          // what the server has against the request
//   });
//   stream.close();

const retryAfter = 3000; // ms, where EventSource has given up, ± 50 %

export function openStream(url, {names = [], after = "", until, onEvent, onState, onProblem}) {
  let source, timer;
  let lastId = after;
  let over = false;

  function connect(state) {
    onState(state);
    source = new EventSource(lastId ? withId(url, lastId) : url);
    source.onopen = () => onState("open");
    source.onerror = () => (source.readyState === EventSource.CLOSED ? askWhy() : onState("reconnecting"));
    // gap and busy are the server's own: events are lost, and there is no room.
    for (const name of new Set(["message", "gap", "busy", ...(until ? [until] : []), ...names])) {
      source.addEventListener(name, receive);
    }
  }

  function receive({type, data, lastEventId}) {
    if (type !== "gap" && type !== "busy") lastId = lastEventId || lastId;
    onEvent({id: lastId, name: type, data});
    if (type === until) close();
  }

  // EventSource does not tell the status; the same request by fetch does.
  async function askWhy() {
    onState("reconnecting");
    const abort = new AbortController();
    try {
      const response = await fetch(lastId ? withId(url, lastId) : url, {
        headers: {Accept: "application/problem+json"},
        signal: abort.signal,
      });
      if (over) return;
      if (response.status === 204) return close(); // the server has said all
      if (response.status >= 400 && response.status < 500) {
        onProblem(await response.json());
        return close();
      }
    } catch {
      // The server cannot be reached, or what answered is not the server.
    } finally {
      abort.abort();
    }
    if (!over) timer = setTimeout(connect, retryAfter * (0.5 + Math.random()), "reconnecting");
  }

  function close() {
    if (over) return;
    over = true;
    clearTimeout(timer);
    source.close();
    onState("closed");
  }

  connect("connecting");
  return {close, get lastId() { return lastId; }};
}

function withId(url, id) {
  return url + (url.includes("?") ? "&" : "?") + "lastEventId=" + encodeURIComponent(id);
}
