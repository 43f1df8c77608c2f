// What the page remembers, if the browser lets it. Storage may be blocked, full, or hold what another version wrote;
// the page then works without.

const limit = 100_000; // characters of one value
const every = 1_000; // ms between two writes of the same value

const pending = new Map(); // by key: {area, timer, value()}

/** @param {() => Storage} area such as () => localStorage, which may throw @param {string} key */
export function load(area, key) {
  try {
    const value = JSON.parse(area().getItem(key) ?? "null");
    return value !== null && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

/** Writes what value() returns within a second, and at the latest when the page is left. */
export function saveSoon(area, key, value) {
  const timer = pending.get(key)?.timer ?? setTimeout(() => write(key), every);
  pending.set(key, {area, timer, value});
}

function write(key) {
  const {area, timer, value} = pending.get(key);
  pending.delete(key);
  clearTimeout(timer);
  try {
    const text = JSON.stringify(value());
    if (text.length <= limit) area().setItem(key, text);
    else area().removeItem(key);
  } catch {
    // A reload will begin anew.
  }
}

addEventListener("pagehide", () => {
  for (const key of pending.keys()) write(key);
});
