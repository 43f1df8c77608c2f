// What all panels have: the state, how fresh it is, the toggle, the wire, the timeline, and the lines to copy.

import {onMessage, onReady, send} from "./connect.js";
import {copyButtons} from "./copy.js";
import {buttonsOf, draw, setText, template} from "./dom.js";
import {showProblem} from "./forms.js";
import {freshness} from "./freshness.js";
import {streamIsOpen} from "./requests.js";
import {timeline} from "./timeline.js";
import {wire} from "./wire.js";

const offlineFor = 5_000; // ms
const askEvery = 5_000; // ms, until there is an answer
const narrow = "(max-width: 860px)"; // as in the style sheet: there the wire begins closed

/**
 * @typedef {object} Options
 * @property {() => import("./shared-stream.js").Settings | null} settings to open the stream with; null for whatever runs
 * @property {(event: {id: string, name: string, data: string}) => void} event
 * @property {() => void} [reset] what is shown is of another query, or comes again
 * @property {(query: URLSearchParams) => void} [applied] the stream has this query now
 * @property {() => void} [none] nothing runs yet, and this tab may choose
 * @property {() => string[]} names of the events, for the lines to copy
 * @property {import("./timeline.js").Ids} [ids] what the ids say
 * @property {string} [until]
 * @property {HTMLFormElement} [form] with the settings: shows what the service has against them
 * @property {() => void} [submit] what the form does, if it is not to open the stream anew with the settings
 */

export class Panel {
  section;
  #name;
  #options;
  #wish = null; // the settings that this tab wants, once they are others than those of the beginning
  #query = ""; // that the stream has
  #listening = false;
  #asked = null; // a timer, until the hub has answered; what was under way before its answer is of no use
  #run = ""; // the stream's, and the number of its last update that came here
  #n = 0;
  #received = 0;
  #lastId = ""; // after which this tab goes on if it opens the stream again
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
    onMessage(name, (message) => this.#receive(message));
    options.form?.addEventListener("submit", (e) => {
      e.preventDefault();
      if (options.submit) options.submit();
      else this.set(options.settings());
    });
    onReady(() => this.#listening && this.section.dataset.state !== "closed" && this.#ask());
    this.#query = options.settings()?.query ?? "";
    this.#changed();
    this.#setState("closed");
  }

  find = (selector) => this.section.querySelector(selector);

  open() {
    this.#listening = true;
    this.#setState("connecting");
    this.#ask();
  }

  /** Opens the stream anew, for all tabs. @param {import("./shared-stream.js").Settings} settings */
  set(settings) {
    this.#wish = settings;
    this.#listening = true;
    send({set: this.#name, settings});
  }

  close() {
    send({close: this.#name});
    this.#stopAsking();
    this.#listening = false;
    this.#setState("closed");
  }

  /** The query that this tab has asked for last, which the stream may not have yet. */
  get wanted() { return new URLSearchParams(this.#wish?.query ?? this.#query); }

  #ask() {
    clearTimeout(this.#asked);
    this.#asked = setTimeout(() => this.#ask(), askEvery);
    const settings = this.#wish ?? this.#options.settings();
    const after = this.#lastId || (settings?.after ?? "");
    send({open: this.#name, settings: settings && {...settings, after}, position: {run: this.#run, n: this.#n, after}});
  }

  #call(method, value) { send({call: method, of: this.#name, value}); }

  #stopAsking() {
    clearTimeout(this.#asked);
    this.#asked = null;
  }

  #build() {
    const {section, find} = this;
    const {title} = section.dataset;
    find(".demo").prepend(template("panel-head").cloneNode(true));
    const lesson = find(".lesson");
    if (lesson) find(".lesson-or-problem").append(lesson);
    section.append(template("panel-foot").cloneNode(true));
    const heading = find("h2");
    heading.textContent = title;
    heading.id = `${this.#name}-title`;
    section.setAttribute("aria-labelledby", heading.id);
    find(".wire pre").setAttribute("aria-label", `${title}: the raw stream`);
    find(".timeline").setAttribute("aria-label", `${title}: the events and cuts`);
    const onClick = (action, handle) => find(`[data-action="${action}"]`).addEventListener("click", handle);
    onClick("toggle", () => (section.dataset.state === "closed" ? this.open() : this.close()));
    onClick("cut", () => this.#call("cut"));
    onClick("offline", () => this.#call("offline", offlineFor));
    onClick("poll", ({target}) => this.#call("poll", target.ariaPressed !== "true"));
    this.#wire = wire(find(".wire"), !matchMedia(narrow).matches);
    this.#timeline = timeline(find(".timeline"), find(".summary"), this.#options.ids ?? {});
    this.#freshness = freshness(section, () => this.#hearNothing());
    this.#changed = copyButtons(find(".copy"), () => ({
      url: `${location.origin}/stream/${this.#name}${this.#query ? "?" + this.#query : ""}`,
      lastEventId: this.#lastId,
      names: this.#options.names(),
      until: this.#options.until,
    }));
  }

  #receive({run, query, reset, none, refused, updates = []}) {
    if (!this.#listening) return; // it was under way when this tab closed the stream
    if (refused) return this.#refuse(refused);
    if (query === undefined && !none && this.#asked) return;
    this.#stopAsking();
    if (none) return this.#options.none?.();
    if (run !== this.#run) this.#n = 0;
    this.#run = run;
    if (query !== undefined) this.#apply(query);
    if (reset) this.#reset();
    for (const update of updates) {
      if (update.n <= this.#n) continue; // it has come before
      this.#n = update.n ?? this.#n;
      this.#update(update);
    }
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
    for (const view of [this.#wire, this.#timeline, this.#freshness]) view.add(update);
    if (update.poll !== undefined) this.find('[data-action="poll"]').ariaPressed = String(update.poll);
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

  /** The stream has this query now. */
  #apply(query) {
    this.#query = query;
    this.#changed();
    this.#showProblem(null);
    if (this.#options.form) showProblem(this.#options.form, null);
    this.#options.applied?.(new URLSearchParams(query));
    this.#wish = {...(this.#wish ?? this.#options.settings()), query};
  }

  #refuse(problem) {
    if (this.#wish) this.#wish.query = this.#query;
    showProblem(this.#options.form ?? this.section, problem);
  }

  #setState(state) {
    const {section, find} = this;
    section.dataset.state = state;
    this.#timeline.setState(state);
    setText(find(".state"), state);
    const toggle = find('[data-action="toggle"]');
    setText(toggle, this.#listening && state !== "closed" ? "Close" : "Open");
    toggle.ariaLabel = `${toggle.textContent} the ${section.dataset.title} stream`;
    for (const button of buttonsOf(section, ".break button")) button.disabled = state === "closed";
    if (state === "open") streamIsOpen();
    if (state === "open" || (state === "closed" && this.#isReconnecting)) this.#showProblem(null);
  }

  /** The stream is said to be open, and has noticed nothing. */
  #hearNothing() {
    this.#setState("reconnecting");
    this.#showProblem({status: 0, title: "This page has heard nothing for three heartbeats"});
    this.#call("open"); // on another connection
    this.#ask();
  }

  /** What the service or the network has said, until the stream is open. A status of 0 means that there was no answer. */
  #showProblem(problem) {
    this.#isReconnecting = problem?.status === 0 || problem?.status === 503;
    const reconnecting = () => ({title: `${problem.detail || problem.title}. A new connection follows.`});
    showProblem(this.section, this.#isReconnecting ? reconnecting() : problem);
  }
}
