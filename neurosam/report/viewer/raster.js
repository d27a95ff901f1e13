// The spikes of a population over the steps: a row for each neuron, or for neighbours of a channel where there are too
// many, shaded by the share of them that fired.

const ROWS = 400; // most rows
const field = { left: 62, right: 10, top: 6, bottom: 22 }; // around the raster and the trace below it
const fieldX = (step, width) => field.left + (step + 0.5) / steps * (width - field.left - field.right);

function rasterRows() {
  const { channels, plane, placed, one } = formNow(), groups = placed && one === null ? channels : 1;
  const each = placed ? plane : channels * plane, first = (one ?? 0) * each; // neurons of a group, and the first one
  const bundle = Math.min(each, Math.ceil(groups * each / ROWS)), lines = Math.ceil(each / bundle);
  const groupAt = (row) => first + Math.floor(row / lines) * each;
  return {
    groups, each, bundle, rows: groups * lines,
    row: (i) => Math.floor((i - first) / each) * lines + Math.floor((i - first) % each / bundle),
    start: (row) => groupAt(row) + row % lines * bundle,
    end: (row) => groupAt(row) + Math.min((row % lines + 1) * bundle, each),
  };
}

function drawRaster() {
  const entry = spikesNow(), place = rasterRows(), canvas = $("raster");
  $("raster-figure").hidden = !entry;
  if (!entry) return;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches, drawn = [state.sample, state.population, state.channel, dark].join(" ");
  if (canvas.dataset.of !== drawn) {
    canvas.dataset.of = drawn;
    const share = shares(entry, place), most = largest(share) || 1, panel = variable("--panel"), ink = variable("--ink");
    paint(canvas, steps, place.rows, (p) => mixed(panel, ink, Math.sqrt(share[p] / most)));
  }
  const total = number(absolute(spikeTotals(entry))), shared = `; a row is ${place.bundle} neurons, darker where more of them fired`;
  $("raster-note").textContent = `${total} spikes in ${plural(steps, named)}${place.bundle > 1 ? shared : ""}`;
  canvas.setAttribute("aria-label", `Spikes of ${state.population} over ${steps} ${named}s: ${total}. Up and down pick a neuron.`);
  drawRasterAxes(place);
}

// The share of a row's neurons that fire at each step.
function shares(entry, place) {
  const values = numbers(entry), count = values.length / steps, share = new Float64Array(place.rows * steps);
  for (let row = 0; row < place.rows; row++) {
    const start = place.start(row), end = place.end(row);
    for (let t = 0; t < steps; t++) {
      for (let i = start; i < end; i++) if (values[t * count + i]) share[row * steps + t]++;
      share[row * steps + t] /= end - start;
    }
  }
  return share;
}

// A round distance between labels, of which there is room for some.
const everyWhole = (count, room) => [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((n) => count / n <= room) ?? count;

function drawRasterAxes(place) {
  const svg = $("raster-axes"), { width, height } = cleared(svg), inner = height - field.top - field.bottom;
  // Beside the rows: the channels; of one channel, the rows of its map; the neurons where there is neither.
  const { high, placed, one } = formNow(), of = !placed ? "neuron" : place.groups > 1 ? "channel" : "row";
  const parts = { neuron: place.each, channel: place.groups, row: high }[of], y = (part) => field.top + part / parts * inner;
  for (let part = 0; part < parts; part += everyWhole(parts, inner / 16)) label(svg, field.left - 7, y(part + 0.5) + 4, "end", part);
  if (of === "channel" && inner / parts >= 5) {
    const across = { class: "grid", x1: field.left, x2: width - field.right };
    for (let part = 1; part < parts; part++) element("line", { ...across, y1: y(part), y2: y(part) }, svg);
  }
  const title = label(svg, 12, field.top + inner / 2, "middle", one === null ? of : `row of channel ${one}`);
  title.setAttribute("transform", `rotate(-90 12 ${field.top + inner / 2})`);
  const row = place.row(neuronNow()), tall = inner / place.rows, box = { x: field.left, width: width - field.left - field.right };
  if (row >= 0 && row < place.rows) {
    element("rect", { ...box, class: "mark", y: field.top + row * tall - 1, height: Math.max(tall, 1) + 2 }, svg);
  }
  cursor(svg, fieldX(state.step, width), field.top, height - field.bottom);
}
