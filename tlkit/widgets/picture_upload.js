// The drop zone of PictureUpload. It checks the limits before it sends anything, then sends the bytes of all files as
// one stream, in pieces, each when the kernel has written the former one. Text goes in as text, never as HTML.

const PICTURES = /\.(png|jpe?g|jfif|bmp|gif|webp)$/i;
const ZIP = /\.zip$/i;
const ACCEPT = ".zip,.png,.jpg,.jpeg,.jfif,.bmp,.gif,.webp";
const SLOW = 3000; // milliseconds without an answer after which the page says that it waits

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
}

function count(n, what) {
  return `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
}

function isWanted(file) {
  return PICTURES.test(file.name) || ZIP.test(file.name);
}

/** Why these files cannot be sent; empty where they can. */
function problem(files, label, limits) {
  const wanted = files.filter(isWanted);
  const total = wanted.reduce((sum, file) => sum + file.size, 0);
  if (wanted.length === 0) return `${files[0].name} is neither a zip nor a PNG, JPEG, BMP, GIF or WebP.`;
  if (wanted.length > limits.files_left)
    return `There is room for ${count(limits.files_left, "picture")}, these are ${count(wanted.length, "file")}.`;
  if (total > limits.bytes_left)
    return `There is room for ${megabytes(limits.bytes_left)}, these take ${megabytes(total)}.`;
  if (!label && wanted.some((file) => !ZIP.test(file.name)))
    return "Say first what the pictures show: type a class, such as cats, and choose them again.";
  return "";
}

function render({ model, el }) {
  // Pages that come over an open line have no randomUUID.
  const newNumber = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("-");
  const list = element("datalist", { id: `tlkit-classes-${newNumber()}` });
  const label = element("input", {
    type: "text", maxlength: "100", autocomplete: "off", placeholder: "cats", list: list.id, class: "tlkit-class",
  });
  const input = element("input", {
    type: "file", multiple: "", accept: ACCEPT, hidden: "", tabindex: "-1", "aria-hidden": "true", class: "tlkit-files",
  });
  const choose = element("button", { type: "button", class: "tlkit-choose" }, "Choose files");
  const cancel = element("button", { type: "button", class: "tlkit-cancel", hidden: "" }, "Cancel");
  const bar = element("progress", { max: "1", value: "0", "aria-label": "bytes sent" });
  const amount = element("span", { class: "tlkit-quiet tlkit-amount" });
  const going = element("div", { class: "tlkit-drop-row", hidden: "" }, bar, amount);
  const room = element("p", { class: "tlkit-quiet tlkit-room" });
  const said = element("p", { class: "tlkit-said", role: "status", "aria-live": "polite" });
  const drop = element("b", {}, "Drop a zip or pictures here");
  const zone = element(
    "div", { class: "tlkit-drop", role: "group", "aria-label": "Upload pictures" },
    element("p", {}, drop, ", or choose them. A zip has a folder for each class."),
    element("div", { class: "tlkit-drop-row" },
      element("label", {}, "class of single pictures", label, list), choose, cancel, input),
    going, room, said,
  );
  zone.dataset.lmSuppressShortcuts = "true"; // JupyterLab's own keys would take Enter from the buttons
  el.append(zone);

  let sending = null; // the upload of this page: its number, its stream of bytes
  let waiting = 0;

  function say(text, kind = "") {
    said.textContent = text;
    said.dataset.kind = kind;
  }

  function show() {
    const busy = sending !== null || model.get("status") !== "ready";
    const limits = model.get("limits");
    choose.disabled = label.disabled = busy;
    cancel.hidden = !busy;
    going.hidden = sending === null;
    const left = `${limits.files_left.toLocaleString("en")} and ${megabytes(limits.bytes_left)}`;
    room.textContent =
      `PNG, JPEG, BMP, GIF or WebP; up to ${count(limits.files, "picture")} and ${megabytes(limits.bytes)} in all` +
      (limits.files_left < limits.files ? `; there is room for ${left} more.` : ".");
    list.replaceChildren(...model.get("classes").map((name) => element("option", { value: name })));
  }

  function showSaid() {
    say(model.get("said").text, model.get("said").kind);
  }

  function wait() {
    clearTimeout(waiting);
    waiting = setTimeout(() => say("Waiting for the kernel: it may be busy with a cell.", "busy"), SLOW);
  }

  function stop() {
    clearTimeout(waiting);
    sending = null;
    show();
  }

  function start(given) {
    if (given.length === 0) return;
    if (sending !== null || model.get("status") !== "ready") {
      say("One upload at a time: wait until this one is in, or cancel it.", "wrong");
      return;
    }
    const name = label.value.trim();
    const wrong = problem(given, name, model.get("limits"));
    if (wrong) {
      say(`${wrong} Nothing was sent.`, "wrong");
      if (!name) label.focus();
      return;
    }
    // Of what is no picture the name goes alone, without its bytes: the kernel says that it was left out.
    const files = given.map((file) => (isWanted(file) ? file : new File([], file.name)));
    // A Blob of files reads none of them before a piece is asked for.
    sending = { number: newNumber(), stream: new Blob(files) };
    bar.value = 0;
    amount.textContent = megabytes(sending.stream.size);
    model.send({
      do: "begin", number: sending.number, label: name,
      files: files.map((file) => ({ name: file.name, size: file.size })),
    });
    say("Sending …", "busy");
    wait();
    show();
  }

  async function answer(message) {
    if (sending === null || message.number !== sending.number) return;
    clearTimeout(waiting);
    if (message.do === "stop") return stop();
    if (message.do !== "next") return;
    const { number, stream } = sending;
    const offset = message.offset;
    bar.value = stream.size ? offset / stream.size : 1;
    amount.textContent = `${megabytes(offset)} of ${megabytes(stream.size)}`;
    if (offset >= stream.size) return stop();
    let piece;
    try {
      piece = await stream.slice(offset, offset + model.get("limits").piece).arrayBuffer();
    } catch {
      piece = null;
    }
    if (sending === null || sending.number !== number) return; // cancelled while the disk was read
    if (piece === null) {
      model.send({ do: "cancel", number });
      stop();
      say("A file cannot be read any more: was it moved or changed? Nothing was added.", "wrong");
      return;
    }
    model.send({ do: "piece", number, offset }, undefined, [piece]);
    wait();
  }

  choose.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    start([...input.files]);
    input.value = ""; // so that the same file can be chosen again
  });
  cancel.addEventListener("click", () => {
    model.send({ do: "cancel", number: sending === null ? "" : sending.number });
    stop();
    say("Cancelling …", "busy"); // until the kernel says that it is
  });

  let depth = 0; // how many elements of the zone the pointer has entered and not left
  function over(inside) {
    depth = inside ? depth : 0;
    zone.classList.toggle("tlkit-over", inside);
  }
  const ours = (event) => [...event.dataTransfer.types].includes("Files");
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"])
    zone.addEventListener(kind, (event) => {
      if (!ours(event)) return;
      event.preventDefault();
      event.stopPropagation();
      if (kind === "dragenter") depth += 1;
      if (kind === "dragleave") depth -= 1;
      over(kind === "drop" ? false : depth > 0 || kind === "dragover");
      if (kind !== "drop") return;
      const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry());
      const folder = entries.find((entry) => entry && entry.isDirectory);
      if (folder) say(`${folder.name} is a folder: make a zip of it, or drop the pictures that are in it.`, "wrong");
      else start([...event.dataTransfer.files]);
    });

  const listeners = {
    "change:status": show, "change:limits": show, "change:classes": show, "change:said": showSaid, "msg:custom": answer,
  };
  for (const [event, listener] of Object.entries(listeners)) model.on(event, listener);
  show();
  showSaid();
  return () => {
    clearTimeout(waiting);
    if (sending !== null) model.send({ do: "cancel", number: sending.number });
    sending = null;
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
  };
}

export default { render };
