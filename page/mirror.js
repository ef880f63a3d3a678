// The mirror: frames of the camera go to the server one at a time, and come back painted. `mirror.py`
// answers; `mirror_tab.py` has laid out what is read here at every frame: strength, weights, size, flip.
() => {
  const find = (selector) => document.querySelector(selector);
  const view = () => find("#mirror .mirror");
  const isOpen = () => !!view()?.checkVisibility();
  const said = (name) => JSON.parse(view().dataset.said)[name];
  const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

  const PAUSE = 1; // s, before a paused mirror asks again
  const QUALITY = 0.8; // of the frames' JPEGs
  const STEP = 8; // px; the net halves its sides twice, and flow is searched on a coarser grid still
  const COUNTED = 10; // pictures, whose rate is told
  const PROBLEMS = { NotAllowedError: "denied", NotFoundError: "missing" }; // others: it is in use
  const camera = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };

  // What is on: the camera's stream, its name on the server, and how to end what waits for an answer.
  let now = { stream: null, name: "", ending: new AbortController() };
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  const sent = document.createElement("canvas"); // the frame as it is sent

  const tell = (text) => (view().querySelector(".note").textContent = text);
  const tellRate = (text) => (view().querySelector(".rate").textContent = text);

  const numberOf = (name, otherwise) => {
    const value = find(`#${name} input[type=range]`)?.value;
    return value === undefined ? otherwise : Number(value);
  };
  const isFlipped = () => find("#mirror-flip input").checked;
  const wanted = () => {
    const weights = [1, 2, 3, 4].map((number) => numberOf(`mirror-weight-${number}`, 1));
    return `?weights=${weights}&strength=${numberOf("mirror-strength", 100) / 100}`;
  };

  const asJpeg = (canvas, quality) => new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));

  // The camera's picture on a canvas, `side` px long at most.
  const draw = (canvas, side) => {
    const scale = Math.min(1, side / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = STEP * Math.round((scale * video.videoWidth) / STEP);
    canvas.height = STEP * Math.round((scale * video.videoHeight) / STEP);
    const context = canvas.getContext("2d");
    if (isFlipped()) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
  };

  const show = (picture, moment) => {
    const canvas = view().querySelector("canvas");
    Object.assign(canvas, { width: picture.width, height: picture.height });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.dispatchEvent(new CustomEvent("painted", { bubbles: true, detail: moment }));
  };

  // --- Begin and end ----------------------------------------------------------------------------

  const end = (text) => {
    const { stream, name, ending } = now;
    now = { stream: null, name: "", ending: new AbortController() };
    ending.abort();
    stream?.getTracks().forEach((track) => track.stop());
    // `keepalive`: also when the page goes away.
    if (name) fetch(`mirror/${name}`, { method: "DELETE", keepalive: true }).catch(() => {});
    video.srcObject = null;
    document.body.classList.remove("mirroring");
    if (!view()) return;
    tell(text);
    tellRate("");
  };

  // Asks for the camera; returns what is wrong, if anything is.
  const ask = async () => {
    end(said("asking"));
    const mine = now;
    if (!navigator.mediaDevices) return "insecure";
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: camera });
      if (mine === now) mine.stream = stream;
      else stream.getTracks().forEach((track) => track.stop()); // it was stopped meanwhile
      return "";
    } catch (error) {
      return PROBLEMS[error.name] ?? "busy";
    }
  };

  // What the server has said to it: the camera's name there, or none and why.
  const begin = async (name, text) => {
    now.name = name;
    if (!name || !now.stream) return end(name ? said("stopped") : text);
    const mine = now;
    tell(text);
    document.body.classList.add("mirroring");
    if (view().getBoundingClientRect().bottom > innerHeight) view().scrollIntoView({ block: "center" });
    for (const track of mine.stream.getTracks()) {
      track.onended = () => mine === now && end(said("lost"));
    }
    video.srcObject = mine.stream;
    await video.play().catch(() => mine === now && end(said("lost")));
    await paintAll(mine);
  };

  // --- Frame after frame ------------------------------------------------------------------------

  // Resolves with the moment at which the camera saw the next frame that was not sent yet.
  const frames = (mine) => {
    let latest = 0, last = 0, wake = () => {};
    const note = (shown, { captureTime }) => {
      latest = captureTime ?? shown;
      wake();
      if (mine === now) video.requestVideoFrameCallback(note);
    };
    if (!video.requestVideoFrameCallback) {
      return () => new Promise((done) => requestAnimationFrame(() => done(performance.now())));
    }
    video.requestVideoFrameCallback(note);
    return async () => {
      if (latest === last) await new Promise((done) => (wake = done));
      return (last = latest);
    };
  };

  const paintAll = async (mine) => {
    const next = frames(mine), shown = [];
    const signal = mine.ending.signal, headers = { "content-type": "image/jpeg" };
    while (mine === now) {
      const moment = await next();
      if (mine !== now) return;
      draw(sent, Number(find("#mirror-side input:checked").value));
      const body = await asJpeg(sent, QUALITY);
      try {
        const answer = await fetch(`mirror/${mine.name}${wanted()}`, { method: "POST", body, headers, signal });
        if (answer.ok) {
          const picture = await createImageBitmap(await answer.blob());
          if (mine !== now) return;
          show(picture, moment);
          shown.push(performance.now());
          tellPace(shown);
        } else {
          await pause(mine, answer.status, (await answer.json()).detail);
          shown.length = 0;
        }
      } catch {
        if (mine === now) end(said("unreachable"));
      }
    }
  };

  const tellPace = (shown) => {
    if (shown.length === 1) tell(said("on"));
    if (shown.length <= COUNTED) return;
    const rate = (1000 * COUNTED) / (shown[COUNTED] - shown[0]);
    tellRate(said("rate").replace("{rate}", Math.round(rate)));
    shown.splice(0, COUNTED);
  };

  // No picture this time: for a moment, or because the mirror is over.
  const pause = async (mine, status, text) => {
    if (mine !== now) return;
    if (status !== 503 && status !== 429) return end(text);
    tell(text);
    tellRate("");
    await sleep(PAUSE);
  };

  // --- What the page calls ----------------------------------------------------------------------

  // The frame of now becomes the photo, as if it was uploaded; the rest follows from that.
  const freeze = async () => {
    if (!now.name) return tell(said("idle"));
    draw(sent, Infinity);
    const frame = await asJpeg(sent, 0.95);
    end(said("moment"));
    const files = new DataTransfer();
    files.items.add(new File([frame], "moment.jpg", { type: "image/jpeg" }));
    const input = find("#upload-moment").parentElement.querySelector("input[type=file]");
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  // Whoever opens another view leaves the camera; its canvas has no size then.
  const watch = new ResizeObserver(([{ contentRect }]) => {
    document.body.classList.toggle("at-mirror", contentRect.width > 0);
    if (contentRect.width === 0 && now.stream) end(said("left"));
  });
  document.addEventListener("visibilitychange", () => document.hidden && now.stream && end(said("left")));
  window.addEventListener("pagehide", () => now.stream && end(said("left")));

  // In presenter mode there is no button to press.
  const open = () => {
    watch.observe(view());
    if (document.body.classList.contains("presenting")) find("#mirror-start").click();
  };

  window.mirror = {
    isOpen,
    ask,
    begin,
    freeze,
    open,
    stop: () => end(said("stopped")),
    renew: () => isOpen() && find("#mirror-renew").click(),
  };
}
