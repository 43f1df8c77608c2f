// A job: its progress, or the answer that it writes. The job is the service's, so a page that is loaded again, and
// every other tab, joins it where it is. The browser remembers which job that was, and the service says whether there
// still is one.

import {draw, setText} from "./dom.js";
import {field, showProblem} from "./forms.js";
import {Panel} from "./panel.js";
import {onToken, request, tokenIsMissing} from "./requests.js";
import {load, save} from "./storage.js";

const recent = 5_000; // events: all pieces of an answer, for a tab that joins
const firstMs = 60_000; // of the job that a first visit starts, so that there is something to see
const key = "sse-demo.job";
const shutDown = /process .* shut down/; // the error of a job whose service has ended
const isJobId = (id) => typeof id === "string" && /^[\w.-]{1,64}$/.test(id);
const isEventId = (id) => typeof id === "string" && /^[\d-]{1,39}$/.test(id);

export function progress() {
  const form = /** @type {HTMLFormElement} */ (document.querySelector('[data-stream="progress"] form'));
  const value = (name) => field(form, name).value;
  let id = "";
  let state = {}; // the newest: {percent, stage, message, elapsedMs}
  let answer = ""; // its text
  let pieces = 0; // of the answer
  let status = ""; // running, and then as the service calls it
  let notice = "";
  let afterGap = false; // the newest event was a gap
  let starts = 0; // jobs that were asked for

  const self = new Panel("progress", {
    settings: () => (id ? settingsOf(id) : null),
    form,
    submit: () => start(value("kind") === "answer" ? {kind: "answer", prompt: value("prompt")} : {durationMs: Number(value("durationMs"))}),
    until: "done",
    names: () => ["progress", "token", "done"],
    async none() {
      if (await tokenIsMissing()) return self.close();
      const {job, fate} = await findJob();
      if (!job) return start({durationMs: firstMs});
      if (fate !== "there" && !job.status) notice = lost(job.id, fate === "another");
      if (fate === "gone") rest(job);
      else take(job.id);
    },
    reset() {
      answer = "";
      pieces = 0;
      state = {};
      status = "running";
      draw(show);
    },
    applied(query) {
      if (id && id !== query.get("id")) notice = ""; // it was about another job
      id = query.get("id");
      draw(show);
    },
    event({id: eventId, name, data}) {
      const value = JSON.parse(data);
      if (name === "progress") state = value;
      if (name === "token") {
        answer = value.index === 0 ? value.text : answer + value.text;
        pieces = value.index + 1;
      }
      if (name === "progress" || name === "token") status = "running";
      if (name === "done") end(value, afterGap);
      if (name === "gap") notice = lost(id, true);
      afterGap = name === "gap";
      save(() => localStorage, key, {id, lastEventId: eventId, status: status === "running" ? "" : status});
      draw(show);
    },
  });

  /** A done right after a gap says that the service knows nothing of the job. */
  function end(done, unknown) {
    const gone = unknown || shutDown.test(done.error ?? "");
    status = gone ? "lost" : done.status;
    state = {...state, ...done, percent: status === "succeeded" ? 100 : state.percent, stage: status, error: gone ? "" : done.error};
    if (gone) notice = lost(id, false);
  }

  const settingsOf = (id) => ({query: String(new URLSearchParams({id})), until: "done", recent});

  /** Shows this job in all tabs. */
  function take(job) {
    id = job;
    self.set(settingsOf(id));
  }

  /** Shows how a job of an earlier page has ended, of which the service keeps nothing any more. */
  function rest(job) {
    id = job.id;
    status = job.status || "lost";
    state = {stage: status, percent: status === "succeeded" ? 100 : 0};
    self.close();
    draw(show);
  }

  async function start(job) {
    const number = ++starts;
    const {problem, value} = await request("POST", "/jobs", job);
    if (number !== starts) return; // another one was asked for meanwhile
    showProblem(form, problem);
    if (problem && !id) self.close();
    if (problem) return;
    notice = "";
    take(value.id);
  }

  function show() {
    self.section.dataset.job = status;
    const {percent = 0, stage = "", message = "", elapsedMs, tokens, error} = state;
    self.find("progress").value = percent;
    setText(self.find(".percent"), pieces ? `${pieces} pieces` : `${percent} %`);
    setText(self.find(".stage"), stage || (pieces && status === "running" ? "writing" : ""));
    setText(self.find(".message"), error ?? message ?? tokens ?? "");
    setText(self.find(".elapsed"), elapsedMs === undefined ? "" : `${(elapsedMs / 1000).toFixed(1)} s`);
    setText(self.find(".job-id"), id || "–");
    setText(self.find(".job-notice"), notice);
    self.find('[data-action="stop-job"]').disabled = status !== "running" || !id;
    self.section.dataset.shows = pieces ? "answer" : "build";
    showAnswer(self.find(".answer"));
  }

  /** Adds what is new, so that a reader's selection stays. */
  function showAnswer(output) {
    const shown = output.textContent;
    if (shown === answer) return;
    if (!answer.startsWith(shown)) output.textContent = "";
    output.append(answer.slice(output.textContent.length));
    output.normalize();
    output.scrollTop = output.scrollHeight;
  }

  self.find('[data-action="stop-job"]').addEventListener("click", async () => {
    const {problem} = await request("DELETE", `/jobs/${encodeURIComponent(id)}`);
    showProblem(form, problem);
  });
  const chooseKind = () => (form.dataset.kind = value("kind"));
  field(form, "kind").addEventListener("change", chooseKind);
  chooseKind();
  onToken(() => !id && self.section.dataset.state === "closed" && self.open()); // nothing could be started without
  self.open();
}

const lost = (id, another) =>
  `The job ${id} is lost: the service that ran it has ended or restarted. ` +
  (another ? "A new one has begun under its name." : "No new one has begun.");

/** @typedef {{id: string, lastEventId: string, status: string}} Job status: "" while it runs, "lost" if the service knows nothing of it any more */

/**
 * The remembered job, and whether the service still has it: it may have been started again since.
 * @returns {Promise<{job: Job | null, fate: "there" | "gone" | "another"}>}
 */
async function findJob() {
  const {id, lastEventId, status} = load(() => localStorage, key) ?? {};
  if (!isJobId(id)) return {job: null, fate: "gone"};
  const job = {id, lastEventId: isEventId(lastEventId) ? lastEventId : "", status: typeof status === "string" ? status : ""};
  if (status === "lost") return {job, fate: "gone"};
  return {job, fate: job.lastEventId ? await fateOf(job) : "there"};
}

/**
 * Asks for what followed the last event, which starts no job, whereas a first visit would. If the service knows
 * nothing of the job, a gap comes, and then done. @param {Job} job
 */
async function fateOf({id, lastEventId}) {
  const after = lastEventId.replace(/-18446744073709551615$/, "-18446744073709551614"); // right after its end there is a 204 for every job
  const {problem, value: events} = await request("GET", `/stream/progress?${new URLSearchParams({id, lastEventId: after, wait: "0"})}`);
  if (problem || !/^event: gap$/m.test(events)) return "there"; // the stream will say what is wrong
  return /^event: done$/m.test(events) && !/^event: (progress|token)$/m.test(events) ? "gone" : "another";
}
