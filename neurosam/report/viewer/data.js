// The data of the page, and the state: which sample, step, layer and neuron are shown.
// All text is set through textContent or attributes, so names are never parsed as markup.
const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const { samples, layers, classes, steps } = data;
if (!samples.length) return;
const kinds = new Map(data.kinds); // in the network's order, which an object forgets where names are numbers

// One buffer holds every image, mask, map, spike and membrane; the index says where (packing.py).
const packed = Uint8Array.from(atob($("buffer").textContent), (c) => c.charCodeAt(0));
const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
const buffer = new Uint8Array(await new Response(stream).arrayBuffer());
const size = (shape) => shape.reduce((a, b) => a * b, 1);
const bytes = ({ at, shape }) => buffer.subarray(at, at + size(shape));

// Values of spikes and membranes: bits, integers in byte planes, or float32 in byte planes.
const decoded = new WeakMap();
function numbers(entry) {
  if (!decoded.has(entry)) {
    const count = size(entry.shape), values = new Int32Array(count), at = entry.at;
    if (entry.kind === "bits") for (let i = 0; i < count; i++) values[i] = buffer[at + (i >> 3)] >> (i & 7) & 1;
    else {
      const planes = entry.kind === "float" ? 4 : entry.bytes, unused = 32 - 8 * planes;
      for (let plane = 0; plane < planes; plane++) for (let i = 0; i < count; i++) values[i] |= buffer[at + plane * count + i] << 8 * plane;
      if (unused) for (let i = 0; i < count; i++) values[i] = values[i] << unused >> unused; // the sign
    }
    decoded.set(entry, entry.kind === "float" ? new Float32Array(values.buffer) : values);
  }
  return decoded.get(entry);
}
const ranges = new WeakMap();
function extremes(entry) {
  if (!ranges.has(entry)) {
    let low = 0, high = 0;
    for (const value of numbers(entry)) { if (value < low) low = value; if (value > high) high = value; }
    ranges.set(entry, { low, high, most: Math.max(-low, high) });
  }
  return ranges.get(entry);
}
const channelled = (shape) => (shape.length === 3 ? shape : [1, 1, shape[0]]);
const has = (object, name) => Object.hasOwn(object, name);

// Steps have names where each is a window of several steps of a run.
const windows = data.labels.length > 0, named = windows ? "window" : "step";

// Populations whose neurons can be looked at, in some sample.
const populations = [...kinds.keys()].filter((name) => samples.some((sample) => has(sample.spikes, name) || has(sample.membrane, name)));
const inputs = populations.filter((name) => kinds.get(name).role === "input" && kinds.get(name).shape.length === 3);

// State: the controls and the URL. `neuron` is the flat index of one of `population`, null for none.
const defaults = {
  show: "step", scale: "shared", colours: "inferno", opacity: "85", smooth: "1", mask: "1", // of maps
  input: "image", view: "spikes", channel: "all",
};
const state = { sample: 0, step: Math.floor(steps / 2), layer: layers[0] ?? "", population: "", neuron: null, ...defaults };
const whole = (text, top) => (/^\d{1,9}$/.test(text ?? "") ? Math.min(Number(text), top) : null);

const control = (key) => $(key === "input" ? "input-kind" : key);
const usualPopulation = () => (populations.includes(state.layer) ? state.layer : populations[0] ?? "");
state.population = usualPopulation();

function readAddress() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  state.sample = whole(parameters.get("sample"), samples.length - 1) ?? state.sample;
  state.step = whole(parameters.get("step"), steps - 1) ?? state.step;
  if (layers.includes(parameters.get("layer"))) state.layer = parameters.get("layer");
  for (const key of ["show", "scale", "colours", "input", "view"]) {
    if ([...control(key).options].some((option) => option.value === parameters.get(key))) state[key] = parameters.get(key);
  }
  const opacity = whole(parameters.get("opacity"), 100);
  if (opacity !== null) state.opacity = String(opacity);
  for (const key of ["smooth", "mask"]) if (["0", "1"].includes(parameters.get(key))) state[key] = parameters.get(key);
  state.population = populations.includes(parameters.get("population")) ? parameters.get("population") : usualPopulation();
  if (!state.population) return;
  const { shape } = kinds.get(state.population), channel = whole(parameters.get("channel"), channelled(shape)[0] - 1);
  state.neuron = whole(parameters.get("neuron"), size(shape) - 1);
  state.channel = channel === null ? "all" : String(channel);
}

function writeAddress() {
  const parameters = new URLSearchParams({ sample: state.sample, step: state.step });
  if (state.layer) parameters.set("layer", state.layer);
  if (state.population !== usualPopulation()) parameters.set("population", state.population);
  if (state.neuron !== null) parameters.set("neuron", state.neuron);
  for (const [key, value] of Object.entries(defaults)) if (state[key] !== value) parameters.set(key, state[key]);
  try { history.replaceState(null, "", "#" + parameters); } catch { /* in a sandboxed frame the URL cannot change */ }
}

// Text: numbers with their thousands apart, integers in full.
function number(x) {
  const amount = Math.abs(x), sign = x < 0 ? "−" : "";
  if (Number.isInteger(x) && amount < 1e10) return sign + amount.toLocaleString("en").replaceAll(",", "\u202f");
  return sign + (amount >= 1e5 || amount < 1e-3 ? amount.toExponential(2) : String(Number(amount.toPrecision(4))));
}
const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
const largest = (values) => values.reduce((a, b) => Math.max(a, b), 0);

// Elements.
function made(tag, text = "", kind = "") {
  const node = document.createElement(tag);
  node.textContent = text;
  if (kind) node.className = kind;
  return node;
}
function element(name, attributes, parent) {
  const node = document.createElementNS($("chart").namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
}
function label(svg, x, y, anchor, text) {
  const node = element("text", { x, y, "text-anchor": anchor }, svg);
  node.textContent = text;
  return node;
}
function cursor(svg, x, top, bottom) {
  element("line", { class: "cursor", x1: x, x2: x, y1: top, y2: bottom }, svg);
}

// An empty drawing in its size on the page.
function cleared(svg) {
  const width = Math.max(svg.clientWidth, 200), height = Math.max(svg.clientHeight, 50);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  return { width, height };
}
