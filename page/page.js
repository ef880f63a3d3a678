// What the page does in the browser beside presenter mode: uploads with one press, drops, the wheel, sliders moved
// by keys, and what a screen reader is told.
() => {
  const find = (selector) => document.querySelector(selector);

  // With a picture in it, a field's own upload button empties it first, and is to be pressed again.
  document.addEventListener("click", (event) => {
    const field = event.target.closest("button[aria-label='Upload file']")?.closest("#content, #style");
    if (!field?.querySelector("img")) return;
    event.stopPropagation();
    find(`#upload-${field.id}`).click();
  }, true);

  // Of two clicks in a moment Gradio drops the second, or answers both in any order. So it is asked for
  // one pair at a time, and each time for the one that was clicked last.
  window.clickedPair = 0;
  document.addEventListener("click", (event) => {
    const pair = event.target.closest("#pairs .thumbnail-lg");
    if (pair) window.clickedPair = [...document.querySelectorAll("#pairs .thumbnail-lg")].indexOf(pair);
  }, true);

  // On a phone the picture is below what it is made of.
  window.showStage = () => {
    const stage = find("#stage");
    if (stage.getBoundingClientRect().top > innerHeight / 2) stage.scrollIntoView();
  };
  document.addEventListener("click", (event) => event.target.closest("#paint") && window.showStage());

  // Stop in "How it works" is there while anything is explained. The next explanation may be asked for
  // before the one before it has ended, so they are counted.
  let explanations = 0;
  window.explaining = (more) => {
    explanations += more;
    return { __type__: "update", interactive: explanations > 0 };
  };

  // Gradio's drawing area takes the wheel, though nothing there can be enlarged: the page could not be
  // moved from it.
  document.addEventListener("wheel", (event) => {
    if (event.target.closest("#board")) event.stopPropagation();
  }, { capture: true, passive: true });

  // Gradio's slider tells of being let go by a pointer only.
  document.addEventListener("keyup", (event) => {
    if (!event.target.closest("#blend")) return;
    event.target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
  });

  const isElsewhere = (event) => !event.target.closest("#content, #style, #clip, #recipe");
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

  // What stands over the stage says what is on it: a photo by itself, or in the style of a painting.
  window.describeStage = (painted) => {
    const describe = () => {
      const picture = find("#result img");
      const [photo, painting] = find("#title").textContent.trim().split(" × ");
      const names = { photo, painting };
      const told = painting ? painted.replace(/{(\w+)}/g, (_, name) => names[name]) : photo;
      if (picture && told && picture.alt !== told) picture.alt = told;
    };
    const changes = { subtree: true, childList: true, characterData: true, attributeFilter: ["src", "alt"] };
    for (const place of ["#title", "#result"]) new MutationObserver(describe).observe(find(place), changes);
    describe();
  };

  // The status changes four times a second; a screen reader hears of steps now and then only.
  const SECONDS_BETWEEN = 10;
  const told = Object.assign(document.createElement("div"), { className: "told" });
  told.setAttribute("aria-live", "polite");
  document.body.append(told);
  let last = 0;
  new MutationObserver(() => {
    const text = find("#status").innerText.trim();
    const isStep = text.includes(" · ");
    if (!text || text === told.innerText) return;
    if (isStep && performance.now() - last < 1000 * SECONDS_BETWEEN) return;
    last = isStep ? performance.now() : 0;
    told.innerText = text;
  }).observe(find("#status"), { subtree: true, childList: true, characterData: true });
}
