// What is explained, in the browser: clicks, and pointing at the photo. Gradio runs it with the component
// in which `nst_core/explain/markup.py` shows it; that is drawn anew with every answer.
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let chosen = ""; // what was clicked last
let pointed = null; // where, in parts of the photo's sides

element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-choice]");
  if (!button) return;
  chosen = button.dataset.choice;
  trigger(chosen.startsWith("dial/") ? "select" : "click", { choice: chosen });
});

const spansOf = (view) => [JSON.parse(view.dataset.columns), JSON.parse(view.dataset.rows)];

// The number of the position that has a pixel.
const positionAt = (spans, pixel) => spans.findLastIndex(([own]) => own <= pixel);

// Show what the position at a place sees: a box in the photo, and that part beside it.
const show = () => {
  const view = element.querySelector(".pointing");
  if (!view || !pointed) return;
  const place = view.querySelector(".place");
  const photo = place.querySelector("img");
  const sides = [photo.naturalWidth, photo.naturalHeight];
  const [[, left, right], [, top, bottom]] = spansOf(view).map(
    (spans, axis) => spans[positionAt(spans, Math.floor(pointed[axis] * sides[axis]))],
  );
  const [width, height] = sides.map((side) => 100 / side);
  place.querySelector("i").style.cssText =
    `left:${left * width}%;top:${top * height}%;` +
    `width:${(right - left) * width}%;height:${(bottom - top) * height}%`;
  const canvas = new OffscreenCanvas(right - left, bottom - top);
  canvas.getContext("2d").drawImage(photo, -left, -top);
  canvas.convertToBlob().then((blob) => {
    const seen = view.querySelector(".seen img");
    if (seen.src.startsWith("blob:")) URL.revokeObjectURL(seen.src);
    seen.src = URL.createObjectURL(blob);
  });
};

const within = (value) => Math.min(0.999, Math.max(0, value));

element.addEventListener("pointerdown", (event) => {
  const place = event.target.closest(".place");
  if (!place) return;
  const { left, top, width, height } = place.getBoundingClientRect();
  pointed = [within((event.clientX - left) / width), within((event.clientY - top) / height)];
  show();
});

element.addEventListener("keydown", (event) => {
  const view = event.target.closest(".place")?.closest(".pointing");
  if (!view || !MOVES[event.key]) return;
  event.preventDefault();
  const counts = spansOf(view).map((spans) => spans.length);
  pointed = MOVES[event.key].map((move, axis) =>
    within((pointed ?? [0.5, 0.5])[axis] + move / counts[axis]),
  );
  show();
});

// Drawn anew: the place is kept, and the keyboard stays where it was.
watch("value", () => {
  const photo = element.querySelector(".place img");
  if (photo) photo.decode().then(show, () => {});
  if (!chosen || document.activeElement !== document.body) return;
  element.querySelector(`[data-choice="${CSS.escape(chosen)}"]`)?.focus({ preventScroll: true });
});
