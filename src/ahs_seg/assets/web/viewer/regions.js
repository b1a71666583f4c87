// Connected regions of a result on a grid of at most GRID cells, with the cell that is deepest inside each region.
const GRID = 480;

function regionsOf(result) {
  if (result.regions) return result.regions;
  const step = Math.max(1, Math.ceil(Math.max(...result.size) / GRID));
  const [width, height] = result.size.map((side) => Math.max(1, Math.floor(side / step)));
  const labels = new Uint16Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      labels[y * width + x] = result.labels[(y * step + (step >> 1)) * result.size[0] + x * step + (step >> 1)];
    }
  }
  const depth = depths(labels, width, height), region = new Int32Array(width * height).fill(-1), list = [];
  const stack = [];
  for (let start = 0; start < labels.length; start++) {
    if (region[start] >= 0) continue;
    const number = list.length, found = { number, label: labels[start], cells: 0, deepest: start };
    region[start] = number;
    stack.push(start);
    while (stack.length) {
      const at = stack.pop(), x = at % width;
      found.cells++;
      if (depth[at] > depth[found.deepest]) found.deepest = at;
      for (const next of [x > 0 ? at - 1 : -1, x < width - 1 ? at + 1 : -1, at - width, at + width]) {
        if (next < 0 || next >= labels.length || region[next] >= 0 || labels[next] !== found.label) continue;
        region[next] = number;
        stack.push(next);
      }
    }
    list.push(found);
  }
  list.sort((one, other) => other.cells - one.cells);
  result.regions = { width, height, region, list };
  return result.regions;
}

// Three times the distance of every cell to another label or the border: chamfer distance 3-4 (Borgefors, 1986).
function depths(labels, width, height) {
  const depth = new Float32Array(width * height).fill(1e9);
  const relax = (at, x, y, dx, dy, cost) => {
    const inside = x + dx >= 0 && x + dx < width && y + dy >= 0 && y + dy < height, next = at + dy * width + dx;
    const other = inside && labels[next] === labels[at] ? depth[next] : 0;
    depth[at] = Math.min(depth[at], other + cost);
  };
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      relax(at, x, y, -1, 0, 3); relax(at, x, y, 0, -1, 3); relax(at, x, y, -1, -1, 4); relax(at, x, y, 1, -1, 4);
    }
  }
  for (let y = height - 1, at = depth.length - 1; y >= 0; y--) {
    for (let x = width - 1; x >= 0; x--, at--) {
      relax(at, x, y, 1, 0, 3); relax(at, x, y, 0, 1, 3); relax(at, x, y, 1, 1, 4); relax(at, x, y, -1, 1, 4);
    }
  }
  return depth;
}
