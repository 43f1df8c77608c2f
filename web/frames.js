// Draws what has changed, together, in an animation frame, and then rests: at least for a moment, and for four times as
// long as drawing took, layout included. However much comes, four fifths of the time are left for the reader.

const hiddenEvery = 1_000; // ms between drawings if the browser gives the page no frames
const rest = 4;
const leastRest = 90; // ms

const drawings = new Set();
const last = new Set(); // what asks for sizes, after all drawings: once they are known, the next question costs nothing
let scheduled = false;
let drawing = false;
let restUntil = 0;

/** Calls f soon, once, however often it is asked for. @param {() => void} f */
export function draw(f) {
  drawings.add(f);
  if (scheduled) return;
  scheduled = true;
  setTimeout(nextFrame, Math.max(0, restUntil - performance.now()));
}

/** Calls f after all drawings of this frame, or now if nothing is being drawn. @param {() => void} f */
export function afterDrawing(f) {
  if (drawing) last.add(f);
  else f();
}

function nextFrame() {
  const frame = requestAnimationFrame(run);
  const timer = setTimeout(run, hiddenEvery);
  function run() {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    const from = performance.now();
    drawing = true;
    callAll(drawings);
    drawing = false;
    callAll(last);
    scheduled = drawings.size > 0;
    if (scheduled) setTimeout(nextFrame, leastRest);
    setTimeout(() => (restUntil = performance.now() + Math.max(leastRest, rest * (performance.now() - from))));
  }
}

function callAll(set) {
  const all = [...set];
  set.clear();
  for (const f of all) {
    try {
      f();
    } catch (error) {
      reportError(error); // the others are drawn all the same
    }
  }
}
