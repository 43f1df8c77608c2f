// The ticker: the price, its change, and a chart of the last minutes.

import {drawChart} from "./chart.js";
import {field, setText} from "./dom.js";
import {draw} from "./frames.js";
import {fill, Panel} from "./panel.js";

const history = 100; // ticks: what the server replays at the most
const keep = 300;
const price = new Intl.NumberFormat("en", {minimumFractionDigits: 2, maximumFractionDigits: 2});
const change = new Intl.NumberFormat("en", {minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "exceptZero"});

export function ticker() {
  let points = [];
  let newest = null;
  const form = /** @type {HTMLFormElement} */ (document.querySelector('[data-stream="tick"] form'));
  const value = (name) => field(form, name).value.trim();

  // The id of a tick counts the intervals since 1970, so a page that has seen nothing yet can ask for the last hundred
  // as if it came back.
  const settings = () => {
    const interval = Number(value("interval"));
    const after = interval >= 100 ? String(Math.floor(Date.now() / interval) - history) : "";
    return {query: String(new URLSearchParams({symbol: value("symbol"), interval: value("interval")})), recent: keep, after};
  };

  const self = new Panel("tick", {
    settings,
    form,
    names: () => ["tick"],
    reset() {
      points = [];
      newest = null;
      draw(show);
    },
    applied: (query) => fill(form, Object.fromEntries(query)),
    event({name, data}) {
      if (name !== "tick") return;
      newest = JSON.parse(data);
      points.push({time: newest.timestamp, value: newest.price});
      if (points.length > keep) points.shift();
      draw(show);
    },
  });

  function show() {
    const delta = self.find(".delta");
    setText(self.find(".symbol"), newest?.symbol ?? "–");
    setText(self.find(".price"), newest ? price.format(newest.price) : "–");
    setText(delta, newest ? `${newest.delta > 0 ? "▲" : newest.delta < 0 ? "▼" : "■"} ${change.format(newest.delta)}` : "");
    delta.dataset.sign = String(Math.sign(newest?.delta ?? 0));
    drawChart(self.find("svg"), points);
  }

  form.addEventListener("submit", (e) => {
    e.preventDefault();
    self.set(settings());
  });
  new ResizeObserver(() => draw(show)).observe(self.find("svg"));
  self.open();
}
