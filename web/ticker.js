// The ticker: the price, its change, and a chart of the last minutes.

import {draw, setText} from "./dom.js";
import {field, fill} from "./forms.js";
import {Panel} from "./panel.js";

const history = 90; // ticks: the server replays 100 at the most, and some pass until it is asked
const keep = 300;
const price = new Intl.NumberFormat("en", {minimumFractionDigits: 2, maximumFractionDigits: 2});
const change = new Intl.NumberFormat("en", {minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "exceptZero"});

export function ticker() {
  let ticks = []; // as they came
  let interval = 0; // ms, in force
  const form = /** @type {HTMLFormElement} */ (document.querySelector('[data-stream="tick"] form'));
  const value = (name) => field(form, name).value.trim();

  // The id of a tick counts the intervals since 1970, so a page that has seen nothing yet can ask for the newest ones
  // as if it came back.
  const settings = () => {
    const interval = Number(value("interval"));
    const after = interval >= 100 ? String(Math.floor(Date.now() / interval) - history) : "";
    return {query: String(new URLSearchParams({symbol: value("symbol"), interval: value("interval")})), recent: keep, after};
  };

  const self = new Panel("tick", {
    settings,
    form,
    ids: {count: true, time: (id) => Number(id) * interval},
    names: () => ["tick"],
    reset() {
      ticks = [];
      draw(show);
    },
    applied(query) {
      interval = Number(query.get("interval"));
      fill(form, Object.fromEntries(query));
    },
    event({name, data}) {
      if (name !== "tick") return;
      ticks.push(JSON.parse(data));
      if (ticks.length > keep) ticks.shift();
      draw(show);
    },
  });

  function show() {
    const delta = self.find(".delta"), newest = ticks.at(-1);
    setText(self.find(".symbol"), newest?.symbol ?? "–");
    setText(self.find(".price"), newest ? price.format(newest.price) : "–");
    setText(delta, newest ? `${newest.delta > 0 ? "▲" : newest.delta < 0 ? "▼" : "■"} ${change.format(newest.delta)}` : "");
    delta.dataset.sign = String(Math.sign(newest?.delta ?? 0));
    drawChart(self.find("svg"), ticks);
  }

  new ResizeObserver(() => draw(show)).observe(self.find("svg"));
  self.open();
}

const margin = {top: 8, right: 8, bottom: 22, left: 76};

/** A line chart of prices, with axes. */
function drawChart(svg, ticks) {
  const {width, height} = svg.getBoundingClientRect();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  if (ticks.length < 2 || width === 0) return;

  const values = ticks.map(({price}) => price);
  const [from, to] = [ticks[0].timestamp, ticks.at(-1).timestamp];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (time) => margin.left + ((time - from) / (to - from)) * (width - margin.left - margin.right);
  const y = (value) => height - margin.bottom - ((value - low) / (high - low || 1)) * (height - margin.top - margin.bottom);

  for (const [share, anchor] of /** @type {const} */ ([[0, "start"], [0.5, "middle"], [1, "end"]])) {
    const [value, time] = [low + (high - low) * share, from + (to - from) * share];
    add(svg, "line", {class: "grid", x1: margin.left, x2: width - margin.right, y1: y(value), y2: y(value)});
    add(svg, "text", {class: "label", x: margin.left - 8, y: y(value) + 4, "text-anchor": "end"}, price.format(value));
    add(svg, "text", {class: "label", x: x(time), y: height - 5, "text-anchor": anchor}, new Date(time).toLocaleTimeString("en-GB"));
  }
  add(svg, "polyline", {class: "line", points: ticks.map((tick) => `${x(tick.timestamp).toFixed(1)},${y(tick.price).toFixed(1)}`).join(" ")});
  add(svg, "circle", {class: "now", cx: x(to), cy: y(values.at(-1)), r: 3.5});
}

function add(svg, tag, attributes, text = "") {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.textContent = text;
  svg.append(e);
}
