// One neuron: its membrane over the steps, its threshold, its reset and its spikes, in words and drawn.

const DOTS = 64; // most steps that have a dot each
const LISTED = 24; // most spikes that are listed

// Name of a neuron: where it is, and its flat index.
function neuronName(population, i) {
  const { shape } = kinds.get(population), [, high, wide] = channelled(shape);
  const answer = population === data.output && i < classes.length ? ` (class ${classes[i]})` : "";
  if (shape.length === 1) return `${population}, neuron ${i}${answer}`;
  const channel = Math.floor(i / (high * wide)), row = Math.floor(i % (high * wide) / wide);
  return `${population}, channel ${channel}, row ${row}, column ${i % wide} (neuron ${i})${answer}`;
}

// What is known of the neuron, each a value per step or null.
function courses(kind, i) {
  const sample = samples[state.sample], count = size(kind.shape), base = ofNeuron(kind.threshold, i);
  const over = (entry) => (entry ? Array.from({ length: steps }, (_, t) => numbers(entry)[t * count + i]) : null);
  const moved = over(sample.threshold[state.population]);
  return {
    membrane: over(membraneNow()), spikes: over(spikesNow()), moved,
    threshold: moved ?? (base === null ? null : Array(steps).fill(base)), amount: ofNeuron(kind.amount, i),
  };
}

function drawTrace(kind) {
  const i = neuronNow(), course = courses(kind, i);
  const hint = "fires as often as half of those that fire; click a map or the raster to pick another";
  $("trace-name").textContent = neuronName(state.population, i);
  $("trace-hint").textContent = state.neuron === null ? hint : "";
  $("trace-now").textContent = present(course);
  $("trace-spikes").textContent = course.spikes ? listed(course.spikes) : "";
  $("trace-facts").textContent = facts(kind, course, ofNeuron(kind.threshold, i));
  const missing = !course.membrane && kind.role !== "input";
  $("trace-left-out").hidden = !missing;
  $("trace-left-out").replaceChildren(...(missing ? leftOut() : []));
  const texts = ["name", "facts", "now", "spikes"].map((part) => $(`trace-${part}`).textContent).filter(Boolean);
  $("trace").setAttribute("aria-label", texts.join(". "));
  plotTrace(kind, course);
}

// The membrane and the spikes at the current step.
function present({ membrane, spikes, threshold }) {
  const t = state.step, parts = [];
  if (membrane) {
    const share = threshold && `${number(Math.round(membrane[t] / threshold[t] * 100))} % of the threshold`;
    const moving = threshold?.some((value) => value !== threshold[0]) ? `, now ${number(threshold[t])}` : "";
    parts.push(`membrane ${number(membrane[t])}` + (share ? ` (${share}${moving})` : ""));
  }
  if (spikes) parts.push(spikes[t] === 0 ? "no spike" : spikes[t] === 1 ? "fires" : `value ${number(spikes[t])}`);
  return parts.length ? `At ${named} ${t}: ${parts.join(", ")}.` : "";
}

function listed(spikes) {
  const at = spikes.flatMap((value, t) => (value ? [t] : [])), more = at.length - LISTED;
  if (!at.length) return "It never fires in this sample.";
  if (at.length === steps && steps > 1) return `Fires at every ${named}.`;
  return `Fires at ${named}${at.length > 1 ? "s" : ""} ${at.slice(0, LISTED).join(", ")}${more > 0 ? ` and ${more} more` : ""}.`;
}

// Threshold and reset.
function facts(kind, { membrane, moved, amount }, threshold) {
  if (kind.role === "input") return "An input: it has spikes, and no membrane.";
  if (kind.role === "readout") return `A readout: it integrates and never fires. Membrane in ${kind.unit}.`;
  const parts = [];
  if (threshold !== null) {
    const rises = kind.moves ? ` at rest, and spikes raise it for a while${moved ? "" : ", which is not drawn"}` : "";
    parts.push(`threshold ${number(threshold)}${rises}, fires ${kind.at ? "at or above it" : "above it"}`);
  }
  if (kind.reset) parts.push(kind.reset + (amount === null ? "" : ` ${number(amount)}`));
  if (kind.note) parts.push(kind.note);
  if (membrane && kind.unit) parts.push(`membrane after the step, in ${kind.unit}`);
  const text = parts.join("; ");
  return text && `${text[0].toUpperCase()}${text.slice(1)}.`;
}

// Why there is no membrane, and what to do.
function leftOut() {
  if (!samples.some((sample) => Object.keys(sample.membrane).length)) return ["Membranes were not recorded."];
  const room = `This membrane was left out to keep the page small, which has room for ${number(data.membrane_mb)} MB of them; `;
  return [room, "all are kept with ", made("code", `neurosam explain --membrane-mb ${data.needed_mb}`), "."];
}

function plotTrace(kind, { membrane, spikes, threshold, moved, amount }) {
  const svg = $("trace");
  svg.classList.toggle("flat", !membrane);
  const { width, height } = cleared(svg), x = (t) => fieldX(t, width), strip = spikes ? 16 : 0; // for spikes, on top
  for (let t = 0; t < steps; t += labelled(width)) label(svg, x(t), height - 5, "middle", t);
  if (spikes) {
    label(svg, field.left - 7, field.top + 10, "end", kind.role === "input" ? "events" : "spikes");
    spikes.forEach((value, t) => { if (value) element("path", { class: "spike", d: `M${x(t)} ${field.top}v11` }, svg); });
  }
  cursor(svg, x(state.step), field.top, height - field.bottom);
  if (!membrane) return;

  const before = (t) => (kind.jump && spikes?.[t] ? membrane[t] + spikes[t] * amount : null); // what exceeded the threshold
  const values = [0, ...membrane, ...membrane.map((_, t) => before(t) ?? 0), ...(threshold ?? [])];
  const low = Math.min(...values), high = Math.max(...values), span = high - low || 1, pad = 0.08 * span, tick = tickOf(span);
  const y = (value) => field.top + strip + (high + pad - value) / (span + 2 * pad) * (height - field.top - field.bottom - strip);
  const line = (points) => points.map(([at, value]) => `${at.toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  for (let value = Math.ceil(low / tick) * tick; value <= high + tick * 1e-6; value += tick) {
    element("line", { class: "grid", x1: field.left, x2: width - field.right, y1: y(value), y2: y(value) }, svg);
    label(svg, field.left - 7, y(value) + 4, "end", number(Number(value.toPrecision(6))));
  }
  spikes?.forEach((value, t) => {
    const top = before(t) ?? Math.max(threshold?.[t] ?? high, membrane[t]);
    if (value) element("path", { class: "jump", d: `M${x(t)} ${y(top)}V${y(membrane[t])}` }, svg);
  });
  if (threshold) {
    const last = threshold[steps - 1], right = width - field.right;
    const points = line([[field.left, threshold[0]], ...threshold.map((value, t) => [x(t), value]), [right, last]]);
    element("polyline", { class: "threshold", points }, svg);
    const name = label(svg, right, y(last) - 4, "end", kind.moves && !moved ? "threshold at rest" : "threshold");
    name.setAttribute("class", "threshold-name");
  }
  element("polyline", { class: "membrane", points: line(membrane.map((value, t) => [x(t), value])) }, svg);
  if (steps <= DOTS) membrane.forEach((value, t) => element("circle", { class: "membrane", cx: x(t), cy: y(value), r: 2.5 }, svg));
}
