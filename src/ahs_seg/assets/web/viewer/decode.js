// From the JSON of an answer to results: labels and scores of every pixel, as arrays.
const ROOM = 560; // small images are enlarged to about this side, by whole pixels
const photographs = new Map(); // decoded images by their address, shared by the results of one image

function pixelsOf(address, size) {
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

async function photographOf(address, size) {
  if (!photographs.has(address)) {
    const pixels = await pixelsOf(address, size), grey = new Float32Array(size[0] * size[1]);
    for (let at = 0, from = 0; at < grey.length; at++, from += 4) {
      grey[at] = 0.299 * pixels.data[from] + 0.587 * pixels.data[from + 1] + 0.114 * pixels.data[from + 2];
    }
    photographs.set(address, { address, pixels, grey });
  }
  while (photographs.size > HISTORY) photographs.delete(photographs.keys().next().value);
  return photographs.get(address);
}

async function decoded(text) {
  const answer = JSON.parse(text), { size, original, file } = answer;
  const enlarged = Math.max(1, Math.floor(ROOM / Math.max(...size)));
  const side = size.map((value) => value * enlarged);
  const photograph = await photographOf(answer.picture, side);
  const results = await Promise.all([answer, ...answer.beside].map(async (one) => {
    const codes = (await pixelsOf(one.labels, side)).data, count = side[0] * side[1];
    const labels = new Uint16Array(count), scores = new Uint8Array(count);
    for (let at = 0, from = 0; at < count; at++, from += 4) {
      labels[at] = codes[from] + 256 * codes[from + 1];
      scores[at] = codes[from + 2];
    }
    const { id, model, asked, names, classes, absent, times, warnings, notes } = one;
    const colours = new Map(classes.map((found) => [found.index, found.colour]));
    return { id, model, asked, names, classes, absent, times, warnings, notes, colours, labels, scores,
      photograph, size: side, original, file, small: enlarged > 1 };
  }));
  return { results, failed: answer.failed };
}

const nameOf = (result, label) => (label === NOBODY ? "unknown" : result.names[label]);
