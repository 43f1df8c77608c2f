// What the page remembers, if the browser lets it. Storage may be blocked, full, or hold what another version wrote;
// the page then works without.

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
    area().setItem(key, JSON.stringify(value));
  } catch {
    // A reload will begin anew.
  }
}
