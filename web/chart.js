// A line chart in SVG: points {time in ms, value} over time, with axes.

const ns = "http://www.w3.org/2000/svg";
const margin = {top: 8, right: 8, bottom: 22, left: 62};

export function drawChart(svg, points) {
  const {width, height} = svg.getBoundingClientRect();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  if (points.length < 2 || width === 0) return;

  const times = points.map((p) => p.time);
  const values = points.map((p) => p.value);
  const [from, to] = [Math.min(...times), Math.max(...times)];
  const ticks = niceTicks(Math.min(...values), Math.max(...values), 4);
  const [low, high] = [Math.min(ticks[0], ...values), Math.max(ticks.at(-1), ...values)];
  const x = (time) => margin.left + ((time - from) / (to - from)) * (width - margin.left - margin.right);
  const y = (value) => height - margin.bottom - ((value - low) / (high - low)) * (height - margin.top - margin.bottom);

  for (const tick of ticks) {
    add(svg, "line", {class: "grid", x1: margin.left, x2: width - margin.right, y1: y(tick), y2: y(tick)});
    add(svg, "text", {class: "label", x: margin.left - 8, y: y(tick) + 4, "text-anchor": "end"}, format(tick, ticks[1] - ticks[0]));
  }
  const count = Math.max(2, Math.floor(width / 160));
  for (let i = 0; i < count; i++) {
    const time = from + ((to - from) * i) / (count - 1);
    const anchor = i === 0 ? "start" : i === count - 1 ? "end" : "middle";
    add(svg, "text", {class: "label", x: x(time), y: height - 5, "text-anchor": anchor}, new Date(time).toLocaleTimeString("en-GB"));
  }
  const line = points.map((p) => `${x(p.time).toFixed(1)},${y(p.value).toFixed(1)}`).join(" ");
  add(svg, "polyline", {class: "line", points: line});
  const last = points.at(-1);
  add(svg, "circle", {class: "now", cx: x(last.time), cy: y(last.value), r: 3.5});
}

// niceTicks are round values that cover low to high in about count steps.
function niceTicks(low, high, count) {
  const rough = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const first = Math.floor(low / step) * step;
  const ticks = [];
  for (let i = 0; first + (i - 1) * step < high; i++) ticks.push(first + i * step);
  return ticks;
}

function format(value, step) {
  const digits = Math.max(0, Math.min(2, -Math.floor(Math.log10(step))));
  return value.toLocaleString("en", {minimumFractionDigits: digits, maximumFractionDigits: digits});
}

function add(svg, tag, attributes, text) {
  const e = document.createElementNS(ns, tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  if (text !== undefined) e.textContent = text;
  svg.append(e);
}
