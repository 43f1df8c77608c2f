// Elements with a class and a text, never with markup, and when they are drawn.

const turning = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const rest = 4;
const leastRest = 90; // ms

/**
 * The text with the characters that set the direction of writing as escapes: raw, they show a text in another order
 * than it has. @param {unknown} text
 */
export const visible = (text) => String(text).replace(turning, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** @param {string} tag @param {string} [className] @param {string} [text] */
export function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = visible(text);
  return e;
}

/** Sets a text if it is another one: the same again would make work for the browser and for screen readers. */
export function setText(e, text) {
  const shown = visible(text);
  if (e.textContent !== shown) e.textContent = shown;
}

/** All elements below root that a selector finds. @param {Element} root @param {string} selector @returns {HTMLButtonElement[]} */
export const buttonsOf = (root, selector) => [...root.querySelectorAll(selector)].map((e) => /** @type {HTMLButtonElement} */ (e));

/** A template of the page. @param {string} id */
export const template = (id) => /** @type {HTMLTemplateElement} */ (document.getElementById(id)).content;

const drawings = new Set();
let restUntil = 0;

/**
 * Calls f soon, once, however often it is asked for. What f returns is called after all that is drawn at that time:
 * then is the time to ask for sizes. After drawing the page rests for four times as long as that took, layout
 * included. However much comes, four fifths of the time are left for the reader.
 * @param {() => (() => void) | void} f
 */
export function draw(f) {
  if (drawings.size === 0) setTimeout(drawAll, Math.max(0, restUntil - performance.now()));
  drawings.add(f);
}

function drawAll() {
  const from = performance.now();
  const all = [...drawings];
  drawings.clear();
  for (const then of all.map(attempt)) if (then) attempt(then);
  restUntil = from + leastRest;
  setTimeout(() => (restUntil = performance.now() + Math.max(leastRest, rest * (performance.now() - from))));
}

/** Calls f; if it throws, the others are drawn all the same. */
function attempt(f) {
  try {
    return f();
  } catch (error) {
    reportError(error);
  }
}
