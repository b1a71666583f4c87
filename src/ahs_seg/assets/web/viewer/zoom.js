// Zoom and pan: all panes show the same part of the image. `view` has the scale and the shift in sides of the frame.
const MOST = 16;
let view = { k: 1, x: 0, y: 0 };
const touches = new Map(); // pointers that are down, by their number

function look(k, x, y) {
  const scale = Math.min(MOST, Math.max(1, k)), clamp = (shift) => Math.min(0, Math.max(1 - scale, shift));
  view = { k: scale, x: clamp(x), y: clamp(y) };
  find(".viewer").dataset.zoomed = String(scale > 1);
  find(".zoom-out").disabled = find(".zoom-reset").disabled = scale === 1;
  find(".zoom-in").disabled = scale === MOST;
  find(".zoom-level").textContent = `${Math.round(100 * scale)} %`;
  for (const { frame } of panes) {
    const { clientWidth: width, clientHeight: height } = frame;
    frame.querySelector(".world").style.transform =
      `translate(${view.x * width}px, ${view.y * height}px) scale(${scale})`;
  }
  split();
  pin();
  if (cross) tips(cross);
  redrawNames();
}

function zoom(factor, [x, y] = [0.5, 0.5]) { // the point at these shares of the frame stays where it is
  const k = Math.min(MOST, Math.max(1, view.k * factor));
  look(k, x - (x - view.x) / view.k * k, y - (y - view.y) / view.k * k);
}

function within(frame, event) { // shares of the frame at an event
  const box = frame.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

function zoomable(frame) {
  let moved = 0;
  frame.addEventListener("wheel", (event) => {
    if (view.k === 1 && event.deltaY > 0) return; // the page scrolls
    event.preventDefault();
    const lines = event.deltaMode ? 30 : 1;
    zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), within(frame, event));
  }, { passive: false });
  frame.addEventListener("pointerdown", (event) => {
    if (event.target.closest(".split") || event.button) return;
    if (!touches.size) moved = 0;
    touches.set(event.pointerId, event);
  });
  frame.addEventListener("pointermove", (event) => {
    const before = touches.get(event.pointerId);
    if (!before) return;
    const [one, other] = [...touches.values()], box = frame.getBoundingClientRect();
    moved += Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
    touches.set(event.pointerId, event);
    if (moved > 5 && !frame.hasPointerCapture(event.pointerId)) frame.setPointerCapture(event.pointerId);
    if (other) {
      const [first, second] = [...touches.values()];
      const apart = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
      const middle = { clientX: (first.clientX + second.clientX) / 2, clientY: (first.clientY + second.clientY) / 2 };
      zoom(apart(first, second) / apart(one, other), within(frame, middle));
    }
    const share = touches.size > 1 ? 0.5 : 1; // of two fingers, each moves the middle by a half
    look(view.k, view.x + share * (event.clientX - before.clientX) / box.width,
      view.y + share * (event.clientY - before.clientY) / box.height);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    frame.addEventListener(end, (event) => touches.delete(event.pointerId));
  }
  frame.addEventListener("click", (event) => { if (moved > 5) event.stopImmediatePropagation(); }, { capture: true });
}

// Before and after: left of the bar the image, right of it the colours.
const splitting = () => find(".before").getAttribute("aria-pressed") === "true";
const splitAt = () => Number(panes[0]?.frame.querySelector(".split").value ?? 50) / 100;

function split() {
  for (const { frame, overlay } of panes) {
    frame.querySelector(".split").hidden = !splitting();
    const left = splitting() ? Math.max(0, (splitAt() - view.x) / view.k) : 0;
    overlay.style.clipPath = left ? `inset(0 0 0 ${100 * left}%)` : "";
  }
}
