// Spikes per step of each population, and the readout after the current step.

const plot = { left: 46, right: 10, top: 8, bottom: 24 };
const stepX = (step, width) => plot.left + (steps > 1 ? step / (steps - 1) : 0.5) * (width - plot.left - plot.right);

// A round distance between lines, of which there are at most five.
function tickOf(span) {
  const unit = 10 ** Math.floor(Math.log10(span));
  return [0.2, 0.5, 1, 2].map((f) => f * unit).find((t) => span / t <= 5) ?? unit;
}
// Every how many steps there is a label.
function labelled(width) {
  const most = width < 450 ? 6 : 10;
  return [1, 2, 4, 5, 10, 20, 25, 50, 100, 200, 500, 1000].find((n) => (steps - 1) / n <= most) ?? steps;
}

// One line per population, a cursor at the current step.
function drawActivity() {
  const { counts } = samples[state.sample], names = data.populations, chart = $("chart");
  $("activity").hidden = !names.length;
  if (!names.length) return;
  const known = names.every((name) => data.neurons[name] > 0);
  $("activity-unit").textContent = known ? `spikes per neuron and ${named}` : `share of each population's busiest ${named}`;
  const rates = names.map((name) => {
    const divisor = known ? data.neurons[name] : largest(counts[name]) || 1;
    return counts[name].map((count) => count / divisor);
  });
  const top = largest(rates.map(largest)) || 1, tick = tickOf(top), ceiling = Math.ceil(top / tick - 1e-9) * tick;
  const { width, height } = cleared(chart);
  const y = (value) => height - plot.bottom - value / ceiling * (height - plot.top - plot.bottom);
  for (let value = 0; value <= ceiling + tick / 2; value += tick) {
    element("line", { class: "grid", x1: plot.left, x2: width - plot.right, y1: y(value), y2: y(value) }, chart);
    label(chart, plot.left - 7, y(value) + 4, "end", number(Number(value.toPrecision(6))));
  }
  for (let step = 0; step < steps; step += labelled(width)) label(chart, stepX(step, width), height - 6, "middle", step);
  rates.forEach((rate, at) => {
    const points = (steps > 1 ? rate : [rate[0], rate[0]]).map((value, step) =>
      `${(steps > 1 ? stepX(step, width) : step ? width - plot.right : plot.left).toFixed(1)},${y(value).toFixed(1)}`);
    element("polyline", { class: `s${at % 7} d${at % 4}${names[at] === state.layer ? " chosen" : ""}`, points: points.join(" ") }, chart);
  });
  cursor(chart, stepX(state.step, width), plot.top, height - plot.bottom);
  const now = names.map((name) => `${name} ${counts[name][state.step]}`).join(", ");
  chart.setAttribute("aria-label", `Spikes per step of ${names.join(", ")}. At step ${state.step}: ${now}`);
  $("legend").replaceChildren(...names.map((name, at) => {
    const item = made("li", "", name === state.layer ? "chosen" : "");
    const swatch = element("svg", { viewBox: "0 0 30 10", "aria-hidden": "true" }, item);
    element("path", { class: `s${at % 7} d${at % 4}`, d: "M0 5h30", "stroke-width": 3 }, swatch);
    item.append(`${name}: ${plural(counts[name][state.step], "spike")}`);
    return item;
  }));
}

// The class that an output prefers; -1 for none, as in neurosam.signals.answer.
function preferred(row) {
  const high = Math.max(...row);
  return row.length === 1 ? (row[0] ? 0 : -1) : high > Math.min(...row) ? row.indexOf(high) : -1;
}
const answerName = (index) => (index < 0 ? "no answer" : classes[index]);
const rightness = (index, label) => (label === null ? "" : index === label ? "right" : "wrong");
function marked(index, label) {
  return answerName(index) + (label === null ? "" : index === label ? " ✓ right" : ` ✗ wrong, it is ${classes[label]}`);
}

function drawReadout() {
  const { readout, label, prediction } = samples[state.sample], verdict = $("verdict");
  $("readout").hidden = !readout;
  verdict.replaceChildren();
  const say = (text, kind) => verdict.append(made("span", text, kind));
  if (!readout) {
    if (prediction !== null) { say("Prediction: "); say(marked(prediction, label), rightness(prediction, label)); }
    else if (label !== null) say(`Label: ${classes[label]}`);
    return;
  }
  const answers = readout.map(preferred), now = answers[state.step], last = answers[steps - 1];
  let since = steps - 1;
  while (since > 0 && answers[since - 1] === last) since--;
  say(`After ${named} ${state.step} ${now < 0 ? "there is" : "the answer is"} `);
  say(marked(now, label), rightness(now, label));
  const from = since ? `from ${named} ${since} on` : `from the first ${named} on`;
  if (last < 0) say(state.step === steps - 1 ? "." : "; after the last one there is none.");
  else say(state.step === steps - 1 ? `; it holds ${from}.` : `; the last one, ${classes[last]}, holds ${from}.`);
  drawClasses(readout, label, now);
}

function drawClasses(readout, label, now) {
  const low = Math.min(0, ...readout.flat()), high = Math.max(0, ...readout.flat()), span = high - low || 1;
  const order = readout[steps - 1].map((value, i) => [value, i]).sort((a, b) => b[0] - a[0] || a[1] - b[1]).map((pair) => pair[1]);
  const shown = new Set(order.slice(0, 10)), linked = populations.includes(data.output);
  if (label !== null && label < order.length) shown.add(label);
  const what = { count: "spikes up to", mean: "mean membrane up to", max: "largest membrane up to", last: "membrane after" };
  const some = order.length > shown.size ? `; ${shown.size} of ${order.length} classes` : "";
  $("readout-note").textContent = `${what[data.answer] ?? "after"} ${named} ${state.step}${some}`;
  $("classes").replaceChildren(...[...shown].sort((a, b) => a - b).map((i, place) => {
    const value = readout[state.step][i], item = made("li", "", i === now ? "first" : "");
    const name = made(linked ? "button" : "span", classes[i], "name"), track = made("span", "", "track"), fill = made("span", "", "fill");
    name.title = linked ? `${classes[i]}: show this neuron` : classes[i];
    if (linked) {
      name.type = "button";
      name.addEventListener("click", () => { pick(data.output, i); $("classes").children[place].querySelector("button").focus(); });
    }
    if (i === label) name.append(made("em", "label"));
    fill.style.left = `${(Math.min(value, 0) - low) / span * 100}%`;
    fill.style.width = `${Math.abs(value) / span * 100}%`;
    track.append(fill);
    item.append(name, track, made("span", number(value), "value"));
    return item;
  }));
}
