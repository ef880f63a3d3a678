// Where strokes come from: what is pointed at in the picture is shown in its painting, and the other
// way round. `strokes.py` has written both, and where each cell of the picture comes from.
() => {
  const RADIUS = 0.06; // of a painting's long side: what is pointed at there
  const MARK = [255, 196, 0, 150]; // RGBA of the cells that come from there
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const read = new WeakMap(); // the data of each view, read once

  const dataOf = (view) => {
    if (read.get(view)?.text !== view.dataset.origins) {
      read.set(view, { text: view.dataset.origins, ...JSON.parse(view.dataset.origins) });
    }
    return read.get(view);
  };

  const put = (figure, x, y, width, height) => {
    const patch = figure.querySelector(".patch");
    patch.style.cssText =
      `left:${100 * (x - width / 2)}%;top:${100 * (y - height / 2)}%;` +
      `width:${100 * width}%;height:${100 * height}%;display:block`;
  };

  const clear = (view) => {
    for (const patch of view.querySelectorAll(".patch")) patch.style.display = "none";
    const canvas = view.querySelector(".picture canvas");
    canvas.width = canvas.width; // empties it
  };

  // The painting's place that a place of the picture comes from.
  const fromPicture = (view, x, y) => {
    const data = dataOf(view);
    const column = Math.min(data.width - 1, Math.floor(x * data.width));
    const row = Math.min(data.height - 1, Math.floor(y * data.height));
    const cell = row * data.width + column;
    const number = data.painting[cell];
    const picture = view.querySelector(".picture");
    put(picture, (column + 0.5) / data.width, (row + 0.5) / data.height, 1 / data.width, 1 / data.height);
    if (number < 0) return; // kept from the photo
    const [height, width] = data.patches[number];
    const painting = view.querySelectorAll(".painting")[number];
    put(painting, data.column[cell] / 1000, data.row[cell] / 1000, width, height);
  };

  // All places of the picture that come from a disc of a painting.
  const fromPainting = (view, figure, x, y) => {
    const data = dataOf(view);
    const number = [...view.querySelectorAll(".painting")].indexOf(figure);
    const { width, height } = figure.getBoundingClientRect();
    const radius = RADIUS * Math.max(width, height);
    put(figure, x, y, (2 * radius) / width, (2 * radius) / height);
    const canvas = view.querySelector(".picture canvas");
    canvas.width = data.width;
    canvas.height = data.height;
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(data.width, data.height);
    for (let cell = 0; cell < data.painting.length; cell++) {
      const away = Math.hypot(
        (data.column[cell] / 1000 - x) * width,
        (data.row[cell] / 1000 - y) * height,
      );
      if (data.painting[cell] === number && away <= radius) pixels.data.set(MARK, 4 * cell);
    }
    context.putImageData(pixels, 0, 0);
  };

  const pointAt = (figure, x, y) => {
    const view = figure.closest(".strokes");
    figure.dataset.at = `${x} ${y}`;
    clear(view);
    if (figure.matches(".picture")) fromPicture(view, x, y);
    else fromPainting(view, figure, x, y);
  };

  const within = (value) => Math.min(0.999, Math.max(0, value));

  const follow = (event) => {
    const figure = event.target.closest?.(".strokes figure");
    if (!figure) return;
    const { left, top, width, height } = figure.getBoundingClientRect();
    pointAt(figure, within((event.clientX - left) / width), within((event.clientY - top) / height));
  };
  document.addEventListener("pointermove", follow);
  document.addEventListener("pointerdown", follow);

  document.addEventListener("keydown", (event) => {
    const figure = event.target.closest?.(".strokes figure");
    if (!figure || !ARROWS[event.key]) return;
    event.preventDefault();
    const [right, down] = ARROWS[event.key];
    const { width, height } = dataOf(figure.closest(".strokes"));
    const [x, y] = (figure.dataset.at ?? "0.5 0.5").split(" ").map(Number);
    pointAt(figure, within(x + right / width), within(y + down / height));
  });
}
