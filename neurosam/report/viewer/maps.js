// Spike activation maps: alone, on the input, and beside those of another run.

// Sums over the steps so far.
const sums = new WeakMap();
function running(map) {
  if (!sums.has(map)) {
    const raw = bytes(map), plane = raw.length / steps, total = new Float64Array(raw.length);
    for (let i = 0; i < raw.length; i++) {
      total[i] = raw[i] / 255 * map.peaks[Math.floor(i / plane)] + (i < plane ? 0 : total[i - plane]);
    }
    sums.set(map, total);
  }
  return sums.get(map);
}

// What is shown of a map: its values, in the maps' unit, and the largest over all steps.
function picture(map) {
  const [, height, width] = map.shape, plane = height * width;
  if (state.show === "step") {
    const now = bytes(map).subarray(state.step * plane, (state.step + 1) * plane);
    const values = Float64Array.from(now, (v) => v / 255 * map.peaks[state.step]);
    return { values, peak: largest(map.peaks), height, width };
  }
  const total = running(map), at = state.show === "all" ? steps - 1 : state.step;
  const values = total.subarray(at * plane, (at + 1) * plane);
  return { values, peak: largest(total.subarray((steps - 1) * plane)), height, width };
}

function drawMaps() {
  const sample = samples[state.sample], image = inputNow(), [high, wide] = image.shape, table = lookup[state.colours];
  const other = sample.beside?.maps[state.layer], shown = picture(sample.maps[state.layer]), second = other && picture(other);
  // One scale for both, so that they can be compared.
  const top = state.scale === "own" ? largest(shown.values) : Math.max(shown.peak, second?.peak ?? 0);
  const scale = top > 0 ? 1 / top : 0;
  paint($("map"), shown.width, shown.height, (i) => shade(table, shown.values[i] * scale));
  const times = Math.max(1, Math.ceil(384 / wide)), columns = wide * times;
  const heat = resized(shown, high * times, columns, state.smooth === "1"), opacity = Number(state.opacity) / 100;
  paint($("overlay"), columns, high * times, (i) => {
    const y = Math.floor(i / columns), x = i - y * columns, share = heat[i] * scale;
    const base = image.colour(Math.floor(y / times) * wide + Math.floor(x / times));
    const alpha = state.colours === "jet" ? opacity : opacity * Math.sqrt(Math.min(share, 1)); // jet: uniform, as in the paper
    return shade(table, share).map((value, c) => base[c] + alpha * (value - base[c]));
  });
  paint($("bar"), 256, 1, (i) => shade(table, i / 255));
  const what = {
    step: `at ${named} ${state.step}`, "so-far": `summed over ${named}s 0 to ${state.step}`, all: `summed over all ${named}s`,
  }[state.show];
  $("bar-top").textContent = number(top);
  $("unit").textContent = data.unit;
  $("map-note").textContent = `${shown.height} × ${shown.width}${second ? ", this network" : ""}`;
  $("overlay-note").textContent = `${state.layer} ${what}`;
  $("empty").textContent = shown.values.some((value) => value > 0) ? "" : reason(what);
  const keys = populations.includes(state.layer) ? ". Arrow keys pick a neuron" : "";
  $("map").setAttribute("aria-label", `Map of ${state.layer} ${what}; largest value ${number(largest(shown.values))}${keys}`);
  $("overlay").setAttribute("aria-label", `Input of sample ${state.sample} under the map of ${state.layer} ${what}${keys}`);
  drawBeside(sample.beside, shown, second, table, scale, what);
}

// Why a map is empty.
function reason(what) {
  const spikes = samples[state.sample].counts[state.layer], last = state.show === "all" ? steps - 1 : state.step;
  const fired = spikes?.slice(state.show === "step" ? last : 0, last + 1).reduce((a, b) => a + b, 0);
  if (fired === 0) return `Empty: no neuron of ${state.layer} fired ${what}.`;
  if (data.modes[state.layer] !== "strict") return `Empty: nothing of ${state.layer} scored ${what}.`;
  const first = state.step === 0 && state.show !== "all" && !windows;
  const though = fired ? `, though ${state.layer} fired ${plural(fired, "spike")}` : "";
  return `Empty${though}: in strict mode a spike scores by the earlier spikes of its neuron alone, `
    + (first ? "and at the first step there are none." : "and these neurons had none before, or so long ago that they have faded.");
}

// The map of the other run, its answer, and how alike both maps are.
function drawBeside(beside, shown, second, table, scale, what) {
  for (const node of document.querySelectorAll(".beside")) node.hidden = !second;
  document.querySelector(".stage").classList.toggle("four", Boolean(second));
  if (!second) return;
  const own = state.scale === "own" ? 1 / (largest(second.values) || 1) : scale;
  paint($("beside"), second.width, second.height, (i) => shade(table, second.values[i] * own));
  const alike = correlation(shown.values, second.values), parts = [];
  if (beside.prediction !== null) parts.push(`answers ${answerName(beside.prediction)}`);
  parts.push(alike === null ? "no correlation, since a map is uniform" : `correlation of the maps ${number(Number(alike.toFixed(3)))}`);
  $("beside-name").textContent = beside.name;
  $("beside-note").textContent = parts.join("; ");
  $("beside").setAttribute("aria-label", `Map of ${state.layer} of ${beside.name} ${what}; ${parts.join("; ")}`);
}

// Pearson's correlation of two maps; null if one of them is the same everywhere.
function correlation(a, b) {
  const mean = (x) => x.reduce((sum, value) => sum + value, 0) / x.length, am = mean(a), bm = mean(b);
  let ab = 0, aa = 0, bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += (a[i] - am) * (b[i] - bm);
    aa += (a[i] - am) ** 2;
    bb += (b[i] - bm) ** 2;
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : null;
}
