// Puts the service's own words beside the field that they are about, and nothing stale beside them.

let count = 0;

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
    else setFieldProblem(root, place, takeErrors(errors, place.dataset.for));
  }
  if (!general) return;
  const rest = errors.map(({field, message}) => (message.includes(field) ? message : `${field}: ${message}`));
  general.textContent = rest.join("; ") || (problem && !problem.errors?.length ? problem.detail || problem.title : "");
}

function takeErrors(errors, name) {
  const index = errors.findIndex(({field}) => field.replace(/\[.*/, "") === name);
  return index < 0 ? "" : errors.splice(index, 1)[0].message;
}

function setFieldProblem(root, place, text) {
  place.textContent = text;
  place.id ||= `problem-${++count}`;
  const field = root.querySelector(`[name="${place.dataset.for}"]`);
  field?.setAttribute("aria-invalid", String(text !== ""));
  if (text) field?.setAttribute("aria-describedby", place.id);
  else field?.removeAttribute("aria-describedby");
}
