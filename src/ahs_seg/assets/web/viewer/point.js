// One pixel: name and score under the pointer or under the cross of the keyboard, and the best scores of a click.
let cross = null; // [x, y] of the enlarged image
let probed = null;

const pixelUnder = (result, [x, y]) => [[x, view.x, 0], [y, view.y, 1]].map(([share, shift, axis]) =>
  Math.min(result.size[axis] - 1, Math.max(0, Math.floor((share - shift) / view.k * result.size[axis]))));
const shareOf = (result, [x, y]) => [[x, view.x, 0], [y, view.y, 1]].map(([pixel, shift, axis]) =>
  (pixel + 0.5) / result.size[axis] * view.k + shift);
const originalOf = (result, pixel) =>
  pixel.map((value, axis) => Math.floor((value + 0.5) / result.size[axis] * result.original[axis]));

function toldAt(result, [x, y]) {
  const at = y * result.size[0] + x, label = result.labels[at];
  return { name: nameOf(result, label), colour: result.colours.get(label), score: (result.scores[at] / 255).toFixed(2) };
}

function tips(pixel) { // beside the pixel in every pane, or none
  for (const { frame, result } of panes) {
    const tip = frame.querySelector(".tip");
    tip.hidden = !pixel;
    if (!pixel) continue;
    const { name, colour, score } = toldAt(result, pixel), [x, y] = shareOf(result, pixel);
    tip.replaceChildren(swatch(colour), part("span", "", `${name} ${score}`));
    tip.hidden = x < 0 || x > 1 || y < 0 || y > 1;
    tip.style.left = `${100 * x}%`;
    tip.style.top = `${100 * y}%`;
    tip.classList.toggle("left", x > 0.5);
    tip.classList.toggle("above", y > 0.8);
  }
}

function pin() { // cross and mark stay on their pixels when the view moves
  for (const { frame, result } of panes) {
    for (const [sign, pixel] of [[frame.querySelector(".cross"), cross], [frame.querySelector(".mark"), probed]]) {
      sign.hidden = !pixel;
      if (!pixel) continue;
      const [x, y] = shareOf(result, pixel);
      sign.style.left = `${100 * x}%`;
      sign.style.top = `${100 * y}%`;
      sign.hidden = x < 0 || x > 1 || y < 0 || y > 1;
    }
  }
}

function probe(pixel) {
  const [x, y] = originalOf(shown()[0], pixel);
  probed = pixel;
  pin();
  find(".where").textContent = `Column ${x}, row ${y}: asking …`;
  trigger("probe", { x, y, names: shown().map((result) => result.id) });
}

function move(dx, dy) {
  const { size } = shown()[0], from = cross ?? pixelUnder(shown()[0], [0.5, 0.5]);
  cross = [from[0] + dx, from[1] + dy].map((value, axis) => Math.min(size[axis] - 1, Math.max(0, value)));
  const [x, y] = shareOf(shown()[0], cross);
  const push = (share) => (share < 0.05 ? 0.05 - share : share > 0.95 ? 0.95 - share : 0);
  if (view.k > 1) look(view.k, view.x + push(x), view.y + push(y)); else pin();
  tips(cross);
  const { name, score } = toldAt(shown()[0], cross), [column, row] = originalOf(shown()[0], cross);
  say(`Column ${column}, row ${row}: ${name}, score ${score}`);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function keys(event) {
  if (!batch || event.target.closest(".split") || event.ctrlKey || event.metaKey || event.altKey) return;
  const result = shown()[0], pixel = result.size[0] / result.original[0]; // one of the image
  const step = Math.max(1, Math.round(event.shiftKey ? pixel : result.size[0] / 40 / view.k));
  const middle = cross ? shareOf(result, cross) : [0.5, 0.5];
  const actions = {
    "+": () => zoom(1.5, middle), "=": () => zoom(1.5, middle), "-": () => zoom(1 / 1.5, middle), "0": () => look(1, 0, 0),
    Enter: () => probe(cross ?? pixelUnder(result, [0.5, 0.5])), " ": () => probe(cross ?? pixelUnder(result, [0.5, 0.5])),
    Escape: () => { cross = null; pin(); tips(null); },
  };
  const arrow = ARROWS[event.key];
  if (arrow) move(arrow[0] * step, arrow[1] * step);
  else if (actions[event.key]) actions[event.key]();
  else return;
  event.preventDefault();
}

function pointable(frame, result) {
  frame.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "touch" && !touches.size) tips(pixelUnder(result, within(frame, event)));
  });
  frame.addEventListener("pointerleave", () => tips(null));
  frame.addEventListener("click", (event) => {
    if (event.target.closest(".split")) return;
    cross = null;
    probe(pixelUnder(result, within(frame, event)));
  });
  frame.addEventListener("keydown", keys);
  frame.addEventListener("blur", () => tips(null));
}

function showScores() {
  if (!props.scores || !batch) return;
  const { x, y, results } = JSON.parse(props.scores);
  const current = results.filter(({ name }) => shown().some((result) => result.id === name));
  if (!current.length) return; // of a result that is no longer shown
  find(".where").textContent = `Column ${x}, row ${y}`;
  const lines = current.flatMap(({ name, model, top }) => {
    const result = shown().find((one) => one.id === name);
    const heading = current.length > 1 ? [part("li", "of", titleOf(result) || model)] : [];
    return [...heading, ...top.map(([label, score]) => {
      const line = part("li"), words = part("div"), bar = part("b");
      bar.style.width = `${100 * score}%`;
      words.append(part("span", "name", label), part("em", "", score.toFixed(3)));
      line.append(words, bar);
      return line;
    })];
  });
  find(".scores").replaceChildren(...lines);
  say(`Column ${x}, row ${y}: ${current[0].top.map(([label, score]) => `${label} ${score.toFixed(2)}`).join(", ")}`);
}
