// The neurons of a population at the current step, as pixels: their spikes, or their membranes.

const shapeNow = () => kinds.get(state.population).shape;
const spikesNow = () => samples[state.sample].spikes[state.population];
const membraneNow = () => samples[state.sample].membrane[state.population];
const absolute = (values) => values.reduce((a, b) => a + Math.abs(b), 0);

// Channels, height and width; whether neurons have a place in a map; and the one channel that is shown, or null for all.
function formNow() {
  const [channels, high, wide] = channelled(shapeNow()), placed = shapeNow().length === 3 && high * wide > 1;
  return { channels, high, wide, plane: high * wide, placed, one: placed && state.channel !== "all" ? Number(state.channel) : null };
}

// How neurons are laid out: all channels side by side, one channel, or neurons without a place in rows.
function layout() {
  const { channels, high, wide, plane, placed, one } = formNow();
  if (!placed) {
    const count = channels * plane, columns = count <= 16 ? count : Math.ceil(Math.sqrt(count));
    return {
      tiles: 1,
      width: columns,
      height: Math.ceil(count / columns),
      index: (x, y) => (y * columns + x < count ? y * columns + x : -1),
      place: (i) => [i % columns, Math.floor(i / columns)],
    };
  }
  const first = one ?? 0, tiles = one === null ? channels : 1;
  const columns = Math.min(tiles, Math.ceil(Math.sqrt(tiles * high / wide))), rows = Math.ceil(tiles / columns);
  return {
    tiles,
    width: columns * (wide + 1) - 1, // a pixel between tiles
    height: rows * (high + 1) - 1,
    index(x, y) {
      const column = Math.floor(x / (wide + 1)), row = Math.floor(y / (high + 1)), tile = row * columns + column;
      const inX = x - column * (wide + 1), inY = y - row * (high + 1);
      return inX < wide && inY < high && tile < tiles ? (first + tile) * plane + inY * wide + inX : -1;
    },
    place(i) {
      const tile = Math.floor(i / plane) - first, inY = Math.floor(i % plane / wide), inX = i % wide;
      if (tile < 0 || tile >= tiles) return null;
      return [tile % columns * (wide + 1) + inX, Math.floor(tile / columns) * (high + 1) + inY];
    },
  };
}

// A parameter of one neuron: one number for all, for each channel, or for each neuron.
function ofNeuron(values, i) {
  if (!values) return null;
  if (values.length === 1) return values[0];
  return values.length === size(shapeNow()) ? values[i] : values[Math.floor(i / formNow().plane)];
}

// How often each neuron fired in this sample.
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
const typical = new WeakMap();
function neuronNow() {
  const entry = spikesNow();
  if (state.neuron !== null || !entry) return state.neuron ?? 0;
  if (!typical.has(entry)) {
    const sum = spikeTotals(entry), firing = sum.filter((count) => count > 0).sort();
    typical.set(entry, firing.length ? sum.indexOf(firing[Math.floor(firing.length / 2)]) : 0);
  }
  return typical.get(entry);
}

function drawNeurons() {
  $("neurons").hidden = !state.population;
  if (!state.population) return;
  const kind = kinds.get(state.population), { channels, placed } = formNow();
  if ($("channel").dataset.of !== state.population) {
    $("channel").dataset.of = state.population;
    const each = Array.from({ length: channels }, (_, c) => new Option(c, c));
    $("channel").replaceChildren(new Option(`all ${channels}`, "all"), ...each);
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
const viewNow = () => (membraneNow() && (state.view === "membrane" || !spikesNow()) ? "membrane" : "spikes");

// Colours of membranes as a share of the threshold: below 0 is blue, above is orange.
const GROUND = [8, 9, 12], SILENT = [38, 42, 51];
const charge = (share) => mixed(SILENT, share < 0 ? OFF : ON, (share < 0 ? 0.55 : 1) * Math.min(Math.abs(share), 1));

function drawNeuronMap(kind) {
  const grid = layout(), canvas = $("neuron-map"), { one } = formNow(), charged = viewNow() === "membrane";
  const { colour, note } = charged ? membranePixels(kind) : spikePixels();
  paint(canvas, grid.width, grid.height, (p) => {
    const i = grid.index(p % grid.width, Math.floor(p / grid.width));
    return i < 0 ? GROUND : colour(i);
  });
  const which = one !== null ? `channel ${one}` : grid.tiles > 1 ? `all ${grid.tiles} channels` : "all neurons";
  const name = `${state.population} at ${named} ${state.step}, ${which}`;
  $("neuron-scale").hidden = !charged;
  $("neuron-map-note").textContent = note;
  $("neuron-map-name").textContent = name;
  const keys = "Arrow keys pick a neuron, Page Up and Page Down change its channel.";
  canvas.setAttribute("aria-label", `${charged ? "Membranes" : "Spikes"} of ${name}. ${note}. ${keys}`);
}

function membranePixels(kind) {
  const entry = membraneNow(), values = numbers(entry), spikes = spikesNow() && numbers(spikesNow());
  const from = state.step * size(kind.shape), most = extremes(entry).most || 1, { threshold } = kind;
  paint($("neuron-bar"), 257, 1, (i) => charge((i - 128) / 128));
  $("neuron-low").textContent = threshold ? "−threshold" : number(-most);
  $("neuron-high").textContent = threshold ? (threshold.length === 1 ? `threshold ${number(threshold[0])}` : "threshold") : number(most);
  return {
    colour: (i) => (spikes?.[from + i] ? WHITE : charge(values[from + i] / (ofNeuron(threshold, i) ?? most))),
    note: spikes ? "membranes; white: fired" : "membranes",
  };
}

function spikePixels() {
  if (!spikesNow()) return { colour: () => SILENT, note: "not in this page" };
  const { channels, plane, one } = formNow(), from = state.step * channels * plane, values = numbers(spikesNow());
  const { low, most } = extremes(spikesNow()), fired = (start, end) => absolute(values.subarray(from + start, from + end));
  const all = fired(0, channels * plane), hue = (value) => (low < 0 ? (value > 0 ? ON : OFF) : WHITE);
  const here = one === null ? 0 : fired(one * plane, (one + 1) * plane);
  return {
    colour: (i) => (values[from + i] ? mixed(SILENT, hue(values[from + i]), Math.sqrt(Math.abs(values[from + i]) / most)) : SILENT),
    note: one === null
      ? `${plural(all, "spike")} of ${plural(channels * plane, "neuron")}`
      : `${plural(here, "spike")} of ${plural(plane, "neuron")}; ${number(all)} in all channels`,
  };
}
