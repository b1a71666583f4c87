// The form beside the viewer: Enter segments, and its values survive a reload of the tab (see restore.js).
const MEMORY = "ahs-seg";

function remember() {
  if (!form) return;
  const [image, ...rest] = form;
  const file = image && { path: image.path, url: image.url, orig_name: image.orig_name, meta: image.meta };
  const segmented = Boolean(batch && batch.image === image?.path), { timeOrigin } = performance;
  const text = JSON.stringify({ values: [file, ...rest], segmented, timeOrigin });
  try {
    sessionStorage.setItem(MEMORY, text);
  } catch {
    sessionStorage.removeItem(MEMORY); // too long, or not allowed
  }
}

function enter(event) {
  const field = event.target.closest?.("#words textarea, #background textarea, #background input");
  if (!field || event.key !== "Enter" || event.isComposing) return;
  event.stopImmediatePropagation(); // gradio's own meaning of Shift+Enter
  event.preventDefault();
  if (event.shiftKey) {
    field.setRangeText("\n", field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  } else {
    document.querySelector("#go").click();
  }
}

const told = {
  "ahs-form": ({ detail }) => {
    formChanged(detail);
    if (detail[0] && sessionStorage.getItem(`${MEMORY}-again`)) { // a result was shown before the reload
      sessionStorage.removeItem(`${MEMORY}-again`);
      setTimeout(() => document.querySelector("#go").click(), 0);
    }
  },
  "ahs-asked": ({ detail }) => sent(detail),
  "ahs-failed": failed,
};
for (const [name, listener] of Object.entries(told)) window.addEventListener(name, listener);
document.addEventListener("keydown", enter, { capture: true });
new ResizeObserver(() => { if (panes.length) look(view.k, view.x, view.y); }).observe(find(".panes"));

find(".preview").addEventListener("error", () => { find(".preview").hidden = true; find(".unseen").hidden = false; });
find(".opacity").addEventListener("input", redraw);
find(".named").addEventListener("change", redrawNames);
find(".all").addEventListener("click", () => { hidden = new Set(); showHidden(); });
find(".none").addEventListener("click", () => {
  hidden = new Set(shown().flatMap((result) => result.classes.map((found) => found.name)));
  showHidden();
});
find(".filter").addEventListener("input", filter);
find(".before").addEventListener("click", () => { press(find(".before"), !splitting()); split(); redrawNames(); });
find(".zoom-in").addEventListener("click", () => zoom(1.5));
find(".zoom-out").addEventListener("click", () => zoom(1 / 1.5));
find(".zoom-reset").addEventListener("click", () => look(1, 0, 0));
watch("value", answered);
watch("scores", showScores);
answered();
