// A job's progress. The job is the server's: a page that is loaded again, and
// every other tab, joins it where it is.

import {panel, post, showProblem} from "./panel.js";

const stored = "sse-demo.job";
const firstMs = 60_000; // of the job that a first visit starts, so that there is something to see

export function progress() {
  let id = sessionStorage.getItem(stored);
  const request = () => ({query: `id=${encodeURIComponent(id ?? "demo")}`, names: ["progress"], after: ""});

  const self = panel("progress", request, {
    reset: () => show({percent: 0, stage: "", message: "", elapsedMs: 0}),
    settings(query) {
      id = new URLSearchParams(query).get("id");
      sessionStorage.setItem(stored, id);
      self.find(".job-id").textContent = id;
    },
    event({name, data}) {
      if (name === "progress") show(JSON.parse(data));
      if (name === "done") end(JSON.parse(data));
    },
  });
  const cancel = self.find('[data-action="cancel-job"]');

  function show({percent, stage, message, elapsedMs}) {
    self.section.dataset.job = "running";
    self.find("progress").value = percent;
    self.find(".percent").textContent = `${percent} %`;
    self.find(".stage").textContent = stage;
    self.find(".message").textContent = message;
    self.find(".elapsed").textContent = seconds(elapsedMs);
    cancel.disabled = false;
  }

  function end({status, error, elapsedMs}) {
    self.section.dataset.job = status;
    self.find(".stage").textContent = status;
    self.find(".message").textContent = error ?? "";
    self.find(".elapsed").textContent = seconds(elapsedMs);
    if (status === "succeeded") {
      self.find("progress").value = 100;
      self.find(".percent").textContent = "100 %";
    }
    cancel.disabled = true;
  }

  async function start(durationMs) {
    const problem = await attempt(() => post("/jobs", {durationMs}), (job) => {
      id = job.id;
      self.set(request());
    });
    showProblem(self.section, problem);
  }

  self.find('[data-action="start-job"]').addEventListener("click", () => start(Number(self.find('[name="durationMs"]').value)));
  cancel.addEventListener("click", async () => {
    showProblem(self.section, await attempt(() => fetch(`/jobs/${encodeURIComponent(id)}`, {method: "DELETE"})));
  });
  if (id === null) start(firstMs);
  else self.open();
}

// attempt returns the problem that the server, or the way to it, has.
async function attempt(send, done) {
  try {
    const response = await send();
    if (!response.ok) return await response.json();
    await done?.(await response.json());
    return null;
  } catch {
    return {title: "The server cannot be reached."};
  }
}

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
