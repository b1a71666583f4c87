// The stage: a pane for every result that is shown, side by side, with what it answers and how far to trust it.
let panes = []; // { frame, overlay, result }

const wordsOf = (result) => result.asked.words.trim().replace(/\s*\n\s*/g, ", ");

function titleOf(result) { // what tells a pane from the others
  const others = shown(), models = new Set(others.map((one) => one.model));
  const words = new Set(others.map((one) => JSON.stringify(one.asked)));
  return [models.size > 1 && result.model, words.size > 1 && `“${shortly(wordsOf(result))}”`].filter(Boolean).join(": ");
}

function paneOf(result) {
  const figure = part("figure", "pane"), frame = part("div", "frame"), world = part("div", "world");
  const photo = part("img", "photo"), overlay = part("canvas", "overlay"), bar = part("input", "split");
  frame.tabIndex = 0;
  frame.setAttribute("role", "application");
  frame.setAttribute("aria-label", `segmented image ${result.file}. Arrow keys move a cross, Enter shows the scores `
    + "there, plus and minus zoom, 0 shows the whole image");
  frame.style.setProperty("--ratio", result.size[0] / result.size[1]);
  photo.src = result.photograph.address;
  photo.alt = "";
  overlay.setAttribute("role", "img");
  overlay.setAttribute("aria-label", `colours of ${result.classes.slice(0, 8).map((found) => found.name).join(", ")}`);
  for (const layer of [photo, overlay]) layer.classList.toggle("small", result.small);
  Object.assign(bar, { type: "range", min: 0, max: 100, value: 100 * splitAt(), hidden: true });
  bar.setAttribute("aria-label", "before and after: share of the image without colours");
  bar.addEventListener("input", () => {
    for (const pane of panes) pane.frame.querySelector(".split").value = bar.value;
    split();
    redrawNames();
  });
  world.append(photo, overlay);
  const signs = ["names", "cross", "mark", "tip"].map((name) => part("div", name));
  for (const sign of signs) sign.setAttribute("aria-hidden", "true");
  for (const sign of signs.slice(1)) sign.hidden = true;
  frame.append(world, ...signs, bar);
  const title = titleOf(result);
  if (title) figure.append(part("figcaption", "", title));
  figure.append(frame);
  zoomable(frame);
  pointable(frame, result);
  return { figure, frame, overlay, result };
}

function showResults() { // of `batch` and those compared with it
  cross = probed = null;
  const list = shown();
  panes = list.map(paneOf);
  find(".panes").replaceChildren(...panes.map((pane) => pane.figure));
  find(".panes").dataset.count = String(Math.min(panes.length, 4));
  listClasses();
  find(".times").textContent = list[0].times;
  const several = list.length > 1 ? (result) => `${titleOf(result)}: ` : () => "";
  const texts = (field) => [...new Set(list.flatMap((result) => result[field].map((text) => several(result) + text)))];
  const failed = Object.entries(batch.failed).map(([model, error]) => `${model} did not answer: ${error}`);
  for (const [name, lines] of [[".warnings", [...texts("warnings"), ...failed]], [".notes", texts("notes")]]) {
    const before = name === ".notes" ? "Left out: " : "";
    find(name).replaceChildren(...lines.map((text) => part("span", "", before + text)));
    find(name).hidden = !lines.length;
  }
  find(".where").textContent = "Click into the image, or focus it and use the arrow keys and Enter.";
  find(".scores").replaceChildren();
  look(view.k, view.x, view.y);
}
