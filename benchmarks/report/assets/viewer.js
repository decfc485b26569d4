// Before and after: two pictures of one image, a line that moves between them, and the boxes of both.

(() => {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  if (!data) return;
  const of = (id) => document.getElementById(`v-${id}`);
  const viewer = document.getElementById("viewer");
  const sides = { left: of("side-left"), right: of("side-right") };
  const state = { image: null, left: data.left, right: data.right, detector: 0, threshold: 0 };
  const kinds = [...viewer.querySelectorAll("[data-kind]")];
  const svgNamespace = "http://www.w3.org/2000/svg";
  viewer.hidden = false;

  const netOf = (image) => image.net[state.detector] ?? {};
  const changeOf = (image) => netOf(image)[state.right] ?? 0;
  const detectionsOf = (image, label) => image.detections[state.detector]?.[label];
  const signed = (n) => (n > 0 ? `+${n}` : n < 0 ? `−${-n}` : "±0");
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

  // What became of objects and detections at the threshold. Matching goes by falling score, so raising it takes away
  // detections and never changes the fate of those that stay.
  function fatesOf(image, label) {
    const kept = (detectionsOf(image, label) ?? []).filter((d) => d[2] >= state.threshold);
    const hit = new Set(kept.filter((d) => d[3] === 0).map((d) => d[4]));
    const counted = image.objects.map((o, i) => [o, i]).filter(([o]) => !o[2] && data.classes.includes(o[0]));
    return {
      found: kept.filter((d) => d[3] === 0),
      alarm: kept.filter((d) => d[3] === 1),
      missed: counted.filter(([, i]) => !hit.has(i)).map(([o]) => o),
      truth: image.objects.filter((_, i) => hit.has(i)),
    };
  }

  function drawBox(svg, kind, name, box, size, score) {
    const [x1, y1, x2, y2] = box;
    const share = (value, whole) => `${((100 * value) / whole).toFixed(2)}%`;
    for (const style of kind === "truth" ? ["truth"] : ["halo", kind]) {
      const rect = document.createElementNS(svgNamespace, "rect");
      rect.setAttribute("class", style === "halo" ? "halo" : `k-${style}`);
      rect.setAttribute("x", share(x1, size[0]));
      rect.setAttribute("y", share(y1, size[1]));
      rect.setAttribute("width", share(Math.max(x2 - x1, 0), size[0]));
      rect.setAttribute("height", share(Math.max(y2 - y1, 0), size[1]));
      svg.append(rect);
    }
    if (kind === "truth") return;
    const text = document.createElementNS(svgNamespace, "text");
    text.setAttribute("x", share(x1, size[0]));
    text.setAttribute("y", share(y1, size[1]));
    text.setAttribute("dx", "5");
    text.setAttribute("dy", "15");
    text.textContent = score === undefined ? name : `${name} ${score.toFixed(2)}`;
    svg.append(text);
  }

  function drawSide(where) {
    const side = sides[where];
    const label = state[where];
    const [picture, svg, absent] = side.children;
    const uri = state.image.pictures[label];
    picture.hidden = !uri;
    if (uri) picture.src = uri; else picture.removeAttribute("src");
    picture.alt = uri ? `Image ${state.image.id}, ${label}` : "";
    absent.hidden = Boolean(uri);
    absent.textContent = uri ? "" : `No picture of ${label}: ${state.image.reasons[label] ?? "it has no result here."}`;
    of(`tag-${where}`).textContent = label;
    svg.replaceChildren();
    const fate = fatesOf(state.image, label);
    if (detectionsOf(state.image, label) && uri) {
      const on = new Set(kinds.filter((box) => box.checked).map((box) => box.dataset.kind));
      const size = state.image.size;
      if (on.has("truth")) fate.truth.forEach((o) => drawBox(svg, "truth", o[0], o[1], size));
      if (on.has("alarm")) fate.alarm.forEach((d) => drawBox(svg, "alarm", d[0], d[1], size, d[2]));
      if (on.has("missed")) fate.missed.forEach((o) => drawBox(svg, "missed", o[0], o[1], size));
      if (on.has("found")) fate.found.forEach((d) => drawBox(svg, "found", d[0], d[1], size, d[2]));
    }
    if (!detectionsOf(state.image, label)) return "";
    return `${label}: ${fate.found.length} found, ${fate.missed.length} missed, ${plural(fate.alarm.length, "false alarm")}.`;
  }

  function draw() {
    const compare = of("compare");
    const [width, height] = state.image.size ?? [4, 3];
    compare.style.aspectRatio = `${width} / ${height}`;
    // As wide as the page, but no higher than the window and no coarser than three screen pixels a pixel.
    const widest = state.image.size ? 3 * width : 720;
    compare.style.width = `min(100%, ${widest}px, ${((78 * width) / height).toFixed(1)}vh)`;
    of("counts").textContent = [drawSide("left"), drawSide("right")].filter(Boolean).join(" ");
    of("facts").textContent = state.image.facts;
    for (const thumb of of("thumbs").children) {
      thumb.setAttribute("aria-pressed", String(thumb.dataset.id === state.image.id));
    }
  }

  function split(percent) {
    const at = Math.min(Math.max(percent, 0), 100);
    of("split").value = String(at);
    of("divider").style.left = `${at}%`;
    sides.right.style.clipPath = `inset(0 0 0 ${at}%)`;
    of("split").setAttribute("aria-valuetext", `${Math.round(at)} % ${state.left}, the rest ${state.right}`);
  }

  const orders = {
    most: (a, b) => Math.abs(changeOf(b)) - Math.abs(changeOf(a)) || changeOf(b) - changeOf(a),
    best: (a, b) => changeOf(b) - changeOf(a),
    worst: (a, b) => changeOf(a) - changeOf(b),
  };

  function list() {
    const sorted = [...data.images].sort(orders[of("order").value]);
    of("thumbs").replaceChildren(...sorted.map((image) => {
      const thumb = document.createElement("button");
      thumb.type = "button";
      thumb.className = "thumb";
      thumb.dataset.id = image.id;
      const shown = image.pictures[state.right] ?? image.pictures[state.left];
      if (shown) {
        const picture = document.createElement("img");
        picture.alt = "";
        picture.src = shown;
        thumb.append(picture);
      }
      const badge = document.createElement("span");
      badge.textContent = Object.keys(netOf(image)).length ? signed(changeOf(image)) : image.id;
      thumb.append(badge);
      thumb.setAttribute("aria-label", `Image ${image.id}, change ${signed(changeOf(image))}`);
      thumb.addEventListener("click", () => { state.image = image; draw(); });
      return thumb;
    }));
    return sorted[0];
  }

  for (const where of ["left", "right"]) {
    const select = of(where);
    for (const label of data.labels) select.add(new Option(label, label, false, label === state[where]));
    select.addEventListener("change", () => {
      state[where] = select.value;
      const first = list();
      if (where === "right") state.image = first;
      draw();
      split(Number(of("split").value));
    });
  }
  of("order").addEventListener("change", () => { state.image = list(); draw(); });
  const threshold = of("threshold");
  threshold.min = data.lowest.toFixed(2);
  const nameThreshold = () => { of("threshold-out").textContent = state.threshold.toFixed(2); };
  threshold.addEventListener("input", () => { state.threshold = Number(threshold.value); nameThreshold(); draw(); });
  function choose(detector) {
    state.detector = detector;
    state.threshold = data.detectors[detector]?.threshold ?? 0;
    threshold.value = String(state.threshold);
    nameThreshold();
  }
  data.detectors.forEach((one, number) => of("detector").add(new Option(one.label, String(number))));
  of("detectors").hidden = data.detectors.length < 2;
  of("detector").addEventListener("change", () => { choose(Number(of("detector").value)); state.image = list(); draw(); });
  for (const box of kinds) box.addEventListener("change", draw);
  of("split").addEventListener("input", () => split(Number(of("split").value)));

  const compare = of("compare");
  const follow = (event) => {
    const area = compare.getBoundingClientRect();
    split((100 * (event.clientX - area.left)) / area.width);
  };
  compare.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    compare.setPointerCapture(event.pointerId);
    of("split").focus({ preventScroll: true, focusVisible: false });
    follow(event);
    event.preventDefault();
  });
  compare.addEventListener("pointermove", (event) => { if (compare.hasPointerCapture(event.pointerId)) follow(event); });

  if (!data.detectors.length) for (const part of viewer.querySelectorAll(".kinds, .threshold")) part.hidden = true;
  choose(0);
  state.image = list();
  draw();
  split(50);
})();
