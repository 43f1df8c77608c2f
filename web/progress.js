// A job: its progress, or the answer that it writes. The job is the service's, so a page that is loaded again, and
// every other tab, joins it where it is. The browser remembers which job that was.

import {Answer} from "./answer.js";
import {field, setText} from "./dom.js";
import {draw} from "./frames.js";
import {findJob, remember} from "./jobs.js";
import {Panel} from "./panel.js";
import {showProblem} from "./problems.js";
import {send} from "./request.js";
import {onToken, tokenIsMissing} from "./token.js";

const recent = 5_000; // events: all pieces of an answer, for a tab that joins
const firstMs = 60_000; // of the job that a first visit starts, so that there is something to see

const shutDown = /process .* shut down/; // the error of a job whose service has ended

export function progress() {
  const form = /** @type {HTMLFormElement} */ (document.querySelector('[data-stream="progress"] form'));
  const value = (name) => field(form, name).value;
  let id = "";
  let state = {}; // the newest: {percent, stage, message, elapsedMs}
  let status = ""; // running, and then as the service calls it
  let notice = "";
  let afterGap = false; // the newest event was a gap

  const self = new Panel("progress", {
    settings: () => (id ? settingsOf(id) : null),
    form,
    until: "done",
    names: () => ["progress", "token", "done"],
    async none() {
      if (await tokenIsMissing()) return self.close();
      const {job, fate} = await findJob();
      if (!job) return start({durationMs: firstMs});
      if (fate === "another") notice = lost(job.id, true);
      if (fate !== "gone") return take(job.id);
      if (!job.status) notice = lost(job.id, false);
      rest(job);
    },
    reset() {
      answer.clear();
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
      if (name === "token") answer.add(value);
      if (name === "progress" || name === "token") status = "running";
      if (name === "done") end(value, afterGap);
      if (name === "gap") notice = lost(id, true);
      afterGap = name === "gap";
      remember({id, lastEventId: eventId, status: status === "running" ? "" : status});
      draw(show);
    },
  });
  const answer = new Answer(self.find(".answer"));

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
    const {problem, value} = await send("POST", "/jobs", job);
    showProblem(form, problem);
    if (problem) {
      if (!id) self.close();
      return;
    }
    notice = "";
    take(value.id);
  }

  function show() {
    self.section.dataset.job = status;
    const {percent = 0, stage = "", message = "", elapsedMs, tokens, error} = state;
    self.find("progress").value = percent;
    setText(self.find(".percent"), answer.begun ? `${answer.count} pieces` : `${percent} %`);
    setText(self.find(".stage"), stage || (answer.begun && status === "running" ? "writing" : ""));
    setText(self.find(".message"), error ?? message ?? tokens ?? "");
    setText(self.find(".elapsed"), elapsedMs === undefined ? "" : `${(elapsedMs / 1000).toFixed(1)} s`);
    setText(self.find(".job-id"), id || "–");
    setText(self.find(".job-notice"), notice);
    self.find('[data-action="stop-job"]').disabled = status !== "running" || !id;
    self.section.dataset.shows = answer.begun ? "answer" : "build";
  }

  form.addEventListener("submit", (e) => {
    e.preventDefault();
    if (value("kind") === "answer") start({kind: "answer", prompt: value("prompt")});
    else start({durationMs: Number(value("durationMs"))});
  });
  self.find('[data-action="stop-job"]').addEventListener("click", async () => {
    showProblem(form, (await send("DELETE", `/jobs/${encodeURIComponent(id)}`)).problem);
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
