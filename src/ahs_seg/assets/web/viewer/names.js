// Names on the image: each lies inside its region, so that no two overlap, and is left out where it has no room.
const SMALLEST = 0.002; // share of the shown part of the image that a region needs to be named
const FONTS = [[14, 1], [12, 1], [12, 2], [11, 3]]; // size in pixels and number of lines, the first that has room
const PAD = 2, SOUGHT = 400;
const ruler = document.createElement("canvas").getContext("2d");
let drawing = 0;

function redrawNames() {
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(() => { for (const pane of panes) drawNames(pane); });
}

function drawNames(pane) {
  const layer = pane.frame.querySelector(".names"), result = pane.result;
  const width = pane.frame.clientWidth, height = pane.frame.clientHeight;
  if (!find(".named").checked || !width) return layer.replaceChildren();
  const grid = regionsOf(result), texts = [], family = getComputedStyle(layer).fontFamily;
  const left = splitting() ? splitAt() * width : 0;
  for (const one of grid.list) {
    const name = nameOf(result, one.label);
    if (one.cells * view.k ** 2 < SMALLEST * grid.width * grid.height) break;
    if (hidden.has(name)) continue;
    for (const [size, lines] of FONTS) {
      const rows = wrapped(name, lines);
      if (!rows) continue;
      ruler.font = `600 ${size}px ${family}`;
      const room = [Math.max(...rows.map((row) => ruler.measureText(row).width)) + 2 * PAD, rows.length * size * 1.2];
      const place = placed(grid, one, room, [left, width, height]);
      if (!place) continue;
      const text = part("span", "", rows.join("\n"));
      Object.assign(text.style, { fontSize: `${size}px`, left: `${place[0]}px`, top: `${place[1]}px` });
      texts.push(text);
      break;
    }
  }
  layer.replaceChildren(...texts);
}

function wrapped(name, lines) { // with the shortest longest line, or null if it has too few words
  const words = name.split(" ");
  if (lines === 1) return [name];
  if (words.length < lines) return null;
  const longest = (rows) => Math.max(...rows.map((row) => row.length));
  const ways = words.slice(lines - 1).map((_, at) =>
    [words.slice(0, at + 1).join(" "), ...wrapped(words.slice(at + 1).join(" "), lines - 1)]);
  return ways.sort((one, other) => longest(one) - longest(other))[0];
}

// Centre of a box of this size in the frame that lies in the region and right of `left`: the deepest cell, or another.
function placed(grid, one, [wide, high], [left, width, height]) {
  const scale = [width * view.k / grid.width, height * view.k / grid.height];
  const shift = [view.x * width, view.y * height];
  const centre = (cell) => [(cell % grid.width + 0.5) * scale[0] + shift[0],
    (Math.floor(cell / grid.width) + 0.5) * scale[1] + shift[1]];
  const fits = ([x, y]) => {
    const box = [x - wide / 2, y - high / 2, x + wide / 2, y + high / 2];
    if (box[0] < left || box[1] < 0 || box[2] > width || box[3] > height) return false;
    const first = [Math.floor((box[0] - shift[0]) / scale[0]), Math.floor((box[1] - shift[1]) / scale[1])];
    const last = [Math.floor((box[2] - shift[0]) / scale[0]), Math.floor((box[3] - shift[1]) / scale[1])];
    if (last[0] >= grid.width || last[1] >= grid.height) return false;
    for (let row = first[1]; row <= last[1]; row++) {
      for (let column = first[0]; column <= last[0]; column++) {
        if (grid.region[row * grid.width + column] !== one.number) return false;
      }
    }
    return true;
  };
  if (fits(centre(one.deepest))) return centre(one.deepest);
  if (!one.sample) one.sample = sampled(grid, one);
  return one.sample.map(centre).find(fits);
}

function sampled(grid, one) {
  const every = Math.max(1, Math.floor(one.cells / SOUGHT)), cells = [];
  for (let at = 0, seen = 0; at < grid.region.length; at++) {
    if (grid.region[at] === one.number && seen++ % every === 0) cells.push(at);
  }
  const [x, y] = [one.deepest % grid.width, Math.floor(one.deepest / grid.width)];
  const far = (cell) => Math.hypot(cell % grid.width - x, Math.floor(cell / grid.width) - y);
  return cells.sort((a, b) => far(a) - far(b));
}
