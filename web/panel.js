// What all panels have: the state, how fresh it is, the toggle, the wire, the timeline, and the lines to copy.

import {onBack, onMessage, send} from "./connect.js";
import {copyButtons} from "./copy.js";
import {buttonsOf, field, fromTemplate, setText} from "./dom.js";
import {draw} from "./frames.js";
import {Freshness} from "./freshness.js";
import {showProblem} from "./problems.js";
import {Timeline} from "./timeline.js";
import {streamIsOpen} from "./token.js";
import {Wire} from "./wire.js";

const offlineFor = 5_000; // ms

/**
 * @typedef {object} Options
 * @property {() => import("./shared.js").Settings | null} settings to open the stream with; null for whatever runs
 * @property {(event: {id: string, name: string, data: string}) => void} event
 * @property {() => void} [reset] what is shown is of another query, or comes again
 * @property {(query: URLSearchParams) => void} [applied] the stream has this query now
 * @property {() => void} [none] nothing runs yet, and this tab may choose
 * @property {() => string[]} names of the events, for the lines to copy
 * @property {string} [until]
 * @property {HTMLFormElement} [form] with the settings: shows what the service has against them
 */

export class Panel {
  section;
  #name;
  #options;
  #query = "";
  #listening = false;
  #received = 0;
  #lastId = ""; // after which this tab goes on if it opens the stream again
  #polling = false;
  #isReconnecting = false; // the problem on display says so
  #wire;
  #timeline;
  #freshness;
  #changed; // the lines to copy

  /** @param {string} name of the stream @param {Options} options */
  constructor(name, options) {
    this.#name = name;
    this.#options = options;
    this.section = /** @type {HTMLElement} */ (document.querySelector(`section[data-stream="${name}"]`));
    this.#build();
    onMessage("stream", (message) => this.#receive(message), name);
    onMessage("refused", ({problem}) => showProblem(options.form ?? this.section, problem), name);
    onBack(() => this.#listening && this.open());
    this.#setQuery(options.settings()?.query ?? "");
    this.#setState("closed");
  }

  find = (selector) => this.section.querySelector(selector);

  open() {
    this.#listening = true;
    this.#setState("connecting");
    const settings = this.#options.settings();
    send({open: this.#name, settings: settings && {...settings, after: this.#lastId || settings.after}});
  }

  /** Opens the stream anew, for all tabs. */
  set(settings) {
    this.#listening = true;
    send({set: this.#name, settings});
  }

  close() {
    send({close: this.#name});
    this.#listening = false;
    this.#setState("closed");
  }

  goOnAfter(id) { this.#lastId = id; }

  get lastId() { return this.#lastId; }

  #build() {
    const {section, find} = this;
    const title = section.dataset.title;
    const demo = find(".demo");
    demo.prepend(fromTemplate("panel-head"));
    find(".lesson-or-problem").append(find(".lesson"));
    section.append(fromTemplate("panel-foot"));
    const heading = find("h2");
    heading.textContent = title;
    heading.id = `${this.#name}-title`;
    section.setAttribute("aria-labelledby", heading.id);
    find(".wire pre").setAttribute("aria-label", `${title}: the raw stream`);
    find(".timeline").setAttribute("aria-label", `${title}: the events and cuts`);
    find('[data-action="toggle"]').addEventListener("click", () => (this.section.dataset.state === "closed" ? this.open() : this.close()));
    find('[data-action="cut"]').addEventListener("click", () => send({cut: this.#name}));
    find('[data-action="offline"]').addEventListener("click", () => send({offline: this.#name, ms: offlineFor}));
    find('[data-action="poll"]').addEventListener("click", () => send({poll: this.#name, on: !this.#polling}));
    this.#wire = new Wire(find(".wire"));
    this.#timeline = new Timeline(find(".timeline"), find(".summary"));
    this.#freshness = new Freshness(section, find(".freshness"), find(".silence"));
    this.#changed = copyButtons(find(".copy"), () => ({
      url: `${location.origin}/stream/${this.#name}${this.#query ? "?" + this.#query : ""}`,
      lastEventId: this.#lastId,
      names: this.#options.names(),
      until: this.#options.until,
      token: false,
    }));
  }

  #receive({query, reset, none, updates = []}) {
    if (!this.#listening) return; // it was under way when this tab closed the stream
    if (none) return this.#options.none?.();
    if (query !== undefined) this.#setQuery(query, true);
    if (reset) this.#reset();
    for (const update of updates) this.#update(update);
    draw(this.#draw);
  }

  #reset() {
    this.#lastId = "";
    this.#received = 0;
    this.#wire.clear();
    this.#timeline.clear();
    this.#options.reset?.();
  }

  #update(update) {
    this.#wire.add(update);
    this.#timeline.add(update);
    this.#freshness.add(update);
    if (update.poll !== undefined) this.#setPolling(update.poll);
    if (update.event) {
      this.#lastId = update.event.id || this.#lastId;
      this.#received++;
      this.#options.event(update.event);
    }
    if (update.problem) this.#showProblem(update.problem);
    if (update.state) this.#setState(update.state);
  }

  #draw = () => {
    setText(this.find(".received"), this.#received);
    setText(this.find(".last-id"), this.#lastId || "none");
    this.#changed();
  };

  #setQuery(query, applied = false) {
    this.#query = query;
    this.#changed();
    if (!applied) return;
    this.#showProblem(null);
    if (this.#options.form) showProblem(this.#options.form, null);
    this.#options.applied?.(new URLSearchParams(query));
  }

  #setState(state) {
    const {section, find} = this;
    section.dataset.state = state;
    setText(find(".state"), state);
    const toggle = find('[data-action="toggle"]');
    setText(toggle, this.#listening && state !== "closed" ? "Close" : "Open");
    toggle.setAttribute("aria-label", `${toggle.textContent} the ${section.dataset.title} stream`);
    for (const button of buttonsOf(section, ".break button")) button.disabled = state === "closed";
    if (state === "open") streamIsOpen();
    if (state === "open" || (state === "closed" && this.#isReconnecting)) this.#showProblem(null);
  }

  #setPolling(on) {
    this.#polling = on;
    this.find('[data-action="poll"]').setAttribute("aria-pressed", String(on));
  }

  /** What the service or the network has said, until the stream is open. A status of 0 means that there was no answer. */
  #showProblem(problem) {
    this.#isReconnecting = problem?.status === 0 || problem?.status === 503;
    const reconnecting = () => ({title: `${problem.detail || problem.title}. A new connection follows.`});
    showProblem(this.section, this.#isReconnecting ? reconnecting() : problem);
  }
}

/**
 * Puts settings that are in force now into a form. What its reader has half typed stays.
 * @param {HTMLFormElement} form @param {Record<string, string>} values
 */
export function fill(form, values) {
  for (const [name, value] of Object.entries(values)) {
    const input = field(form, name);
    if (!input) continue;
    const untouched = input.value === input.defaultValue;
    input.defaultValue = value;
    if (untouched) input.value = value;
  }
}
