// Elements with a class and a text, never with markup.

/** @param {string} tag @param {string} [className] @param {string} [text] */
export function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

/** The field of a form. @param {HTMLFormElement} form @param {string} name */
export const field = (form, name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));

/** All elements below root that a selector finds. @param {Element} root @param {string} selector @returns {HTMLButtonElement[]} */
export const buttonsOf = (root, selector) => [...root.querySelectorAll(selector)].map((e) => /** @type {HTMLButtonElement} */ (e));

/** A copy of what is in a template of the page. @param {string} id */
export const fromTemplate = (id) => /** @type {HTMLTemplateElement} */ (document.getElementById(id)).content.cloneNode(true);

/** Sets a text if it is another one: the same again would make work for the browser and for screen readers. */
export function setText(e, text) {
  if (e.textContent !== String(text)) e.textContent = String(text);
}
