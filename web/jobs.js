// Which job the page shows: the browser remembers it for all tabs, and the service says whether there still is one.

import {load, saveSoon} from "./storage.js";
import {tokenHeader} from "./token.js";

const key = "sse-demo.job";
const limit = 8_000; // ms
const goneId = /-18446744073709551615$/; // of the done event for a job that the service knows nothing of
const area = () => localStorage;

/** @typedef {{id: string, lastEventId: string, status: string}} Job status: "" while it runs */

/** @param {Job} job */
export const remember = (job) => saveSoon(area, key, () => job);

/** Whether a done event says that there is no such job, and has not been since the service began. @param {string} eventId */
export const isGone = (eventId) => goneId.test(eventId);

/**
 * The remembered job, and whether the service still has it: it may have been started again since.
 * @returns {Promise<{job: Job | null, fate: "there" | "gone" | "another"}>}
 */
export async function findJob() {
  const job = load(area, key);
  if (typeof job?.id !== "string" || !job.id) return {job: null, fate: "gone"};
  return {job, fate: job.lastEventId ? await fateOf(job) : "there"};
}

/** Asks for what followed the last event. That starts no job, whereas a first visit would. @param {Job} job */
async function fateOf({id, lastEventId}) {
  const query = new URLSearchParams({id, lastEventId, wait: "0"});
  try {
    const response = await fetch(`/stream/progress?${query}`, {headers: tokenHeader(), signal: AbortSignal.timeout(limit)});
    const events = await response.text();
    if (!/^event: gap$/m.test(events)) return "there";
    return /^id: \d+-18446744073709551615$/m.test(events) ? "gone" : "another";
  } catch {
    return "there"; // the stream will say what is wrong
  }
}
