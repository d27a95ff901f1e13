// The input: its image, or its spikes at the current step, and the outline of its mask.

const ON = variable("--on"), OFF = variable("--off"), WHITE = [255, 255, 255]; // on black
const MANY = [0, 1, 2, 3, 5, 6].map((i) => variable(`--on-black-${i}`)); // without white
const channelColours = (count) => (count === 1 ? [WHITE] : count === 2 ? [OFF, ON] : MANY);

// What the input was at the current step: its height and width, and the colour of a pixel.
function inputNow() {
  const { image, frames, spikes } = samples[state.sample];
  if (state.input === "spikes" && inputs.length && has(spikes, inputs[0])) return inputSpikes(spikes[inputs[0]]);
  if (!frames) return { shape: image.shape.slice(1), colour: imageColour(image) };
  const [, ...shape] = frames.shape;
  return { shape: shape.slice(1), colour: imageColour({ at: frames.at + state.step * size(shape), shape }) };
}

function inputSpikes(entry) {
  const [, channels, high, wide] = entry.shape, plane = high * wide, from = state.step * channels * plane;
  const now = numbers(entry).subarray(from, from + channels * plane), colours = channelColours(channels);
  const signed = channels === 1 && extremes(entry).low < 0, most = largest(now.map(Math.abs)) || 1;
  const colour = (i) => {
    const sum = [0, 0, 0];
    for (let c = 0; c < channels; c++) {
      const value = now[c * plane + i];
      if (!value) continue;
      const hue = signed ? (value > 0 ? ON : OFF) : colours[c % colours.length], share = (Math.abs(value) / most) ** 0.6;
      for (let k = 0; k < 3; k++) sum[k] = Math.min(sum[k] + hue[k] * share, 255);
    }
    return sum;
  };
  const count = (test) => now.reduce((a, value) => a + (test(value) ? Math.abs(value) : 0), 0);
  const legend = signed
    ? [[ON, "positive", count((v) => v > 0)], [OFF, "negative", count((v) => v < 0)]]
    : channels === 1 || channels > 6 ? [] : Array.from({ length: channels }, (_, c) => {
      const part = now.subarray(c * plane, (c + 1) * plane), polarity = channels === 2 ? [", off", ", on"][c] : "";
      return [colours[c], `channel ${c}${polarity}`, part.reduce((a, b) => a + Math.abs(b), 0)];
    });
  return { shape: [high, wide], colour, legend, total: count(() => true) };
}

function drawInput() {
  const { frames, name, mask } = samples[state.sample], shown = inputNow(), [high, wide] = shown.shape;
  paint($("input"), wide, high, shown.colour);
  const title = name || `sample ${state.sample}`, what = shown.legend ? plural(shown.total, "spike") + ` at ${named} ${state.step}` : "";
  $("input-note").textContent = what ? `${title}: ${what}` : title;
  $("input-legend").replaceChildren(...(shown.legend ?? []).map(([colour, label, count]) => {
    const item = made("li"), swatch = element("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, item);
    element("rect", { width: 10, height: 10, fill: `rgb(${colour})` }, swatch);
    item.append(`${label}: ${number(count)}`);
    return item;
  }));
  const kind = shown.legend ? `spikes at ${named} ${state.step}` : frames ? "events" : "image";
  $("input").setAttribute("aria-label", `Input ${kind} of sample ${state.sample}, ${high} by ${wide} pixels${mask ? ", with a mask" : ""}`);
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
