// The neurons of a population: all of them at the current step, and their spikes over time; clicking picks one.

const shapeNow = () => kinds.get(state.population).shape;
const spikesNow = () => samples[state.sample].spikes[state.population];
const membraneNow = () => samples[state.sample].membrane[state.population];

// How neurons are laid out as pixels: all channels side by side, one channel, or neurons without a place in rows.
function layout() {
  const [channels, high, wide] = channelled(shapeNow()), plane = high * wide, all = state.channel === "all";
  if (high * wide === 1 || shapeNow().length === 1) {
    const count = channels * plane, columns = count <= 16 ? count : Math.ceil(Math.sqrt(count));
    const index = (x, y) => (x < columns && y * columns + x < count ? y * columns + x : -1);
    return { width: columns, height: Math.ceil(count / columns), index, place: (i) => [i % columns, Math.floor(i / columns)], tiles: 1 };
  }
  const first = all ? 0 : Number(state.channel), tiles = all ? channels : 1;
  const columns = Math.min(tiles, Math.ceil(Math.sqrt(tiles * high / wide))), rows = Math.ceil(tiles / columns);
  return {
    width: columns * (wide + 1) - 1,
    height: rows * (high + 1) - 1,
    index(x, y) {
      const column = Math.floor(x / (wide + 1)), row = Math.floor(y / (high + 1)), tile = row * columns + column;
      const inX = x - column * (wide + 1), inY = y - row * (high + 1);
      return inX < wide && inY < high && tile < tiles ? (first + tile) * plane + inY * wide + inX : -1;
    },
    place(i) {
      const tile = Math.floor(i / plane) - first, inY = Math.floor(i % plane / wide), inX = i % wide;
      return tile < 0 || tile >= tiles ? null : [tile % columns * (wide + 1) + inX, Math.floor(tile / columns) * (high + 1) + inY];
    },
    tiles,
  };
}

// A parameter of one neuron: one number for all, for each channel, or for each neuron.
function ofNeuron(values, i) {
  if (!values) return null;
  const [channels, high, wide] = channelled(shapeNow()), by = shapeNow().length === 1 ? 1 : high * wide;
  return values.length === 1 ? values[0] : values.length === channels * high * wide ? values[i] : values[Math.floor(i / by)];
}

// What is known of every neuron of the population in this sample: how often each fired.
const totals = new WeakMap();
function spikeTotals(entry) {
  if (!totals.has(entry)) {
    const values = numbers(entry), count = values.length / steps, sum = new Int32Array(count);
    for (let i = 0; i < values.length; i++) sum[i % count] += Math.abs(values[i]);
    totals.set(entry, sum);
  }
  return totals.get(entry);
}

// The neuron that is shown: the picked one, or a typical one, which fires as often as the median of those that fire.
function neuronNow() {
  if (!state.population) return null;
  if (state.neuron !== null) return state.neuron;
  const sum = spikesNow() ? spikeTotals(spikesNow()) : [], firing = [...sum].filter((count) => count > 0).sort((a, b) => a - b);
  return firing.length ? sum.indexOf(firing[Math.floor(firing.length / 2)]) : 0;
}

function drawNeurons() {
  $("neurons").hidden = !state.population;
  if (!state.population) return;
  const kind = kinds.get(state.population), [channels, high, wide] = channelled(kind.shape), placed = kind.shape.length === 3 && high * wide > 1;
  if ($("channel").dataset.of !== state.population) {
    $("channel").dataset.of = state.population;
    $("channel").replaceChildren(new Option(`all ${channels}`, "all"), ...Array.from({ length: channels }, (_, c) => new Option(c, c)));
  }
  if (!placed || channels === 1) state.channel = "all";
  $("channel").closest("label").hidden = !placed || channels === 1;
  $("view").querySelector("[value=membrane]").disabled = !membraneNow();
  $("view").querySelector("[value=spikes]").disabled = !spikesNow();
  $("population").value = state.population;
  $("channel").value = state.channel;
  $("view").value = viewNow();
  drawNeuronMap(kind);
  drawRaster();
  drawTrace(kind);
  drawMarks();
}

// What can be shown may differ between samples and populations, and then the other is shown.
const viewNow = () => (state.view === "membrane" ? membraneNow() : !spikesNow() && membraneNow()) ? "membrane" : "spikes";

// Colours of spikes and of membranes, as a share of the threshold: below 0 is blue, above is orange.
const GROUND = [8, 9, 12], SILENT = [38, 42, 51];
const charge = (share) => mixed(SILENT, share < 0 ? OFF : ON, (share < 0 ? 0.55 : 1) * Math.min(Math.abs(share), 1));

function drawNeuronMap(kind) {
  const grid = layout(), canvas = $("neuron-map"), count = size(kind.shape), from = state.step * count, view = viewNow();
  const spikes = spikesNow() && numbers(spikesNow());
  let colour, low = "0", high = "1", note = "";
  if (view === "membrane") {
    const values = numbers(membraneNow()), most = extremes(membraneNow()).most || 1;
    const one = kind.threshold && kind.threshold.length === 1 ? kind.threshold[0] : null;
    colour = (i) => {
      if (spikes?.[from + i]) return WHITE;
      return charge(values[from + i] / (kind.threshold ? ofNeuron(kind.threshold, i) : most));
    };
    [low, high] = kind.threshold ? ["−threshold", one === null ? "threshold" : `threshold ${number(one)}`] : [number(-most), number(most)];
    note = spikes ? "white: fired" : "";
    paint($("neuron-bar"), 257, 1, (i) => charge((i - 128) / 128));
  } else {
    const { low: least, most } = spikes ? extremes(spikesNow()) : { low: 0, most: 1 }, signed = least < 0;
    colour = (i) => {
      const value = spikes ? spikes[from + i] : 0;
      return value ? mixed(SILENT, signed ? (value > 0 ? ON : OFF) : WHITE, Math.sqrt(Math.abs(value) / most)) : SILENT;
    };
    const one = state.channel === "all" ? null : Number(state.channel), plane = count / channelled(kind.shape)[0];
    const fired = (start, end) => spikes.subarray(from + start, from + end).reduce((a, b) => a + Math.abs(b), 0);
    if (!spikes) note = "not in this page";
    else if (one === null) note = `${plural(fired(0, count), "spike")} of ${plural(count, "neuron")}`;
    else note = `${plural(fired(one * plane, (one + 1) * plane), "spike")} of ${plural(plane, "neuron")}; ${number(fired(0, count))} in all channels`;
  }
  paint(canvas, grid.width, grid.height, (p) => {
    const i = grid.index(p % grid.width, Math.floor(p / grid.width));
    return i < 0 ? GROUND : colour(i);
  });
  $("neuron-scale").hidden = view !== "membrane";
  $("neuron-low").textContent = low;
  $("neuron-high").textContent = high;
  $("neuron-map-note").textContent = [view === "membrane" ? "membranes" : "", note].filter(Boolean).join("; ");
  const which = state.channel === "all" ? (grid.tiles > 1 ? `all ${grid.tiles} channels` : "all neurons") : `channel ${state.channel}`;
  $("neuron-map-name").textContent = `${state.population} at ${named} ${state.step}, ${which}`;
  canvas.setAttribute("aria-label", `${view === "membrane" ? "Membranes" : "Spikes"} of ${state.population} at ${named} ${state.step}, ${which}. ${note}. Arrow keys pick a neuron, Page Up and Page Down change its channel.`);
}

// The raster: one row for each neuron, or for neighbours of a channel where there are too many, shaded by their share.
const ROWS = 400;
function rasterRows() {
  const [channels, high, wide] = channelled(shapeNow()), plane = high * wide, groups = plane > 1 && shapeNow().length === 3 ? channels : 1;
  const each = size(shapeNow()) / groups, first = state.channel === "all" ? 0 : Number(state.channel), shown = state.channel === "all" ? groups : 1;
  const bundle = Math.min(each, Math.ceil(shown * each / ROWS)), lines = Math.ceil(each / bundle);
  return {
    first: first * each, groups: shown, each, bundle, lines, rows: shown * lines,
    row: (i) => Math.floor((i - first * each) / each) * lines + Math.floor((i - first * each) % each / bundle),
    start: (row) => first * each + Math.floor(row / lines) * each + row % lines * bundle,
    end: (row) => Math.min(first * each + Math.floor(row / lines) * each + (row % lines + 1) * bundle, first * each + (Math.floor(row / lines) + 1) * each),
  };
}

function drawRaster() {
  const entry = spikesNow(), place = rasterRows(), canvas = $("raster"), count = size(shapeNow());
  $("raster-figure").hidden = !entry;
  if (!entry) return;
  const key = [state.sample, state.population, state.channel, matchMedia("(prefers-color-scheme: dark)").matches].join(" ");
  if (canvas.dataset.of !== key) {
    canvas.dataset.of = key;
    const values = numbers(entry), share = new Float64Array(place.rows * steps), panel = variable("--panel"), ink = variable("--ink");
    for (let row = 0; row < place.rows; row++) {
      const start = place.start(row), end = place.end(row);
      for (let t = 0; t < steps; t++) {
        for (let i = start; i < end; i++) if (values[t * count + i]) share[row * steps + t]++;
        share[row * steps + t] /= end - start;
      }
    }
    const most = largest(share) || 1;
    paint(canvas, steps, place.rows, (p) => mixed(panel, ink, Math.sqrt(share[p] / most)));
  }
  const total = spikeTotals(entry).reduce((a, b) => a + b, 0);
  $("raster-note").textContent = `${plural(total, "spike")} in ${plural(steps, named)}` + (place.bundle > 1 ? `; a row is ${place.bundle} neurons, darker where more of them fired` : "");
  canvas.setAttribute("aria-label", `Spikes of ${state.population} over ${steps} ${named}s: ${number(total)}. Up and down pick a neuron.`);
  drawRasterAxes(place);
}

// A round distance between labels, of which there is room for some.
const tickOfWhole = (count, room) => [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((n) => count / n <= room) ?? count;

function drawRasterAxes(place) {
  const svg = $("raster-axes"), width = Math.max(svg.clientWidth, 200), height = Math.max(svg.clientHeight, 100), inner = height - field.top - field.bottom;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  // Beside the rows: the channels; of one channel, the rows of its map; the neurons where there is neither.
  const [, high, wide] = channelled(shapeNow()), one = state.channel !== "all" || (place.groups === 1 && high > 1);
  const parts = one ? high : place.groups > 1 ? place.groups : place.each, stride = tickOfWhole(parts, inner / 16);
  for (let part = 0; part < parts; part++) {
    const centre = field.top + (part + 0.5) / parts * inner, border = field.top + part / parts * inner;
    if (part % stride === 0) element("text", { x: field.left - 7, y: centre + 4, "text-anchor": "end" }, svg).textContent = part;
    if (part && place.groups > 1 && inner / parts >= 5) element("line", { class: "grid", x1: field.left, x2: width - field.right, y1: border, y2: border }, svg);
  }
  const what = one ? (state.channel === "all" ? "row" : `row of channel ${state.channel}`) : place.groups > 1 ? "channel" : "neuron";
  element("text", { x: 12, y: field.top + inner / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${field.top + inner / 2})` }, svg).textContent = what;
  const i = neuronNow(), row = place.row(i), tall = inner / place.rows;
  if (row >= 0 && row < place.rows) {
    element("rect", { class: "mark", x: field.left, y: field.top + row * tall - 1, width: width - field.left - field.right, height: Math.max(tall, 1) + 2 }, svg);
  }
  const x = fieldX(state.step, width);
  element("line", { class: "cursor", x1: x, x2: x, y1: field.top, y2: height - field.bottom }, svg);
}

// The picked neuron's place on the maps.
function drawMarks() {
  const i = neuronNow(), [, high, wide] = channelled(shapeNow()), here = state.population === state.layer && shapeNow().length === 3;
  const spot = here ? [i % wide / wide, Math.floor(i % (high * wide) / wide) / high, 1 / wide, 1 / high] : null;
  const grid = layout(), at = grid.place(i), own = at && [at[0] / grid.width, at[1] / grid.height, 1 / grid.width, 1 / grid.height];
  for (const [id, place] of [["map", spot], ["overlay", spot], ["beside", spot], ["neuron-map", own]]) {
    const svg = $(id).parentElement.querySelector(".spot");
    svg.replaceChildren();
    if (!place) continue;
    const box = Object.fromEntries(["x", "y", "width", "height"].map((key, k) => [key, place[k] * 1000]));
    for (const kind of ["under", "over"]) element("rect", { ...box, class: kind }, svg);
  }
}

// Picking.
function pick(population, neuron) {
  const [, high, wide] = channelled(kinds.get(population).shape), channel = Math.floor(neuron / (high * wide));
  const follows = population === state.population && state.channel !== "all" && Number(state.channel) !== channel;
  set({ population, neuron, channel: population === state.population ? (follows ? String(channel) : state.channel) : "all" });
}

// A neuron at a place of the map: of the chosen channel, else of the one that fires most there.
function pickPlace(row, column) {
  if (!populations.includes(state.layer)) return;
  const [channels, high, wide] = kinds.get(state.layer).shape, entry = samples[state.sample].spikes[state.layer], at = row * wide + column;
  let channel = 0;
  if (state.population === state.layer && state.channel !== "all") channel = Number(state.channel);
  else if (entry) {
    const here = Array.from({ length: channels }, (_, c) => spikeTotals(entry)[c * high * wide + at]);
    channel = here.indexOf(largest(here));
  }
  pick(state.layer, channel * high * wide + at);
}

// Moves the picked neuron inside its channel, or to another channel.
function move(down, right, channelsOn) {
  const [channels, high, wide] = channelled(shapeNow()), i = neuronNow(), plane = high * wide, within = (x, most) => Math.min(Math.max(x, 0), most - 1);
  if (plane === 1 || shapeNow().length === 1) {
    const { width } = layout(), to = i + down * width + right + channelsOn;
    pick(state.population, to >= 0 && to < channels * plane ? to : i);
    return;
  }
  const y = within(Math.floor(i % plane / wide) + down, high), x = within(i % wide + right, wide), c = within(Math.floor(i / plane) + channelsOn, channels);
  pick(state.population, c * plane + y * wide + x);
}

// Another channel takes the picked neuron along, to the same place.
function showChannel(channel) {
  const [, high, wide] = channelled(shapeNow()), plane = high * wide, moves = channel !== "all" && state.neuron !== null;
  set({ channel, neuron: moves ? Number(channel) * plane + state.neuron % plane : state.neuron });
}

function nextChannel(by) {
  const [channels] = channelled(shapeNow()), at = state.channel === "all" ? 0 : Number(state.channel) + 1, to = (at + by + channels + 1) % (channels + 1);
  if (!$("channel").closest("label").hidden) showChannel(to ? String(to - 1) : "all");
}
