// Presenter mode, dropping a painted PNG anywhere on the page, and sliders moved by keys. Gradio runs
// this once, on load.
() => {
  const find = (selector) => document.querySelector(selector);
  const isPresenting = () => document.body.classList.contains("presenting");
  const before = Object.assign(new Image(), { id: "before", hidden: true });
  document.body.append(before);
  let wasDark = false;

  // The language that the page is in, and what is said here.
  window.speak = (language, photoBefore) => {
    document.documentElement.lang = language;
    before.alt = photoBefore;
  };

  window.present = () => {
    wasDark = document.body.classList.contains("dark");
    document.body.classList.add("presenting", "dark");
    find("#views [role=tab]").click();
    document.documentElement.requestFullscreen?.().catch(() => {}); // still presents in a window
    document.activeElement?.blur();
  };

  const leave = () => {
    document.body.classList.remove("presenting");
    document.body.classList.toggle("dark", wasDark);
    before.hidden = true;
    if (document.fullscreenElement) document.exitFullscreen();
  };

  const paintOrStop = () => (find("#stop").disabled ? find("#paint") : find("#stop")).click();

  const showPair = (move) => {
    const pairs = [...document.querySelectorAll("#pairs .thumbnail-lg")];
    // None is selected at first, when the page shows the first.
    const current = Math.max(0, pairs.findIndex((pair) => pair.classList.contains("selected")));
    before.hidden = true;
    pairs[(current + move + pairs.length) % pairs.length].click();
  };

  const showBefore = () => {
    const photo = find("#content img");
    const { left, top, width, height } = find("#result").getBoundingClientRect();
    for (const [name, value] of Object.entries({ left, top, width, height })) {
      before.style[name] = `${value}px`;
    }
    before.src = photo?.src ?? "";
    before.hidden = !photo || !before.hidden;
  };

  const KEYS = {
    " ": paintOrStop,
    ArrowRight: () => showPair(1),
    ArrowLeft: () => showPair(-1),
    b: showBefore,
    B: showBefore,
    Escape: leave,
  };

  document.addEventListener("keydown", (event) => {
    const isShortcut = event.ctrlKey || event.metaKey || event.altKey;
    if (!isPresenting() || isShortcut || !KEYS[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    KEYS[event.key]();
  }, true);

  // In full screen the browser keeps Escape to itself.
  document.addEventListener("fullscreenchange", () => {
    if (isPresenting() && !document.fullscreenElement) leave();
  });

  // With a picture in it, a field's own upload button empties it first, and is to be pressed again.
  document.addEventListener("click", (event) => {
    const field = event.target.closest("button[aria-label='Upload file']")?.closest("#content, #style");
    if (!field?.querySelector("img")) return;
    event.stopPropagation();
    find(`#upload-${field.id}`).click();
  }, true);

  // Gradio's slider tells of being let go by a pointer only.
  document.addEventListener("keyup", (event) => {
    if (!event.target.closest("#blend")) return;
    event.target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
  });

  const isElsewhere = (event) => !event.target.closest("#content, #style, #recipe");
  document.addEventListener("dragover", (event) => isElsewhere(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!isElsewhere(event) || !event.dataTransfer.files.length) return;
    event.preventDefault();
    const input = find("#recipe").parentElement.querySelector("input[type=file]");
    const files = new DataTransfer();
    files.items.add(event.dataTransfer.files[0]);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
}
