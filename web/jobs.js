// Which job the page shows: the browser remembers it for all tabs, and the service says whether there still is one.

import {load, saveSoon} from "./storage.js";
import {tokenHeader} from "./token.js";

const key = "sse-demo.job";
const limit = 8_000; // ms
const area = () => localStorage;

/** @typedef {{id: string, lastEventId: string, status: string}} Job status: "" while it runs, "lost" if the service knows nothing of it any more */

/** @param {Job} job */
export const remember = (job) => saveSoon(area, key, () => job);

/**
 * The remembered job, and whether the service still has it: it may have been started again since.
 * @returns {Promise<{job: Job | null, fate: "there" | "gone" | "another"}>}
 */
export async function findJob() {
  const job = load(area, key);
  if (typeof job?.id !== "string" || !job.id) return {job: null, fate: "gone"};
  if (job.status === "lost") return {job, fate: "gone"};
  return {job, fate: job.lastEventId ? await fateOf(job) : "there"};
}

/**
 * Asks for what followed the last event, which starts no job, whereas a first visit would. If the service knows
 * nothing of the job, a gap comes, and then done. @param {Job} job
 */
async function fateOf({id, lastEventId}) {
  const query = new URLSearchParams({id, lastEventId, wait: "0"});
  try {
    const response = await fetch(`/stream/progress?${query}`, {headers: tokenHeader(), signal: AbortSignal.timeout(limit)});
    const events = await response.text();
    if (!/^event: gap$/m.test(events)) return "there";
    return /^event: done$/m.test(events) && !/^event: (progress|token)$/m.test(events) ? "gone" : "another";
  } catch {
    return "there"; // the stream will say what is wrong
  }
}
