// Which neuron is picked: by its place in a map, by a move to a neighbour, by its channel; and where it is marked.

function pick(population, neuron) {
  const same = population === state.population, [, high, wide] = channelled(kinds.get(population).shape);
  const channel = String(Math.floor(neuron / (high * wide)));
  set({ population, neuron, channel: !same || state.channel === "all" ? "all" : channel });
}

// A neuron at a place of the map: of the chosen channel, else of the one that fires most there.
function pickPlace(row, column) {
  if (!populations.includes(state.layer)) return;
  const [channels, high, wide] = kinds.get(state.layer).shape, entry = samples[state.sample].spikes[state.layer];
  const at = (channel) => (channel * high + row) * wide + column;
  let channel = 0;
  if (state.population === state.layer && state.channel !== "all") channel = Number(state.channel);
  else if (entry) {
    const here = Array.from({ length: channels }, (_, c) => spikeTotals(entry)[at(c)]);
    channel = here.indexOf(largest(here));
  }
  pick(state.layer, at(channel));
}

// Moves inside the channel, or to another channel; neurons without a place move along their rows.
function move(down, right, onwards) {
  const { channels, high, wide, plane, placed } = formNow(), i = neuronNow(), most = channels * plane;
  if (!placed) {
    const to = i + down * layout().width + right + onwards;
    pick(state.population, to >= 0 && to < most ? to : i);
    return;
  }
  const within = (x, count) => Math.min(Math.max(x, 0), count - 1);
  const row = within(Math.floor(i % plane / wide) + down, high), column = within(i % wide + right, wide);
  pick(state.population, (within(Math.floor(i / plane) + onwards, channels) * high + row) * wide + column);
}

// Another channel takes the picked neuron along, to the same place.
function showChannel(channel) {
  const { plane } = formNow(), moves = channel !== "all" && state.neuron !== null;
  set({ channel, neuron: moves ? Number(channel) * plane + state.neuron % plane : state.neuron });
}

function nextChannel(by) {
  if ($("channel").closest("label").hidden) return;
  const choices = [...$("channel").options].map((option) => option.value), at = choices.indexOf(state.channel);
  showChannel(choices[(at + by + choices.length) % choices.length]);
}

// Boxes around the neuron's pixel, on the maps of its layer and among its neighbours.
function drawMarks() {
  const i = neuronNow(), { high, wide, plane, placed } = formNow(), grid = layout(), at = grid.place(i);
  const inLayer = placed && state.population === state.layer;
  const spot = inLayer && { x: i % wide / wide, y: Math.floor(i % plane / wide) / high, width: 1 / wide, height: 1 / high };
  const own = at && { x: at[0] / grid.width, y: at[1] / grid.height, width: 1 / grid.width, height: 1 / grid.height };
  for (const [id, place] of [["map", spot], ["overlay", spot], ["beside", spot], ["neuron-map", own]]) {
    const svg = $(id).parentElement.querySelector(".spot");
    svg.replaceChildren();
    if (!place) continue;
    const box = Object.fromEntries(Object.entries(place).map(([key, share]) => [key, 1000 * share]));
    for (const kind of ["under", "over"]) element("rect", { ...box, class: kind }, svg);
  }
}
