// Forms: their fields, the settings that are in force, and the service's own words beside the field that they are about.

import {setText} from "./dom.js";

let count = 0;

/** The field of a form. @param {HTMLFormElement} form @param {string} name */
export const field = (form, name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));

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

/**
 * Shows a problem in the places for problems of root, which is a form, or a section without its forms. A place's
 * data-for names the field, and is "" for what is about no field. All other messages there go, of success, too.
 * @param {Element} root @param {{title?: string, detail?: string, errors?: {field: string, message: string}[]} | null} problem
 */
export function showProblem(root, problem) {
  const own = (selector) => [...root.querySelectorAll(selector)].filter((place) => (place.closest("form") ?? root) === root);
  for (const done of own(".done")) done.textContent = "";
  const errors = [...(problem?.errors ?? [])];
  let general = null;
  for (const place of own(".problem")) {
    if (place.dataset.for === "") general = place;
    else setFieldProblem(root.querySelector(`[name="${place.dataset.for}"]`), place, takeErrors(errors, place.dataset.for));
  }
  if (!general) return;
  const rest = errors.map(({field, message}) => (message.includes(field) ? message : `${field}: ${message}`));
  setText(general, rest.join("; ") || (problem && !problem.errors?.length ? problem.detail || problem.title : ""));
}

function takeErrors(errors, name) {
  const index = errors.findIndex(({field}) => field.replace(/\[.*/, "") === name);
  return index < 0 ? "" : errors.splice(index, 1)[0].message;
}

function setFieldProblem(field, place, text) {
  setText(place, text);
  place.id ||= `problem-${++count}`;
  field?.setAttribute("aria-invalid", String(text !== ""));
  if (text) field?.setAttribute("aria-describedby", place.id);
  else field?.removeAttribute("aria-describedby");
}

// A field that is being corrected is wrong no more until the service says so again.
addEventListener("input", ({target}) => {
  const field = /** @type {HTMLInputElement} */ (target);
  const place = field.ariaInvalid === "true" && document.getElementById(field.getAttribute("aria-describedby") ?? "");
  if (place) setFieldProblem(field, place, "");
});
