// For the controls of the box that this widget is in: screen readers hear what eyes see, which ipywidgets leaves out, and
// the kernel hears what was pressed in a drawing.

const PLAYER = { "fa-play": "play", "fa-pause": "pause", "fa-stop": "stop, back to the start", "fa-retweet": "repeat" };
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value); // else the observer would never rest
}

function describe(box) {
  for (const part of box.children) part.inert = box.classList.contains("jupyter-widgets-disconnected"); // no kernel hears
  for (const handle of box.querySelectorAll(".noUi-handle")) {
    const row = handle.closest(".widget-inline-hbox");
    const name = row.querySelector(".widget-label").textContent;
    const isRange = row.querySelectorAll(".noUi-handle").length === 2;
    const end = Number(handle.dataset.handle);
    set(handle, "aria-label", isRange ? `${name}, ${end ? "upper" : "lower"} end` : name);
    const shown = row.querySelector(".widget-readout"); // a rate, and not its place among the rates
    if (shown) set(handle, "aria-valuetext", isRange ? shown.textContent.split(" – ")[end] : shown.textContent);
  }
  for (const group of box.querySelectorAll(".widget-toggle-buttons")) {
    set(group, "role", "group");
    set(group, "aria-label", group.querySelector(".widget-label").textContent);
  }
  for (const button of box.querySelectorAll(".widget-toggle-button"))
    set(button, "aria-pressed", String(button.classList.contains("mod-active")));
  for (const icon of box.querySelectorAll(".widget-play i")) // ipywidgets gives these buttons no name
    set(icon.parentElement, "aria-label", PLAYER[[...icon.classList].at(-1)]);
  for (const progress of box.querySelectorAll(".widget-inline-hbox > .progress")) {
    set(progress, "role", "progressbar");
    set(progress, "aria-label", "progress");
    set(progress, "aria-valuenow", String(Math.round(parseFloat(progress.querySelector(".progress-bar").style.width) || 0)));
  }
}

function begin(box, model) {
  let waiting = null; // what was pressed, and is to have the focus again when it has been drawn anew
  function look() {
    describe(box);
    const again = waiting && box.querySelector(`[data-press="${CSS.escape(waiting)}"]`);
    if (again && document.activeElement === document.body) {
      waiting = null;
      again.focus({ preventScroll: true });
    }
  }
  function press(element) {
    waiting = element.dataset.press;
    model.send({ press: waiting });
  }
  function onClick(event) {
    const element = event.target.closest("[data-press]");
    if (element) press(element);
  }
  function onKey(event) {
    const element = event.target.closest("[data-press]");
    if (!element) return;
    const { row, column } = element.dataset;
    if (event.key === "Enter" || event.key === " ") press(element);
    else if (event.key in STEPS) {
      const [down, right] = STEPS[event.key];
      const place = `[data-row="${Number(row) + down}"][data-column="${Number(column) + right}"]`;
      const next = element.closest("[data-grid]").querySelector(place);
      if (next) {
        element.setAttribute("tabindex", "-1"); // Tab finds one of a grid, the last that had the focus
        next.setAttribute("tabindex", "0");
        next.focus();
      }
    } else return;
    event.preventDefault(); // or the page would scroll
  }
  const observer = new MutationObserver(look);
  const filter = ["class", "style", "aria-valuenow", "aria-valuetext"];
  observer.observe(box, { subtree: true, childList: true, characterData: true, attributeFilter: filter });
  box.addEventListener("click", onClick);
  box.addEventListener("keydown", onKey);
  look();
  return () => {
    observer.disconnect();
    box.removeEventListener("click", onClick);
    box.removeEventListener("keydown", onKey);
  };
}

function render({ model, el }) {
  let end = null;
  let over = false;
  function start() {
    if (over) return;
    if (el.isConnected) end = begin(el.closest(".tlkit"), model);
    else requestAnimationFrame(start); // the view is made before it has a place on the page
  }
  start();
  return () => {
    over = true;
    if (end) end();
  };
}

export default { render };
