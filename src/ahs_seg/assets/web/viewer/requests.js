// What is shown, and whether it answers what the form says. gradio tells of the form's values in events: `ahs-form` when
// they change, `ahs-asked` when they are sent, `ahs-failed` when there is no answer (see page.py).
let form = null; // the values: image, words, model, models beside, background, unknown below
let waiting = []; // forms that were sent and not answered

const keyOf = ([image, words, model, beside, background, unknown]) =>
  JSON.stringify([image?.path ?? null, words.trim(), model, beside, background.trim(), Number(unknown)]);

function compareWithForm() { // never show an answer under other words without saying so
  const viewer = find(".viewer"), result = batch?.results[0];
  const running = waiting.length > 0, fresh = Boolean(batch && form && batch.key === keyOf(form));
  viewer.dataset.fresh = String(fresh && !running);
  viewer.setAttribute("aria-busy", String(running));
  find(".busy").hidden = !running;
  find(".busy-words").textContent = running ? `“${shortly(waiting[0][1].trim().replace(/\s*\n\s*/g, ", "), 90)}”` : "";
  if (!result || viewer.dataset.state !== "full") return;
  const { words, background, unknown_below: least } = result.asked;
  const more = [background.trim() && `background “${shortly(background.trim())}”`, least && `unknown below ${least}`];
  find(".answers").textContent = fresh ? "Answers" : "Earlier answer, to";
  find(".answered").textContent = [`“${words.trim().replace(/\s*\n\s*/g, ", ")}”`, ...more.filter(Boolean)].join(", ");
  find(".by").textContent = `${batch.results.map((one) => one.model).join(", ")} · ${result.file}`;
}

function preview(image) { // the uploaded image itself, before it is segmented
  batch = null;
  compared = [];
  panes = [];
  find(".panes").replaceChildren();
  for (const name of [".warnings", ".notes"]) find(name).hidden = true;
  find(".viewer").dataset.state = image ? "image" : "empty";
  const shownImage = find(".preview");
  shownImage.hidden = !image;
  find(".unseen").hidden = true;
  if (image) {
    shownImage.src = image.url;
    shownImage.alt = `${image.orig_name ?? "the image"}, not segmented yet`;
  } else {
    shownImage.removeAttribute("src");
  }
  listHistory();
}

function problem(text) {
  find(".problem").textContent = text;
  find(".problem").hidden = !text;
}

const toasts = () => [...document.querySelectorAll(".toast-body")];

function closeToasts() {
  for (const toast of toasts()) toast.querySelector(".toast-close")?.click();
}

function formChanged(values) {
  const before = form?.[0]?.path ?? null, image = values[0]?.path ?? null;
  form = values;
  if (image !== before) {
    problem("");
    if (!batch || batch.image !== image) preview(values[0]);
  }
  remember();
  compareWithForm();
}

function sent(values) {
  formChanged(values);
  waiting.push(values);
  problem("");
  closeToasts();
  compareWithForm();
  say("Segmenting.");
}

function failed() {
  waiting.shift();
  compareWithForm();
  setTimeout(() => { // gradio shows the reason a moment later
    const said = toasts().map((toast) => toast.querySelector("[data-testid=toast-text]")?.textContent.trim());
    problem(`Not segmented. ${said.filter(Boolean).pop() ?? "The server did not answer; try again."}`);
    setTimeout(closeToasts, 3000); // the reason stays beside the result
  }, 100);
}

// When the connection is lost, gradio tells of it in a toast only.
new MutationObserver(() => {
  if (!waiting.length || !document.querySelector(".toast-body.error")) return;
  const [request] = waiting;
  setTimeout(() => { if (waiting[0] === request) failed(); }, 1000);
}).observe(document.body, { childList: true, subtree: true });

async function answered() {
  if (!props.value) return;
  const answer = await decoded(props.value), values = waiting.shift() ?? form;
  closeToasts();
  problem("");
  if (view.k > 1 && batch?.results[0].photograph !== answer.results[0].photograph) view = { k: 1, x: 0, y: 0 };
  batch = { ...answer, key: keyOf(values), image: values[0]?.path ?? null };
  compared = [];
  hidden = new Set();
  find(".viewer").dataset.state = "full";
  find(".preview").hidden = true;
  showResults();
  keep(batch);
  compareWithForm();
  remember();
  const count = batch.results[0].classes.length;
  say(`Segmented: ${count} ${count === 1 ? "class" : "classes"} found. ${batch.results[0].warnings.join(" ")}`);
  const { top } = find(".stage").getBoundingClientRect();
  if (top < 0 || top > 0.6 * window.innerHeight) find(".viewer").scrollIntoView({ behavior: "smooth", block: "start" });
}
