// Earlier answers: each can be shown again, or its first result beside the one shown if it is of the same image.
let kept = []; // the newest first

function keep(answer) {
  kept = [answer, ...kept.filter((one) => one.key !== answer.key)].slice(0, HISTORY);
  listHistory();
}

function showAgain(answer) {
  batch = answer;
  compared = [];
  hidden = new Set();
  find(".viewer").dataset.state = "full";
  showResults();
  listHistory();
  compareWithForm();
  trigger("choose", { name: answer.results[0].id });
}

function compare(result) {
  compared = compared.includes(result) ? compared.filter((one) => one !== result) : [...compared, result].slice(-3);
  showResults();
  listHistory();
}

function thumbnail(result) {
  const canvas = part("canvas"), [width, height] = result.size, scale = 72 / Math.max(width, height);
  [canvas.width, canvas.height] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  const image = new ImageData(canvas.width, canvas.height);
  for (let at = 0, to = 0; to < image.data.length; at++, to += 4) {
    const x = Math.floor((at % canvas.width) / scale), y = Math.floor(Math.floor(at / canvas.width) / scale);
    const from = Math.min(height - 1, y) * width + Math.min(width - 1, x), grey = result.photograph.grey[from];
    const colour = result.colours.get(result.labels[from]);
    for (let c = 0; c < 3; c++) image.data[to + c] = colour ? 0.3 * grey + 0.7 * colour[c] : grey;
    image.data[to + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

function listHistory() {
  find(".history").hidden = kept.length < 2;
  find(".kept").replaceChildren(...kept.map((answer) => {
    const line = part("li"), again = part("button", "again"), [first, ...others] = answer.results;
    const models = [first.model, ...others.map((one) => one.model)].join(", ");
    again.type = "button";
    again.title = `${first.file}: ${shortly(wordsOf(first), 300)} (${models})`;
    again.append(thumbnail(first), part("span", "", shortly(wordsOf(first), 48)), part("small", "", shortly(models, 40)));
    again.setAttribute("aria-current", String(answer === batch));
    again.addEventListener("click", () => showAgain(answer));
    line.append(again);
    if (batch && answer !== batch && first.photograph.address === batch.results[0].photograph.address) {
      const beside = part("button", "compare", "side by side");
      beside.type = "button";
      beside.setAttribute("aria-label", `side by side: ${shortly(wordsOf(first))}`);
      press(beside, compared.includes(first));
      beside.addEventListener("click", () => compare(first));
      line.append(beside);
    }
    return line;
  }));
}
