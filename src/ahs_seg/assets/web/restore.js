async (...values) => {
  const kept = JSON.parse(sessionStorage.getItem("ahs-seg") ?? "null");
  if (!kept || kept.values?.length !== values.length) return values;
  if (kept.timeOrigin === performance.timeOrigin) return values; // of this visit: the visitor was faster
  let [image, words, model, beside, background, unknown] = kept.values;
  const models = MODELS;
  if (image) {
    const there = await fetch(image.url, { method: "HEAD" }).then((answer) => answer.ok, () => false);
    if (!there) image = null; // the server has deleted it
  }
  if (!models.includes(model)) model = values[2];
  beside = beside.filter((one) => models.includes(one));
  if (image && kept.segmented) sessionStorage.setItem("ahs-seg-again", "yes");
  return [image, words, model, beside, background, unknown];
}
