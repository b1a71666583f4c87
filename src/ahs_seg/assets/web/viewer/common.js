// The viewer of results. Its parts, in the order of `viewer.py`, share one scope; `element`, `props`, `trigger` and
// `watch` are gradio's. Answers come as `props.value` (see viewer.py) and `props.scores`. Texts are never set as HTML.
const find = (name) => element.querySelector(name);
const NOBODY = 65535; // the label of pixels without a class
const HISTORY = 6; // requests kept to be shown again
const shortly = (text, most = 60) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

let batch = null; // the answer shown: { results, key, ... }, one result for each model
let compared = []; // results of earlier answers beside it
let hidden = new Set(); // names of classes whose colour is not shown

const shown = () => (batch ? [...batch.results, ...compared] : []);

function part(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function swatch(colour) {
  const made = part("i");
  made.style.background = colour ? `rgb(${colour.join(",")})` : "var(--border-color-primary)";
  return made;
}

function press(button, pressed) {
  button.setAttribute("aria-pressed", String(pressed));
}

function say(text) { // to screen readers
  find(".said").textContent = text;
}
