// The colours of a result over its image, in grey; hidden classes show the image itself.
const CONTOUR = 0.55;

function draw(pane) {
  const { result, overlay } = pane, { labels, photograph } = result, [width, height] = result.size;
  const strength = find(".opacity").value / 100;
  const tint = new Map(result.classes.filter((c) => !hidden.has(c.name)).map((c) => [c.index, c.colour]));
  const image = new ImageData(width, height);
  for (let at = 0, to = 0; at < labels.length; at++, to += 4) {
    const colour = tint.get(labels[at]);
    const right = (at + 1) % width ? labels[at + 1] : labels[at];
    const below = at + width < labels.length ? labels[at + width] : labels[at];
    const edge = (right !== labels[at] || below !== labels[at]) && (colour || tint.has(right) || tint.has(below));
    for (let c = 0; c < 3; c++) {
      const value = colour ? photograph.grey[at] * (1 - strength) + colour[c] * strength : photograph.pixels.data[to + c];
      image.data[to + c] = edge && strength > 0 ? value * CONTOUR : value;
    }
    image.data[to + 3] = 255;
  }
  [overlay.width, overlay.height] = result.size;
  overlay.getContext("2d").putImageData(image, 0, 0);
}

function redraw() {
  panes.forEach(draw);
  redrawNames();
}
