// The ticker: the price, its change, and a chart of the last minutes.

import {drawChart} from "./chart.js";
import {panel} from "./panel.js";

const history = 100; // ticks: what the server replays at the most
const keep = 300;
const price = new Intl.NumberFormat("en", {minimumFractionDigits: 2, maximumFractionDigits: 2});
const change = new Intl.NumberFormat("en", {minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "exceptZero"});

export function ticker() {
  let points = [];
  let drawing = 0;
  const form = document.querySelector('[data-stream="tick"] form');
  const query = () => String(new URLSearchParams(new FormData(form)));

  // The id of a tick counts the intervals since 1970, so a page that has seen
  // nothing yet can ask for the last hundred as if it came back.
  const request = () => {
    const interval = Number(form.elements.interval.value);
    const after = interval >= 100 ? String(Math.floor(Date.now() / interval) - history) : "";
    return {query: query(), names: ["tick"], after};
  };

  const draw = () => {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(() => drawChart(self.find("svg"), points));
  };

  const self = panel("tick", request, {
    reset() {
      points = [];
      draw();
    },
    settings(query) {
      for (const [name, value] of new URLSearchParams(query)) form.elements[name].value = value;
    },
    event({name, data}) {
      if (name !== "tick") return;
      const tick = JSON.parse(data);
      points.push({time: tick.timestamp, value: tick.price});
      points = points.slice(-keep);
      self.find(".symbol").textContent = tick.symbol;
      self.find(".price").textContent = price.format(tick.price);
      const delta = self.find(".delta");
      delta.textContent = `${tick.delta > 0 ? "▲" : tick.delta < 0 ? "▼" : "■"} ${change.format(tick.delta)}`;
      delta.dataset.sign = Math.sign(tick.delta);
      draw();
    },
  });
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    self.set(request());
  });
  new ResizeObserver(draw).observe(self.find("svg"));
  self.open();
}
