// A connection that is tapped: it reports every byte that goes over it, and can be broken.

/**
 * What is reported, in the order in which it happens. at is Unix ms; date is the time at the service, in the second of
 * which the response began, and NaN if it does not say.
 * @typedef {{sent: {path: string, lastEventId: string}}
 *   | {head: {status: number, type: string, heartbeat: number, lastEventId: string, date: number}, at: number}
 *   | {text: string, at: number}
 *   | {end: string, clean: boolean}} Report
 */

/** @param {(report: Report) => void} report */
export function tap(report) {
  let offlineUntil = 0; // Unix ms
  let connection = new AbortController();
  const self = {fetch: tappedFetch, cut, offline, poll: 0}; // poll: ms of a long poll, 0 for one response that stays open
  return self;

  /** Ends the connection as a lost network would. @param {string} why */
  function cut(why) {
    connection.abort(new Error(why));
  }

  /** Lets nothing through for ms, and then does what a browser does whose network is back. @param {number} ms */
  function offline(ms) {
    offlineUntil = Date.now() + ms;
    cut("This page is offline, as you asked");
    setTimeout(() => globalThis.dispatchEvent(new Event("online")), ms);
  }

  /** In place of the global fetch. @param {URL} url @param {RequestInit} init */
  async function tappedFetch(url, init) {
    if (self.poll) url.searchParams.set("wait", String(self.poll));
    const lastEventId = new Headers(init.headers).get("Last-Event-ID") ?? "";
    report({sent: {path: url.pathname + url.search, lastEventId}});
    try {
      if (Date.now() < offlineUntil) throw new Error("This page is offline, as you asked");
      connection = new AbortController();
      const response = await fetch(url, {...init, signal: AbortSignal.any([init.signal, connection.signal])});
      report({head: headOf(response), at: Date.now()});
      if (!response.ok || !response.body || response.status === 204) return response; // Chromium gives 204 a body, and no Response can be made of both
      return new Response(watch(response.body), response);
    } catch (error) {
      report(lost(error));
      throw error;
    }
  }

  /** Passes the bytes on as they come. @param {ReadableStream<Uint8Array>} body */
  function watch(body) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    return new ReadableStream({
      async pull(controller) {
        try {
          const {done, value} = await reader.read();
          if (done) {
            report({end: "The service has ended the response", clean: true});
            controller.close();
          } else {
            report({text: decoder.decode(value, {stream: true}), at: Date.now()});
            controller.enqueue(value);
          }
        } catch (error) {
          report(lost(error));
          controller.error(error);
        }
      },
      cancel: (reason) => reader.cancel(reason),
    });
  }
}

/** @param {Response} response */
function headOf({status, headers}) {
  return {
    status,
    type: headers.get("Content-Type") ?? "",
    heartbeat: Number(headers.get("SSE-Heartbeat")),
    lastEventId: headers.get("Last-Event-ID") ?? "",
    date: Date.parse(headers.get("Date") ?? ""),
  };
}

/** The end that an error is; one that the page itself has brought about has no text. @param {Error} error @returns {Report} */
const lost = (error) => ({end: error.name === "AbortError" ? "" : error.message, clean: false});
