// Draws the samples. All text is set through textContent or attributes, so names are never parsed as markup.
"use strict";
(async () => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const { samples, layers, classes, steps } = data;
  if (!samples.length) return;

  // One buffer holds every image, mask and map; the index says where.
  const packed = Uint8Array.from(atob($("buffer").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = new Uint8Array(await new Response(stream).arrayBuffer());
  const bytes = ({ at, shape }) => buffer.subarray(at, at + shape.reduce((a, b) => a * b, 1));

  // Steps have names where each is a window of several steps of a run.
  const windows = data.labels.length > 0, named = windows ? "window" : "step";

  // State: the controls and the URL.
  const defaults = { show: "step", scale: "shared", colours: "inferno", opacity: "85", smooth: "1", mask: "1" };
  const state = { sample: 0, step: Math.floor(steps / 2), layer: layers[0] ?? "", ...defaults };
  const whole = (text, top) => (/^\d{1,9}$/.test(text ?? "") ? Math.min(Number(text), top) : null);

  function readAddress() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    state.sample = whole(parameters.get("sample"), samples.length - 1) ?? state.sample;
    state.step = whole(parameters.get("step"), steps - 1) ?? state.step;
    if (layers.includes(parameters.get("layer"))) state.layer = parameters.get("layer");
    for (const key of ["show", "scale", "colours"]) {
      if ([...$(key).options].some((option) => option.value === parameters.get(key))) state[key] = parameters.get(key);
    }
    const opacity = whole(parameters.get("opacity"), 100);
    if (opacity !== null) state.opacity = String(opacity);
    for (const key of ["smooth", "mask"]) if (["0", "1"].includes(parameters.get(key))) state[key] = parameters.get(key);
  }

  function writeAddress() {
    const parameters = new URLSearchParams({ sample: state.sample, step: state.step });
    if (state.layer) parameters.set("layer", state.layer);
    for (const [key, value] of Object.entries(defaults)) if (state[key] !== value) parameters.set(key, state[key]);
    try { history.replaceState(null, "", "#" + parameters); } catch { /* in a sandboxed frame the URL cannot change */ }
  }

  // Colour maps: every 15th entry of matplotlib's, interpolated linearly.
  const anchors = {
    inferno: "000004 0a0722 1e0c45 380962 510e6c 69166e 801f6c 982766 b0315b c63d4d d94d3d e9612b f47918 fa9407 fcb014 f8cd37 f2ea69 fcffa4",
    viridis: "440154 481769 472a7a 433d84 3d4e8a 355e8d 2e6d8e 297b8e 23898e 1f978b 21a585 2eb37c 46c06f 65cb5e 89d548 b0dd2f d8e219 fde725",
    jet: "000080 0000c4 0000ff 0034ff 0070ff 00acff 02e8f4 33ffc4 63ff94 94ff63 c4ff33 f4f802 ffc100 ff8900 ff5200 ff1a00 c40000 800000",
  };
  const lookup = Object.fromEntries(Object.entries(anchors).map(([name, text]) => {
    const stops = text.split(" ").map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));
    const table = new Uint8Array(256 * 3);
    for (let i = 0; i < 256; i++) {
      const x = (i / 255) * (stops.length - 1), low = Math.min(Math.floor(x), stops.length - 2);
      for (let c = 0; c < 3; c++) table[3 * i + c] = Math.round(stops[low][c] + (x - low) * (stops[low + 1][c] - stops[low][c]));
    }
    return [name, table];
  }));

  // The map to show: its values, in the maps' unit, and the top of the colour scale.
  const sums = new Map();
  function running(sample, layer) {
    const key = sample + " " + layer;
    if (!sums.has(key)) {
      const map = samples[sample].maps[layer], raw = bytes(map), size = raw.length / steps, total = new Float64Array(raw.length);
      for (let i = 0; i < raw.length; i++) {
        total[i] = raw[i] / 255 * map.peaks[Math.floor(i / size)] + (i < size ? 0 : total[i - size]);
      }
      sums.set(key, total);
    }
    return sums.get(key);
  }
  const largest = (values) => values.reduce((a, b) => Math.max(a, b), 0);

  function picture() {
    const map = samples[state.sample].maps[state.layer], [, height, width] = map.shape, size = height * width;
    let values, top;
    if (state.show === "step") {
      values = Float64Array.from(bytes(map).subarray(state.step * size, (state.step + 1) * size), (v) => v / 255 * map.peaks[state.step]);
      top = largest(map.peaks);
    } else {
      const total = running(state.sample, state.layer), at = state.show === "all" ? steps - 1 : state.step;
      values = total.subarray(at * size, (at + 1) * size);
      top = largest(total.subarray((steps - 1) * size));
    }
    if (state.scale === "own") top = largest(values);
    return { values, top, height, width };
  }

  // Bilinear with pixel centres at half integers, as in neurosam.explain.maps.upsample; or nearest neighbour.
  function resized({ values, height, width }, rows, columns, smooth) {
    const axis = (from, to) => Array.from({ length: to }, (_, i) => {
      if (!smooth) return [Math.floor(i * from / to), 0, 0];
      const centre = Math.max((i + 0.5) * from / to - 0.5, 0), low = Math.min(Math.floor(centre), from - 1);
      return [low, Math.min(low + 1, from - 1), centre - low];
    });
    const down = axis(height, rows), across = axis(width, columns), out = new Float64Array(rows * columns);
    for (let y = 0, i = 0; y < rows; y++) {
      const [y0, y1, py] = down[y];
      for (let x = 0; x < columns; x++, i++) {
        const [x0, x1, px] = across[x];
        out[i] = (values[y0 * width + x0] * (1 - px) + values[y0 * width + x1] * px) * (1 - py)
          + (values[y1 * width + x0] * (1 - px) + values[y1 * width + x1] * px) * py;
      }
    }
    return out;
  }

  function paint(canvas, width, height, colour) {
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      const [r, g, b] = colour(i);
      pixels.data.set([r, g, b, 255], 4 * i);
    }
    context.putImageData(pixels, 0, 0);
  }

  // What the input was at the current step: its frame, or the image of the sample.
  function inputNow({ image, frames }) {
    if (!frames) return image;
    const [, ...shape] = frames.shape;
    return { at: frames.at + state.step * shape.reduce((a, b) => a * b, 1), shape };
  }

  function imageColour(image) {
    const raw = bytes(image), size = image.shape[1] * image.shape[2], step = image.shape[0] === 3 ? size : 0;
    return (i) => [raw[i], raw[i + step], raw[i + 2 * step]];
  }

  function shade(table, share) {
    const at = 3 * Math.round(255 * Math.min(Math.max(share, 0), 1));
    return [table[at], table[at + 1], table[at + 2]];
  }

  function drawMaps() {
    const image = inputNow(samples[state.sample]), [, high, wide] = image.shape, below = imageColour(image);
    const shown = picture(), scale = shown.top > 0 ? 1 / shown.top : 0, table = lookup[state.colours];
    paint($("map"), shown.width, shown.height, (i) => shade(table, shown.values[i] * scale));
    const times = Math.max(1, Math.ceil(384 / wide)), columns = wide * times;
    const heat = resized(shown, high * times, columns, state.smooth === "1"), opacity = Number(state.opacity) / 100;
    paint($("overlay"), columns, high * times, (i) => {
      const y = Math.floor(i / columns), x = i - y * columns, share = heat[i] * scale;
      const base = below(Math.floor(y / times) * wide + Math.floor(x / times)), top = shade(table, share);
      const alpha = state.colours === "jet" ? opacity : opacity * Math.sqrt(Math.min(share, 1)); // jet: uniform, as in the paper
      return [0, 1, 2].map((c) => base[c] + alpha * (top[c] - base[c]));
    });
    paint($("bar"), 256, 1, (i) => shade(table, i / 255));
    const what = { step: `at ${named} ${state.step}`, "so-far": `summed over ${named}s 0 to ${state.step}`, all: `summed over all ${named}s` }[state.show];
    $("bar-top").textContent = number(shown.top);
    $("unit").textContent = data.unit;
    $("map-note").textContent = `${shown.height} × ${shown.width}`;
    $("overlay-note").textContent = `${state.layer} ${what}`;
    $("map").setAttribute("aria-label", `Map of ${state.layer} ${what}; largest value ${number(largest(shown.values))}`);
    $("overlay").setAttribute("aria-label", `Input of sample ${state.sample} under the map of ${state.layer} ${what}`);
  }

  function number(x) {
    const size = Math.abs(x), sign = x < 0 ? "−" : "";
    if (Number.isInteger(x) && size < 1e10) return sign + size.toLocaleString("en").replaceAll(",", "\u202f");
    return sign + (size >= 1e5 || size < 1e-3 ? size.toExponential(2) : String(Number(size.toPrecision(4))));
  }

  // The border of the mask: unit edges between pixels that differ.
  function drawMask() {
    const { mask, image } = samples[state.sample], [, high, wide] = image.shape;
    let path = "";
    if (mask && state.mask === "1") {
      const raw = bytes(mask), inside = (y, x) => y >= 0 && y < high && x >= 0 && x < wide && raw[y * wide + x] === 1;
      for (let y = 0; y <= high; y++) for (let x = 0; x <= wide; x++) {
        if (inside(y, x) !== inside(y - 1, x)) path += `M${x} ${y}h1`;
        if (inside(y, x) !== inside(y, x - 1)) path += `M${x} ${y}v1`;
      }
    }
    for (const svg of document.querySelectorAll(".outline")) {
      svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
      for (const line of svg.children) line.setAttribute("d", path);
    }
    $("mask").closest("label").hidden = !mask;
  }

  function drawInput() {
    const { image, frames, name, mask } = samples[state.sample], [, high, wide] = image.shape;
    paint($("input"), wide, high, imageColour(inputNow(samples[state.sample])));
    $("input-note").textContent = name || `sample ${state.sample}`;
    $("input").setAttribute("aria-label", `Input ${frames ? "events" : "image"} of sample ${state.sample}, ${high} by ${wide} pixels${mask ? ", with a mask" : ""}`);
  }

  // Spikes per step: one line per population, a cursor at the current step.
  function element(name, attributes, parent) {
    const node = document.createElementNS($("chart").namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.append(node);
    return node;
  }

  const plot = { left: 46, right: 10, top: 8, bottom: 24 };
  const stepX = (step, width) => plot.left + (steps > 1 ? step / (steps - 1) : 0.5) * (width - plot.left - plot.right);

  function drawActivity() {
    // The list has their order, which an object forgets where names are numbers.
    const { counts } = samples[state.sample], names = data.populations, chart = $("chart");
    $("activity").hidden = !names.length;
    if (!names.length) return;
    const known = names.every((name) => data.neurons[name] > 0);
    $("activity-unit").textContent = known ? `spikes per neuron and ${named}` : `share of each population's busiest ${named}`;
    const rates = names.map((name) => {
      const divisor = known ? data.neurons[name] : largest(counts[name]) || 1;
      return counts[name].map((count) => count / divisor);
    });
    const top = largest(rates.map(largest)) || 1, unit = 10 ** Math.floor(Math.log10(top));
    const tick = [0.2, 0.5, 1, 2].map((f) => f * unit).find((t) => top / t <= 5) ?? unit;
    const ceiling = Math.ceil(top / tick - 1e-9) * tick;
    const width = Math.max(chart.clientWidth, 200), height = Math.max(chart.clientHeight, 120);
    const y = (value) => height - plot.bottom - value / ceiling * (height - plot.top - plot.bottom);
    chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
    chart.replaceChildren();
    for (let value = 0; value <= ceiling + tick / 2; value += tick) {
      element("line", { class: "grid", x1: plot.left, x2: width - plot.right, y1: y(value), y2: y(value) }, chart);
      element("text", { x: plot.left - 7, y: y(value) + 4, "text-anchor": "end" }, chart).textContent = number(Number(value.toPrecision(6)));
    }
    const every = [1, 2, 4, 5, 10, 20, 25, 50, 100, 200, 500, 1000].find((n) => (steps - 1) / n <= (width < 450 ? 6 : 10)) ?? steps;
    for (let step = 0; step < steps; step += every) {
      element("text", { x: stepX(step, width), y: height - 6, "text-anchor": "middle" }, chart).textContent = step;
    }
    rates.forEach((rate, at) => {
      const points = (steps > 1 ? rate : [rate[0], rate[0]]).map((value, step) =>
        `${(steps > 1 ? stepX(step, width) : step ? width - plot.right : plot.left).toFixed(1)},${y(value).toFixed(1)}`);
      element("polyline", { class: `s${at % 7} d${at % 4}${names[at] === state.layer ? " chosen" : ""}`, points: points.join(" ") }, chart);
    });
    const x = stepX(state.step, width);
    element("line", { class: "cursor", x1: x, x2: x, y1: plot.top, y2: height - plot.bottom }, chart);
    chart.setAttribute("aria-label", `Spikes per step of ${names.join(", ")}. At step ${state.step}: ` + names.map((name) => `${name} ${counts[name][state.step]}`).join(", "));
    $("legend").replaceChildren(...names.map((name, at) => {
      const item = document.createElement("li"), total = number(counts[name][state.step]);
      if (name === state.layer) item.className = "chosen";
      const swatch = element("svg", { viewBox: "0 0 30 10", "aria-hidden": "true" }, item);
      element("path", { class: `s${at % 7} d${at % 4}`, d: "M0 5h30", "stroke-width": 3 }, swatch);
      item.append(`${name}: ${total} spike${counts[name][state.step] === 1 ? "" : "s"}`);
      return item;
    }));
  }

  // The readout after the current step.
  const first = (row) => row.indexOf(Math.max(...row));

  function drawReadout() {
    const { readout, label, prediction } = samples[state.sample], verdict = $("verdict");
    $("readout").hidden = !readout;
    verdict.replaceChildren();
    const say = (text, kind) => {
      const span = document.createElement("span");
      span.textContent = text;
      if (kind) span.className = kind;
      verdict.append(span);
    };
    const mark = (index) => (label === null ? "" : index === label ? " ✓ right" : ` ✗ wrong, it is ${classes[label]}`);
    const kind = (index) => (label === null ? "" : index === label ? "right" : "wrong");
    if (!readout) {
      if (prediction !== null) { say("Prediction: "); say(classes[prediction] + mark(prediction), kind(prediction)); }
      else if (label !== null) say(`Label: ${classes[label]}`);
      return;
    }
    const answers = readout.map(first), now = answers[state.step], last = answers[steps - 1];
    let since = steps - 1;
    while (since > 0 && answers[since - 1] === last) since--;
    say(`After ${named} ${state.step} the answer is `);
    say(classes[now] + mark(now), kind(now));
    const from = since ? `from ${named} ${since} on` : `from the first ${named} on`;
    say(state.step === steps - 1 ? `; it holds ${from}.` : `; the last one, ${classes[last]}, holds ${from}.`);

    const low = Math.min(0, ...readout.flat()), high = Math.max(0, ...readout.flat()), span = high - low || 1;
    const order = readout[steps - 1].map((value, i) => [value, i]).sort((a, b) => b[0] - a[0] || a[1] - b[1]).map((pair) => pair[1]);
    const shown = new Set(order.slice(0, 10));
    if (label !== null && label < order.length) shown.add(label);
    $("readout-note").textContent = `after ${named} ${state.step}` + (order.length > shown.size ? `; ${shown.size} of ${order.length} classes` : "");
    $("classes").replaceChildren(...[...shown].sort((a, b) => a - b).map((i) => {
      const value = readout[state.step][i], item = document.createElement("li");
      const [name, track, fill, text] = ["name", "track", "fill", "value"].map((kind) => Object.assign(document.createElement("span"), { className: kind }));
      if (i === now) item.className = "first";
      name.textContent = name.title = classes[i];
      if (i === label) name.append(Object.assign(document.createElement("em"), { textContent: "label" }));
      fill.style.left = `${(Math.min(value, 0) - low) / span * 100}%`;
      fill.style.width = `${Math.abs(value) / span * 100}%`;
      text.textContent = number(value);
      track.append(fill);
      item.append(name, track, text);
      return item;
    }));
  }

  function draw() {
    $("step").value = state.step;
    $("step").setAttribute("aria-valuetext", `${named} ${state.step} of 0 to ${steps - 1}`);
    $("step-text").textContent = `${named} ${state.step} of 0–${steps - 1}`;
    $("window").textContent = data.labels[state.step] ?? "";
    for (const key of ["layer", "show", "scale", "colours", "opacity"]) $(key).value = state[key];
    for (const key of ["smooth", "mask"]) $(key).checked = state[key] === "1";
    [...$("samples").children].forEach((button, i) => button.setAttribute("aria-pressed", i === state.sample));
    drawInput();
    drawMask();
    if (state.layer) drawMaps();
    drawActivity();
    drawReadout();
  }

  function set(change) {
    Object.assign(state, change);
    draw();
    writeAddress();
  }

  // Controls.
  let timer = null;
  function play(on) {
    clearInterval(timer);
    timer = on ? setInterval(() => set({ step: (state.step + 1) % steps }), 220) : null;
    $("play").setAttribute("aria-pressed", on);
    $("play").lastChild.textContent = on ? "Pause" : "Play";
  }
  function choose(sample) {
    set({ sample });
    $("samples").children[sample].scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  $("samples").append(...samples.map((sample, i) => {
    const button = Object.assign(document.createElement("button"), { type: "button" }), canvas = document.createElement("canvas");
    const [, high, wide] = sample.image.shape, title = document.createElement("span"), verdict = document.createElement("span");
    paint(canvas, wide, high, imageColour(sample.image));
    canvas.setAttribute("aria-hidden", "true");
    title.textContent = sample.label === null ? sample.name || `sample ${i}` : classes[sample.label];
    button.append(canvas, title);
    if (sample.prediction !== null) {
      const right = sample.label === null ? "→" : sample.prediction === sample.label ? "✓" : "✗";
      verdict.textContent = `${right} ${classes[sample.prediction]}`;
      if (sample.label !== null) verdict.className = sample.prediction === sample.label ? "right" : "wrong";
      button.append(verdict);
    }
    button.title = [sample.name || `sample ${i}`, title.textContent, verdict.textContent].join(", ");
    button.addEventListener("click", () => choose(i));
    return button;
  }));
  $("samples").hidden = samples.length < 2;
  $("layer").append(...layers.map((name) => new Option(name, name)));
  if (!layers.length) for (const node of document.querySelectorAll(".overlay, .map, .settings")) node.hidden = true;
  $("step").max = steps - 1;
  if (windows) {
    document.querySelector("label[for=step]").textContent = "Window";
    $("activity").querySelector("b").textContent = "Spikes per window";
    $("scale").querySelector("[value=shared]").textContent = "same for all windows";
    for (const [value, text] of [["step", "this window"], ["so-far", "sum up to this window"], ["all", "sum of all windows"]]) {
      $("show").querySelector(`[value=${value}]`).textContent = text;
    }
  }
  $("step").addEventListener("input", (event) => { play(false); set({ step: Number(event.target.value) }); });
  $("play").addEventListener("click", () => play(timer === null));
  for (const key of ["layer", "show", "scale", "colours", "opacity"]) $(key).addEventListener("input", (event) => set({ [key]: event.target.value }));
  for (const key of ["smooth", "mask"]) $(key).addEventListener("change", (event) => set({ [key]: event.target.checked ? "1" : "0" }));
  const point = (event) => {
    const box = $("chart").getBoundingClientRect(), share = (event.clientX - box.left - plot.left) / (box.width - plot.left - plot.right);
    play(false);
    set({ step: Math.min(Math.max(Math.round(share * (steps - 1)), 0), steps - 1) });
  };
  $("chart").addEventListener("pointerdown", point);
  $("chart").addEventListener("pointermove", (event) => { if (event.buttons === 1) point(event); });

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("select, .scroll")) return;
    if (event.target.matches("input[type=range]") && event.target.id !== "step") return;
    const press = {
      ArrowRight: () => set({ step: Math.min(state.step + 1, steps - 1) }),
      ArrowLeft: () => set({ step: Math.max(state.step - 1, 0) }),
      Home: () => set({ step: 0 }),
      End: () => set({ step: steps - 1 }),
      n: () => choose((state.sample + 1) % samples.length),
      p: () => choose((state.sample + samples.length - 1) % samples.length),
      l: () => layers.length && set({ layer: layers[(layers.indexOf(state.layer) + 1) % layers.length] }),
      m: () => set({ mask: state.mask === "1" ? "0" : "1" }),
    };
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === " " && !event.target.matches("button, input[type=checkbox]")) play(timer === null);
    else if (Object.hasOwn(press, key)) { if (key.startsWith("Arrow") || key === "Home" || key === "End") play(false); press[key](); }
    else return;
    event.preventDefault();
  });
  addEventListener("hashchange", () => { readAddress(); draw(); });

  readAddress();
  $("message").hidden = true;
  $("live").hidden = false;
  draw();
  const chosen = $("samples").children[state.sample];
  $("samples").scrollLeft = chosen.offsetLeft - ($("samples").clientWidth - chosen.offsetWidth) / 2;
  new ResizeObserver(drawActivity).observe($("chart"));
})().catch((error) => {
  console.error(error);
  const message = document.getElementById("message");
  message.hidden = false;
  message.textContent = `The samples cannot be shown: ${error.message}`;
});
