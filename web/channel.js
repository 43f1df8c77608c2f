// Publish and subscribe: what arrives on some channels, and a form to publish.

import {element} from "./dom.js";
import {field, fill, showProblem} from "./forms.js";
import {clipped, List} from "./list.js";
import {Panel} from "./panel.js";
import {request} from "./requests.js";

const recent = 100; // events for a tab that comes later
const replay = "20"; // events that a new subscription begins with
const isChannel = (name) => typeof name === "string" && /^[A-Za-z0-9][\w.:/-]{0,127}$/.test(name);

export function channel() {
  const section = document.querySelector('[data-stream="channel"]');
  const subscribe = /** @type {HTMLFormElement} */ (section.querySelector('[data-action="subscribe"]'));
  const publish = /** @type {HTMLFormElement} */ (section.querySelector('[data-action="publish"]'));
  const names = () => field(subscribe, "name").value.split(/[\s,]+/).filter(Boolean);
  const eventNames = new Set(["message"]);

  const list = new List(section.querySelector(".events"), "Nothing yet. Publish something below, or with curl.", row);
  const settingsOf = (names) => ({query: String(new URLSearchParams([...names.map((name) => ["name", name]), ["replay", replay]])), recent});

  const self = new Panel("channel", {
    settings: () => settingsOf(names()),
    form: subscribe,
    ids: {time: (id) => Number(id.split("-")[0])},
    names: () => [...eventNames],
    reset: () => list.clear(),
    applied: (query) => fill(subscribe, {name: query.getAll("name").join(", ")}),
    event(event) {
      if (event.name !== "gap" && event.name !== "busy") eventNames.add(event.name);
      list.add(event);
    },
  });

  publish.addEventListener("submit", async (e) => {
    e.preventDefault();
    const {channel, event, payload} = Object.fromEntries(new FormData(publish));
    const value = valueOf(String(payload));
    if (value.error) return showProblem(publish, {errors: [{field: "payload", message: `payload must be JSON: ${value.error}`}]});
    listenTo(String(channel));
    const {problem, value: receipt} = await request("POST", "/publish", requestOf({channel, ...(event && {event})}, value.json));
    showProblem(publish, problem);
    if (!problem) publish.querySelector(".done").textContent = `published as ${receipt.id}; subscribers here: ${receipt.delivered}`;
  });

  /** Adds a channel that is published to, so that its reader sees what arrives there. */
  function listenTo(name) {
    const wanted = self.wanted.getAll("name");
    if (wanted.includes(name) || !isChannel(name) || self.section.dataset.state === "closed") return;
    self.set(settingsOf([...wanted, name]));
  }

  self.open();
}

function row({id, name, data}) {
  if (name === "gap" || name === "busy") {
    const notice = element("li", "notice");
    notice.append(element("span", "name", name), element("code", "data", name === "gap" ? `Events are lost: ${data}` : data));
    return notice;
  }
  const item = element("li");
  const time = new Date(Number(id.split("-")[0]));
  const when = element("time", "", Number.isNaN(time.getTime()) ? "" : time.toLocaleTimeString("en-GB"));
  when.title = `id ${id}`;
  item.append(when, element("span", "name", name), clipped("data", data));
  return item;
}

/**
 * The request with the payload as it was typed: JSON.parse would change 12345678901234567890, 1.0 and 1e400.
 * @param {object} fields @param {string} payload JSON
 */
const requestOf = (fields, payload) => `${JSON.stringify(fields).slice(0, -1)},"payload":${payload}}`;

/** The text if it is JSON, or as a JSON string if it does not even look like it. @param {string} text */
function valueOf(text) {
  try {
    JSON.parse(text);
    return {json: text};
  } catch (error) {
    return /^\s*(["{[\d-]|$)/.test(text) ? {error: error.message} : {json: JSON.stringify(text)};
  }
}
