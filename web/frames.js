// Draws what has changed once per animation frame, and rests for four times as long as drawing took, layout included:
// however much comes, four fifths of the time are left for the reader.

const hiddenEvery = 1_000; // ms between drawings if the browser gives the page no frames
const rest = 4;

const drawings = new Set();
let scheduled = false;
let restUntil = 0;

/** Calls drawing soon, once, however often it is asked for. @param {() => void} drawing */
export function draw(drawing) {
  drawings.add(drawing);
  if (scheduled) return;
  scheduled = true;
  setTimeout(nextFrame, Math.max(0, restUntil - performance.now()));
}

function nextFrame() {
  const frame = requestAnimationFrame(run);
  const timer = setTimeout(run, hiddenEvery);
  function run() {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    const from = performance.now();
    const now = [...drawings];
    drawings.clear();
    scheduled = false;
    for (const drawing of now) drawing();
    setTimeout(() => (restUntil = performance.now() + rest * (performance.now() - from)));
  }
}
