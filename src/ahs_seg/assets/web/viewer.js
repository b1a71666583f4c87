// Renders a result: the image with a colour overlay of its classes, which can be hidden one by one. Its input is
// `props.value` (see viewer.py) and `props.scores`; a click sends the event "probe". Names are always set as text.
const find = (name) => element.querySelector(name);
const CONTOUR = 0.55, NOBODY = 65535, ROOM = 560;
let answer = null, grey = null, colours = null, labels = null, scores = null, hidden = new Set();

function pixels(address, size) {
  return new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = size;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.imageSmoothingEnabled = false;
      context.drawImage(image, 0, 0, ...size);
      done(context.getImageData(0, 0, ...size));
    };
    image.onerror = failed;
    image.src = address;
  });
}

async function show() {
  if (!props.value) return;
  const next = JSON.parse(props.value);
  const zoom = Math.max(1, Math.floor(ROOM / Math.max(...next.size))); // small images are enlarged by whole pixels
  next.size = next.size.map((side) => side * zoom);
  find(".overlay").classList.toggle("small", zoom > 1);
  const [image, codes] = await Promise.all([pixels(next.picture, next.size), pixels(next.labels, next.size)]);
  answer = next;
  colours = image;
  const count = next.size[0] * next.size[1];
  grey = new Float32Array(count);
  labels = new Uint16Array(count);
  scores = new Uint8Array(count);
  for (let at = 0, from = 0; at < count; at++, from += 4) {
    grey[at] = 0.299 * image.data[from] + 0.587 * image.data[from + 1] + 0.114 * image.data[from + 2];
    labels[at] = codes.data[from] + 256 * codes.data[from + 1];
    scores[at] = codes.data[from + 2];
  }
  hidden = new Set();
  list();
  draw();
  find(".times").textContent = answer.times;
  find(".warnings").textContent = answer.warnings.join(" ");
  find(".warnings").hidden = answer.warnings.length === 0;
  find(".mark").hidden = true;
  find(".where").textContent = "Click into the image.";
  find(".scores").replaceChildren();
  find(".viewer").dataset.state = "full";
  if (find(".stage").getBoundingClientRect().top > 0.6 * window.innerHeight) {
    find(".stage").scrollIntoView({ behavior: "smooth", block: "start" });
  }
}

function draw() {
  const [width, height] = answer.size, strength = find(".opacity").value / 100;
  const tint = new Map(answer.classes.filter((c) => !hidden.has(c.index)).map((c) => [c.index, c.colour]));
  const result = new ImageData(width, height);
  for (let at = 0, to = 0; at < labels.length; at++, to += 4) {
    const colour = tint.get(labels[at]);
    const right = (at + 1) % width ? labels[at + 1] : labels[at];
    const below = at + width < labels.length ? labels[at + width] : labels[at];
    const edge = (right !== labels[at] || below !== labels[at]) && (colour || tint.has(right) || tint.has(below));
    for (let c = 0; c < 3; c++) {
      const value = colour ? grey[at] * (1 - strength) + colour[c] * strength : colours.data[to + c];
      result.data[to + c] = edge && strength > 0 ? value * CONTOUR : value;
    }
    result.data[to + 3] = 255;
  }
  const canvas = find(".overlay");
  [canvas.width, canvas.height] = answer.size;
  canvas.style.setProperty("--ratio", width / height);
  canvas.getContext("2d").putImageData(result, 0, 0);
}

function part(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function swatch(index) {
  const made = part("i"), found = answer.classes.find((c) => c.index === index);
  made.style.background = found ? `rgb(${found.colour.join(",")})` : "var(--border-color-primary)";
  return made;
}

function list() {
  const total = answer.original[0] * answer.original[1];
  find(".classes").replaceChildren(...answer.classes.map((c) => {
    const line = part("li"), label = part("label"), box = part("input");
    box.type = "checkbox";
    box.checked = true;
    box.dataset.index = c.index;
    box.onchange = () => { box.checked ? hidden.delete(c.index) : hidden.add(c.index); refresh(); };
    const share = c.pixels / total;
    label.append(box, swatch(c.index), part("span", "name", c.name),
      part("em", "share", share < 0.01 ? "<1 %" : `${Math.round(100 * share)} %`),
      part("em", "pixels", `${c.pixels.toLocaleString("en")} px`));
    line.append(label);
    return line;
  }));
  find(".absent").textContent = answer.absent ? `${answer.absent} of ${answer.names.length} classes not found.` : "";
}

function refresh() {
  for (const box of element.querySelectorAll(".classes input")) {
    box.checked = !hidden.has(Number(box.dataset.index));
    box.parentElement.classList.toggle("off", !box.checked);
  }
  draw();
}

function under(event) {
  const box = find(".overlay").getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left) / box.width * answer.size[0]);
  const y = Math.floor((event.clientY - box.top) / box.height * answer.size[1]);
  return [Math.min(answer.size[0] - 1, Math.max(0, x)), Math.min(answer.size[1] - 1, Math.max(0, y))];
}

function hover(event) {
  if (!answer || event.pointerType === "touch") return;
  const [x, y] = under(event), at = y * answer.size[0] + x, tip = find(".tip");
  const name = labels[at] === NOBODY ? "unknown" : answer.names[labels[at]];
  tip.replaceChildren(swatch(labels[at]), part("span", "", `${name} ${(scores[at] / 255).toFixed(2)}`));
  const stage = find(".stage").getBoundingClientRect();
  tip.style.left = `${event.clientX - stage.left}px`;
  tip.style.top = `${event.clientY - stage.top}px`;
  tip.classList.toggle("left", event.clientX - stage.left > stage.width / 2);
  tip.hidden = false;
}

function click(event) {
  if (!answer) return;
  const [x, y] = under(event), canvas = find(".overlay").getBoundingClientRect();
  const stage = find(".stage").getBoundingClientRect(), mark = find(".mark");
  mark.style.left = `${canvas.left - stage.left + (x + 0.5) / answer.size[0] * canvas.width}px`;
  mark.style.top = `${canvas.top - stage.top + (y + 0.5) / answer.size[1] * canvas.height}px`;
  mark.hidden = false;
  const scaled = (value, axis) => Math.floor((value + 0.5) / answer.size[axis] * answer.original[axis]);
  trigger("probe", { x: scaled(x, 0), y: scaled(y, 1) });
}

function point() {
  if (!props.scores || !answer) return;
  const { x, y, top } = JSON.parse(props.scores);
  find(".where").textContent = `Column ${x}, row ${y}`;
  find(".scores").replaceChildren(...top.map(([name, score]) => {
    const line = part("li"), words = part("div"), bar = part("b");
    bar.style.width = `${100 * score}%`;
    words.append(part("span", "name", name), part("em", "", score.toFixed(3)));
    line.append(words, bar);
    return line;
  }));
}

find(".opacity").addEventListener("input", () => answer && draw());
find(".all").addEventListener("click", () => { hidden = new Set(); refresh(); });
find(".none").addEventListener("click", () => { hidden = new Set(answer.classes.map((c) => c.index)); refresh(); });
find(".overlay").addEventListener("pointermove", hover);
find(".overlay").addEventListener("pointerleave", () => { find(".tip").hidden = true; });
find(".overlay").addEventListener("click", click);
watch("value", show);
watch("scores", point);
show();
