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

  // Everything but what is shown, so that neither Tab nor a screen reader strays behind it.
  const setBehind = (isInert, shown = "#stage") => {
    for (let one = find(shown); one !== document.body; one = one.parentElement) {
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
    if (isExplaining()) explain();
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

  // --- How it works, in the place of the stage ---------------------------------------------------

  const isExplaining = () => document.body.classList.contains("explaining");

  // The topics are made by the browser when their door is opened for the first time.
  const topics = () => [...document.querySelectorAll("#topic input")];

  const explain = () => {
    before.hidden = true;
    setBehind(false, isExplaining() ? "#inside" : "#stage");
    document.body.classList.toggle("explaining");
    setBehind(true, isExplaining() ? "#inside" : "#stage");
    if (!isExplaining()) find("#inside-stop").click();
    else if (!topics()[0]?.checkVisibility()) find("#inside > button").click();
    if (isExplaining()) startTopic(200);
  };

  const startTopic = (patience) => {
    if (!topics().length && patience) setTimeout(startTopic, 50, patience - 1);
    else if (!topics().some((one) => one.checked)) topics()[0]?.click();
  };

  const turnTopic = (move) => {
    const all = topics();
    const current = all.findIndex((one) => one.checked);
    all[(current + move + all.length) % all.length]?.click();
  };

  // A gradient step, or the next layer, whichever there is.
  const goOn = (move) => {
    const slider = find("#explained input[type=range]");
    if (slider) {
      slider.value = Number(slider.value) + move;
      slider.dispatchEvent(new Event("input"));
      return;
    }
    const layers = [...document.querySelectorAll("#explained .layers button")];
    const current = layers.findIndex((one) => one.ariaPressed === "true");
    layers[current + move]?.click();
  };

  const EXPLAINING = {
    " ": () => goOn(1),
    Backspace: () => goOn(-1),
    ArrowRight: () => turnTopic(1),
    ArrowLeft: () => turnTopic(-1),
    h: () => explain(),
    Escape: () => explain(),
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
    h: explain,
    q: showLink,
    p: startOrStopPlaylist,
    Escape: leave,
  };

  document.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const isShortcut = event.ctrlKey || event.metaKey || event.altKey;
    const keys = isExplaining() ? EXPLAINING : KEYS;
    if (!isPresenting() || isShortcut || !keys[key]) return;
    if (key.startsWith("Arrow") && event.target.closest?.(".strokes, .place, [type=range]")) return;
    event.preventDefault();
    event.stopPropagation();
    if (key !== "p") stopPlaylist();
    keys[key]();
  }, true);

  // In full screen the browser keeps Escape to itself.
  document.addEventListener("fullscreenchange", () => {
    if (isPresenting() && !document.fullscreenElement) leave();
  });
}
