// What the page remembers, if the browser lets it. Storage may be blocked, full, or hold what another version wrote;
// the page then works without.

const limit = 100_000; // characters of one value

/** An object that was saved, or null. @param {() => Storage} area such as () => localStorage, which may throw @param {string} key */
export function load(area, key) {
  try {
    const value = JSON.parse(area().getItem(key) ?? "null");
    return value !== null && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

/** @param {() => Storage} area @param {string} key @param {object} value */
export function save(area, key, value) {
  try {
    const text = JSON.stringify(value);
    if (text.length <= limit) area().setItem(key, text);
    else area().removeItem(key);
  } catch {
    // A reload will begin anew.
  }
}

/** Whether a stored value is an id that may be sent back. @param {unknown} value */
export const isEventId = (value) => typeof value === "string" && /^[\d-]{1,39}$/.test(value);
