// A connection that is tapped: it reports every byte that goes over it, and can be broken.

/**
 * What is reported, in the order in which it happens. at is Unix ms; date is the time at the service, in the second of
 * which the response began, and NaN if it does not say.
 * @typedef {{sent: {path: string, lastEventId: string}}
 *   | {head: {status: number, type: string, heartbeat: number, lastEventId: string, date: number}, at: number}
 *   | {text: string, at: number}
 *   | {end: string, clean: boolean}} Report
 */

export class Tap {
  #report;
  #offlineUntil = 0; // Unix ms
  #connection = new AbortController();
  poll = 0; // ms of a long poll, 0 for one response that stays open

  /** @param {(report: Report) => void} report */
  constructor(report) {
    this.#report = report;
  }

  /** Ends the connection as a lost network would. @param {string} why */
  cut(why) {
    this.#connection.abort(new Error(why));
  }

  /** Lets nothing through for ms, and then does what a browser does whose network is back. @param {number} ms */
  offline(ms) {
    this.#offlineUntil = Date.now() + ms;
    this.cut("This page is offline, as you asked");
    setTimeout(() => globalThis.dispatchEvent(new Event("online")), ms);
  }

  /** In place of the global fetch. @param {URL} url @param {RequestInit} init */
  fetch = async (url, init) => {
    if (this.poll) url.searchParams.set("wait", String(this.poll));
    const lastEventId = new Headers(init.headers).get("Last-Event-ID") ?? "";
    this.#report({sent: {path: url.pathname + url.search, lastEventId}});
    try {
      if (Date.now() < this.#offlineUntil) throw new Error("This page is offline, as you asked");
      this.#connection = new AbortController();
      const signal = AbortSignal.any([init.signal, this.#connection.signal]);
      const response = await fetch(url, {...init, signal});
      this.#report({head: headOf(response), at: Date.now()});
      if (!response.ok || !response.body || response.status === 204) return response; // Chromium gives 204 a body, and no Response can be made of both
      return new Response(this.#watch(response.body), response);
    } catch (error) {
      this.#report(lost(error));
      throw error;
    }
  };

  /** Passes the bytes on as they come. @param {ReadableStream<Uint8Array>} body */
  #watch(body) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    const report = this.#report;
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
