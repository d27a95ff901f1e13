// Drawing everything, and what changes the state: controls, clicks, keys and the URL.

function draw() {
  $("step").value = state.step;
  $("step").setAttribute("aria-valuetext", `${named} ${state.step} of 0 to ${steps - 1}`);
  $("step-text").textContent = `${named} ${state.step} of 0–${steps - 1}`;
  $("window").textContent = data.labels[state.step] ?? "";
  for (const key of ["layer", "show", "scale", "colours", "opacity", "input"]) control(key).value = state[key];
  for (const key of ["smooth", "mask"]) $(key).checked = state[key] === "1";
  [...$("samples").children].forEach((button, i) => button.setAttribute("aria-pressed", i === state.sample));
  drawInput();
  drawMask();
  if (state.layer) drawMaps();
  drawActivity();
  drawReadout();
  drawNeurons();
}

function set(change) {
  Object.assign(state, change);
  draw();
  writeAddress();
}

// Another layer takes its neurons along.
function showLayer(layer) {
  const follows = populations.includes(layer) && layer !== state.population;
  set(follows ? { layer, population: layer, neuron: null, channel: "all" } : { layer });
}

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

// The samples, as buttons.
$("samples").append(...samples.map((sample, i) => {
  const button = Object.assign(document.createElement("button"), { type: "button" }), canvas = document.createElement("canvas");
  const [, high, wide] = sample.image.shape, name = sample.name || `sample ${i}`;
  const title = made("span", sample.label === null ? name : classes[sample.label]);
  paint(canvas, wide, high, imageColour(sample.image));
  canvas.setAttribute("aria-hidden", "true");
  button.append(canvas, title);
  let verdict = "";
  if (sample.prediction !== null) {
    const sign = sample.label === null ? "→" : sample.prediction === sample.label ? "✓" : "✗";
    verdict = `${sign} ${answerName(sample.prediction)}`;
    button.append(made("span", verdict, rightness(sample.prediction, sample.label)));
  }
  button.title = [name, title.textContent, verdict].join(", ");
  button.addEventListener("click", () => choose(i));
  return button;
}));
$("samples").hidden = samples.length < 2;

// The controls.
$("layer").append(...layers.map((name) => new Option(name, name)));
$("population").append(...populations.map((name) => new Option(name, name)));
$("input-kind").closest("label").hidden = !inputs.length;
if (!layers.length) for (const node of document.querySelectorAll(".overlay, .map, .of-maps")) node.hidden = true;
if (!layers.length && !inputs.length) document.querySelector(".settings").hidden = true;
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
for (const key of ["show", "scale", "colours", "opacity", "input", "view"]) {
  control(key).addEventListener("input", (event) => set({ [key]: event.target.value }));
}
for (const key of ["smooth", "mask"]) $(key).addEventListener("change", (event) => set({ [key]: event.target.checked ? "1" : "0" }));
$("layer").addEventListener("input", (event) => showLayer(event.target.value));
$("population").addEventListener("input", (event) => set({ population: event.target.value, neuron: null, channel: "all" }));
$("channel").addEventListener("input", (event) => showChannel(event.target.value));

// Clicking and dragging in a chart shows the step.
function steers(chart, stepAt) {
  const point = (event) => {
    const box = chart.getBoundingClientRect();
    play(false);
    set({ step: Math.min(Math.max(stepAt(event.clientX - box.left, box.width), 0), steps - 1) });
  };
  chart.addEventListener("pointerdown", point);
  chart.addEventListener("pointermove", (event) => { if (event.buttons === 1) point(event); });
}
steers($("chart"), (x, width) => Math.round((x - plot.left) / (width - plot.left - plot.right) * (steps - 1)));
steers($("trace"), (x, width) => Math.floor((x - field.left) / (width - field.left - field.right) * steps));

// Clicking a map or the raster picks a neuron; while one of them has the focus, arrow keys move to its neighbours.
function picks(canvas, at) {
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect(), within = (x) => Math.min(Math.max(x, 0), 1 - 1e-9);
    at(within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height));
  });
}
for (const id of ["map", "overlay", "beside"]) {
  picks($(id), (x, y) => {
    const [, high, wide] = samples[state.sample].maps[state.layer].shape;
    pickPlace(Math.floor(y * high), Math.floor(x * wide));
  });
}
picks($("neuron-map"), (x, y) => {
  const grid = layout(), i = grid.index(Math.floor(x * grid.width), Math.floor(y * grid.height));
  if (i >= 0) pick(state.population, i);
});
picks($("raster"), (x, y) => {
  const place = rasterRows(), row = Math.floor(y * place.rows), step = Math.floor(x * steps);
  const values = numbers(spikesNow()), count = size(shapeNow());
  let neuron = place.start(row);
  for (let i = place.end(row) - 1; i >= place.start(row); i--) if (values[step * count + i]) neuron = i;
  Object.assign(state, { step });
  play(false);
  pick(state.population, neuron);
});
const inMap = {
  ArrowUp: [-1, 0, 0], ArrowDown: [1, 0, 0], ArrowLeft: [0, -1, 0], ArrowRight: [0, 1, 0], PageUp: [0, 0, -1], PageDown: [0, 0, 1],
};
for (const id of ["map", "overlay", "beside", "neuron-map"]) {
  $(id).addEventListener("keydown", (event) => {
    if (!Object.hasOwn(inMap, event.key) || event.altKey || event.ctrlKey || event.metaKey) return;
    if (id !== "neuron-map" && state.population !== state.layer) {
      if (!populations.includes(state.layer)) return;
      Object.assign(state, { population: state.layer, neuron: null, channel: "all" });
    }
    move(...inMap[event.key]);
    event.preventDefault();
    event.stopPropagation();
  });
}
$("raster").addEventListener("keydown", (event) => {
  const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!by) return;
  pick(state.population, Math.min(Math.max(neuronNow() + by, 0), size(shapeNow()) - 1));
  event.preventDefault();
  event.stopPropagation();
});

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("select, .scroll, summary")) return;
  if (event.target.matches("input[type=range]") && event.target.id !== "step") return;
  const press = {
    ArrowRight: () => set({ step: Math.min(state.step + 1, steps - 1) }),
    ArrowLeft: () => set({ step: Math.max(state.step - 1, 0) }),
    Home: () => set({ step: 0 }),
    End: () => set({ step: steps - 1 }),
    n: () => choose((state.sample + 1) % samples.length),
    p: () => choose((state.sample + samples.length - 1) % samples.length),
    l: () => layers.length && showLayer(layers[(layers.indexOf(state.layer) + 1) % layers.length]),
    m: () => set({ mask: state.mask === "1" ? "0" : "1" }),
    i: () => inputs.length && set({ input: state.input === "spikes" ? "image" : "spikes" }),
    c: () => state.population && nextChannel(event.shiftKey ? -1 : 1),
    v: () => state.population && set({ view: viewNow() === "spikes" ? "membrane" : "spikes" }),
    Escape: () => set({ neuron: null }),
  };
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === " " && !event.target.matches("button, input[type=checkbox]")) play(timer === null);
  else if (Object.hasOwn(press, key)) { if (key.startsWith("Arrow") || key === "Home" || key === "End") play(false); press[key](); }
  else return;
  event.preventDefault();
});
addEventListener("hashchange", () => { readAddress(); draw(); });

// Start.
for (const id of ["map", "overlay", "beside"]) {
  if (!layers.some((layer) => populations.includes(layer))) break;
  $(id).tabIndex = 0;
  $(id).setAttribute("role", "application");
}
readAddress();
$("message").hidden = true;
$("live").hidden = false;
draw();
const chosen = $("samples").children[state.sample];
$("samples").scrollLeft = chosen.offsetLeft - ($("samples").clientWidth - chosen.offsetWidth) / 2;
new ResizeObserver(drawActivity).observe($("chart"));
new ResizeObserver(drawNeurons).observe($("trace"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
