// One neuron: its membrane over the steps, its threshold, its reset and its spikes.

const field = { left: 62, right: 10, top: 6, bottom: 22 };
const fieldX = (step, width) => field.left + (step + 0.5) / steps * (width - field.left - field.right); // below its column of the raster
const DOTS = 64; // most steps that have a dot each

// Name of a neuron: where it is, and its flat index.
function neuronName(population, i) {
  const { shape } = kinds.get(population), [, high, wide] = channelled(shape);
  const label = population === data.output && i < classes.length ? ` (class ${classes[i]})` : "";
  if (shape.length === 1) return `${population}, neuron ${i}${label}`;
  return `${population}, channel ${Math.floor(i / (high * wide))}, row ${Math.floor(i % (high * wide) / wide)}, column ${i % wide} (neuron ${i})${label}`;
}

function drawTrace(kind) {
  const i = neuronNow(), count = size(kind.shape), entry = membraneNow(), fired = spikesNow();
  const over = (e) => Array.from({ length: steps }, (_, t) => numbers(e)[t * count + i]);
  const membrane = entry ? over(entry) : null, spikes = fired ? over(fired) : null;
  const moved = samples[state.sample].threshold[state.population], base = ofNeuron(kind.threshold, i);
  const threshold = moved ? over(moved) : base === null ? null : Array(steps).fill(base), amount = ofNeuron(kind.amount, i);
  $("trace-name").textContent = neuronName(state.population, i);
  $("trace-hint").textContent = state.neuron === null ? "fires as often as half of those that fire; click a map or the raster to pick another" : "";
  $("trace-facts").textContent = facts(kind, base, amount, entry, moved);
  $("trace-now").textContent = present(membrane, spikes, threshold);
  $("trace-spikes").textContent = spikes ? listed(spikes) : "";
  const missing = !entry && kind.role !== "input";
  $("trace-left-out").hidden = !missing;
  $("trace-left-out").replaceChildren(...(missing ? leftOut() : []));
  plotTrace(kind, membrane, spikes, threshold, amount, moved);
}

function facts(kind, threshold, amount, entry, moved) {
  if (kind.role === "input") return "An input: it has spikes, and no membrane.";
  if (kind.role === "readout") return `A readout: it integrates and never fires. Membrane in ${kind.unit}.`;
  const parts = [];
  if (threshold !== null) parts.push(`threshold ${number(threshold)}${kind.moves ? ` at rest, and spikes raise it for a while${moved ? "" : ", which is not drawn"}` : ""}, fires ${kind.at ? "at or above it" : "above it"}`);
  if (kind.reset) parts.push(kind.reset + (amount === null ? "" : ` ${number(amount)}`));
  if (kind.note) parts.push(kind.note);
  if (entry && kind.unit) parts.push(`membrane after the step, in ${kind.unit}`);
  const text = parts.join("; ");
  return text && text[0].toUpperCase() + text.slice(1) + ".";
}

function present(membrane, spikes, threshold) {
  const t = state.step, parts = [];
  if (membrane) parts.push(`membrane ${number(membrane[t])}` + (threshold ? ` (${number(Math.round(membrane[t] / threshold[t] * 100))} % of the threshold${threshold.some((value) => value !== threshold[0]) ? `, now ${number(threshold[t])}` : ""})` : ""));
  if (spikes) parts.push(spikes[t] === 0 ? "no spike" : spikes[t] === 1 ? "fires" : `value ${number(spikes[t])}`);
  return parts.length ? `At ${named} ${t}: ${parts.join(", ")}.` : "";
}

function listed(spikes) {
  const at = spikes.flatMap((value, t) => (value ? [t] : [])), shown = at.slice(0, 24);
  if (at.length === steps && steps > 1) return `Fires at every ${named}.`;
  if (!at.length) return "It never fires in this sample.";
  return `Fires at ${named}${at.length > 1 ? "s" : ""} ${shown.join(", ")}${at.length > shown.length ? ` and ${at.length - shown.length} more` : ""}.`;
}

function leftOut() {
  const some = samples.some((sample) => Object.keys(sample.membrane).length);
  if (!some) return ["Membranes were not recorded."];
  const text = `This membrane was left out to keep the page small, which has room for ${number(data.membrane_mb)} MB of them; all are kept with `;
  return [text, made("code", `neurosam explain --membrane-mb ${data.needed_mb}`), "."];
}

function plotTrace(kind, membrane, spikes, threshold, amount, moved) {
  $("trace").classList.toggle("flat", !membrane);
  const svg = $("trace"), width = Math.max(svg.clientWidth, 200), height = Math.max(svg.clientHeight, 100);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  const before = (t) => (membrane && kind.jump && spikes?.[t] ? membrane[t] + spikes[t] * amount : null); // at which it fired
  const values = membrane ? [0, ...membrane, ...membrane.map((_, t) => before(t) ?? 0), ...(threshold ?? [])] : [0, 1];
  const low = Math.min(...values), high = Math.max(...values), span = high - low || 1, pad = membrane ? 0.08 * span : 0;
  const strip = spikes ? 16 : 0; // for the spikes, above the membrane
  const y = (value) => field.top + strip + (high + pad - value) / (span + 2 * pad) * (height - field.top - field.bottom - strip);
  const x = (t) => fieldX(t, width), across = { x1: field.left, x2: width - field.right };
  if (membrane) {
    const tick = tickOf(span);
    for (let value = Math.ceil(low / tick) * tick; value <= high + tick * 1e-6; value += tick) {
      element("line", { ...across, class: "grid", y1: y(value), y2: y(value) }, svg);
      element("text", { x: field.left - 7, y: y(value) + 4, "text-anchor": "end" }, svg).textContent = number(Number(value.toPrecision(6)));
    }
  }
  for (let t = 0; t < steps; t += labelled(width)) {
    element("text", { x: x(t), y: height - 5, "text-anchor": "middle" }, svg).textContent = t;
  }
  if (spikes) {
    element("text", { x: field.left - 7, y: field.top + 10, "text-anchor": "end" }, svg).textContent = kind.role === "input" ? "events" : "spikes";
    spikes.forEach((value, t) => {
      if (!value) return;
      element("path", { class: "spike", d: `M${x(t)} ${field.top}v11` }, svg);
      if (membrane) element("path", { class: "jump", d: `M${x(t)} ${y(before(t) ?? Math.max(threshold?.[t] ?? high, membrane[t]))}V${y(membrane[t])}` }, svg);
    });
  }
  if (membrane) {
    if (threshold) {
      const ends = [[field.left, threshold[0]], ...threshold.map((value, t) => [x(t), value]), [width - field.right, threshold[steps - 1]]];
      element("polyline", { class: "threshold", points: ends.map(([at, value]) => `${at.toFixed(1)},${y(value).toFixed(1)}`).join(" ") }, svg);
      const name = kind.moves && !moved ? "threshold at rest" : "threshold";
      element("text", { class: "threshold-name", x: width - field.right, y: y(threshold[steps - 1]) - 4, "text-anchor": "end" }, svg).textContent = name;
    }
    element("polyline", { class: "membrane", points: membrane.map((value, t) => `${x(t).toFixed(1)},${y(value).toFixed(1)}`).join(" ") }, svg);
    if (steps <= DOTS) membrane.forEach((value, t) => element("circle", { class: "membrane", cx: x(t), cy: y(value), r: 2.5 }, svg));
  }
  element("line", { class: "cursor", x1: x(state.step), x2: x(state.step), y1: field.top, y2: height - field.bottom }, svg);
  svg.setAttribute("aria-label", [$("trace-name").textContent, $("trace-facts").textContent, $("trace-now").textContent, $("trace-spikes").textContent].filter(Boolean).join(". "));
}
