// The list of classes: those found, which can be hidden one by one, and those that were not found.
const FILTERED = 12; // from this number of names on, a field filters the list

function listClasses() {
  const result = shown()[0], total = result.original[0] * result.original[1];
  const known = result.classes.reduce((sum, found) => sum + found.pixels, 0);
  const shares = (pixels) => [
    part("em", "share", pixels / total < 0.01 ? "<1 %" : `${Math.round(100 * pixels / total)} %`),
    part("em", "pixels", `${pixels.toLocaleString("en")} px`)];
  find(".classes").replaceChildren(...result.classes.map((found) => {
    const line = part("li"), label = part("label"), box = part("input");
    box.type = "checkbox";
    box.dataset.name = found.name;
    box.onchange = () => { box.checked ? hidden.delete(found.name) : hidden.add(found.name); showHidden(); };
    label.append(box, swatch(found.colour), part("span", "name", found.name), ...shares(found.pixels));
    line.append(label);
    return line;
  }));
  const unknown = find(".unknown");
  unknown.hidden = known === total;
  unknown.replaceChildren(swatch(null), part("span", "", "unknown"), ...shares(total - known));
  const present = new Set(result.classes.map((found) => found.index));
  const missing = result.names.filter((_, index) => !present.has(index));
  find(".absent").hidden = !missing.length;
  find(".absent").open = false;
  find(".absent summary").textContent = `${missing.length} of ${result.names.length} classes not found.`;
  find(".missing").replaceChildren(...missing.map((name) => part("li", "", name)));
  find(".filter").parentElement.hidden = result.names.length < FILTERED;
  find(".filter").placeholder = `one of ${result.names.length} classes`;
  find(".filter").value = "";
  filter();
  showHidden();
}

function showHidden() {
  for (const box of element.querySelectorAll(".classes input")) {
    box.checked = !hidden.has(box.dataset.name);
    box.parentElement.classList.toggle("off", !box.checked);
  }
  redraw();
}

function filter() {
  const sought = find(".filter").value.trim().toLowerCase();
  let count = 0;
  for (const line of element.querySelectorAll(".classes li, .missing li")) {
    const name = (line.querySelector(".name") ?? line).textContent.toLowerCase();
    line.hidden = Boolean(sought) && !name.includes(sought);
    count += !line.hidden;
  }
  if (sought) find(".absent").open = true;
  find(".matches").textContent = sought ? `${count} found` : "";
}
