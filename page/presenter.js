// Presenter mode: the picture alone, steered by keys; and a playlist of pairs that runs by itself. Gradio
// runs this once, on load.
() => {
  const find = (selector) => document.querySelector(selector);
  const isPresenting = () => document.body.classList.contains("presenting");
  const before = Object.assign(new Image(), { id: "before", hidden: true });
  document.body.append(before);
  let wasDark = false;
  let photo = null; // the one that was painted, whatever is in its field since

  document.addEventListener("click", (event) => {
    if (event.target.closest("#paint")) photo = find("#content img")?.src;
    if (event.target.closest("#pairs")) photo = null; // its own is in the field then
  }, true);

  // Everything but the stage, so that neither Tab nor a screen reader strays behind it.
  const setBehind = (isInert) => {
    for (let one = find("#stage"); one !== document.body; one = one.parentElement) {
      for (const other of one.parentElement.children) {
        if (other !== one && other !== before) other.inert = isInert;
      }
    }
  };

  // The language that the page is in, and what is said here.
  window.speak = (language, photoBefore) => {
    document.documentElement.lang = language;
    before.alt = photoBefore;
  };

  window.present = () => {
    wasDark = document.body.classList.contains("dark");
    document.body.classList.add("presenting", "dark");
    showView(0);
    setBehind(true);
    document.documentElement.requestFullscreen?.().catch(() => {}); // still presents in a window
    document.activeElement?.blur();
  };

  const leave = () => {
    stopPlaylist();
    setBehind(false);
    document.body.classList.remove("presenting", "linked");
    document.body.classList.toggle("dark", wasDark);
    before.hidden = true;
    if (document.fullscreenElement) document.exitFullscreen();
  };

  const VIEWS = { picture: 0, strokes: 3 }; // their places among the tabs of the stage

  const showView = (number) => find(`#views [role=tab]:nth-of-type(${number + 1})`)?.click();

  const showStrokes = () => {
    const isShown = find("#strokes")?.checkVisibility();
    showView(isShown ? VIEWS.picture : VIEWS.strokes);
  };

  const showMirror = () => {
    if (window.mirror.isOpen()) showView(VIEWS.picture);
    else find("#mirror-tab-button")?.click();
  };

  const paintOrStop = () => {
    if (window.mirror.isOpen()) find("#mirror-moment").click();
    else (find("#stop").disabled ? find("#paint") : find("#stop")).click();
  };

  // Another pair, or in the mirror another painting.
  const showPair = (move) => {
    const picker = window.mirror.isOpen() ? "#pick-style" : "#pairs";
    const pairs = [...document.querySelectorAll(`${picker} .thumbnail-lg`)];
    // None is selected at first, when the page shows the first.
    const current = Math.max(0, pairs.findIndex((pair) => pair.classList.contains("selected")));
    before.hidden = true;
    pairs[(current + move + pairs.length) % pairs.length].click();
  };

  const showBefore = () => {
    const source = photo ?? find("#content img")?.src;
    const { left, top, width, height } = find("#result").getBoundingClientRect();
    for (const [name, value] of Object.entries({ left, top, width, height })) {
      before.style[name] = `${value}px`;
    }
    before.src = source ?? "";
    before.hidden = !source || !before.hidden;
  };

  // A code to scan: the link is made anew, for what is chosen now.
  const showLink = () => {
    if (document.body.classList.toggle("linked")) find("#link").click();
  };

  // --- Playlist: paints one pair after another until somebody touches anything ------------------

  const SECONDS = { taken: 3, shown: 10 }; // for the page to take a click up; of a finished picture
  const PHASES = {
    paint: { act: () => find("#paint").click(), seconds: SECONDS.taken, next: "show" },
    show: { act: () => {}, seconds: SECONDS.shown, next: "turn" },
    turn: { act: () => showPair(1), seconds: SECONDS.taken, next: "paint" },
  };
  let playing = 0; // the timer, 0 when nothing plays

  const play = (name) => {
    const phase = PHASES[name];
    const isPainting = find("#paint").disabled;
    if (!isPainting) phase.act();
    const [seconds, next] = isPainting ? [1, name] : [phase.seconds, phase.next];
    playing = setTimeout(play, 1000 * seconds, next);
  };

  const stopPlaylist = () => {
    clearTimeout(playing);
    playing = 0;
  };

  const startOrStopPlaylist = () => (playing ? stopPlaylist() : play("paint"));

  document.addEventListener("pointerdown", stopPlaylist, true);

  const KEYS = {
    " ": paintOrStop,
    ArrowRight: () => showPair(1),
    ArrowLeft: () => showPair(-1),
    b: showBefore,
    s: showStrokes,
    m: showMirror,
    q: showLink,
    p: startOrStopPlaylist,
    Escape: leave,
  };

  document.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const isShortcut = event.ctrlKey || event.metaKey || event.altKey;
    if (!isPresenting() || isShortcut || !KEYS[key]) return;
    if (key.startsWith("Arrow") && event.target.closest?.(".strokes")) return; // moves there
    event.preventDefault();
    event.stopPropagation();
    if (key !== "p") stopPlaylist();
    KEYS[key]();
  }, true);

  // In full screen the browser keeps Escape to itself.
  document.addEventListener("fullscreenchange", () => {
    if (isPresenting() && !document.fullscreenElement) leave();
  });
}
