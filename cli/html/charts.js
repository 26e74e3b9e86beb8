// The run as a strip, predicted against measured times, and the roofline.

function showStrip(panel) {
  const width = 1400, height = 54;
  const picture = svg("svg", {class: "strip", viewBox: `0 0 ${width} ${height}`, width: "100%"});
  let x = 0;
  for (const c of commands) {
    const w = totalTime > 0 ? c.time / totalTime * width : 0;
    if (w > 0) {
      picture.append(tooltip(svg("rect", {class: "c-" + c.family, x, y: 0, width: w, height: 40, onclick: () => choice.set(c.index)}), () => summaryOf(c)));
      if (w > 46) picture.append(svg("text", {x: x + 5, y: 24, "pointer-events": "none", style: "fill:#fff;font-size:11px"}, shorten(brief(c), Math.floor(w / 6.4))));
    }
    x += w;
  }
  for (let i = 0; i <= 4; ++i)
    picture.append(svg("text", {class: "muted", x: width * i / 4, y: 53, "text-anchor": i === 0 ? "start" : i === 4 ? "end" : "middle"}, seconds(totalTime * i / 4)));
  panel.append(el("div", {class: "bar"}, el("b", {}, measured ? `One run: ${seconds(totalTime)}` : `One run, predicted: ${seconds(totalTime)}`), el("span", {class: "space"}), familyLegend()), picture);
}

// A plot with logarithmic axes. points: {x, y, command, radius?, hollow?, text?}; draw(px, py) adds what is special to it.
function logPlot({points, xTitle, yTitle, xText, yText, xRange, yRange, draw}) {
  const width = 640, height = 400, left = 66, right = 14, top = 12, bottom = 46;
  const range = (values, given) => {
    const low = Math.min(...values, ...(given || [])), high = Math.max(...values, ...(given || []));
    return [low / 1.4, high * 1.4];
  };
  const [x0, x1] = range(points.map((p) => p.x), xRange), [y0, y1] = range(points.map((p) => p.y), yRange);
  const px = (v) => left + Math.log(v / x0) / Math.log(x1 / x0) * (width - left - right);
  const py = (v) => height - bottom - Math.log(v / y0) / Math.log(y1 / y0) * (height - top - bottom);
  const picture = svg("svg", {viewBox: `0 0 ${width} ${height}`, width: "100%"});
  for (const v of logTicks(x0, x1))
    picture.append(svg("line", {class: "guide", x1: px(v), x2: px(v), y1: top, y2: height - bottom}),
                   svg("text", {class: "muted", x: px(v), y: height - bottom + 16, "text-anchor": "middle"}, xText(v)));
  for (const v of logTicks(y0, y1))
    picture.append(svg("line", {class: "guide", x1: left, x2: width - right, y1: py(v), y2: py(v)}),
                   svg("text", {class: "muted", x: left - 7, y: py(v) + 4, "text-anchor": "end"}, yText(v)));
  picture.append(svg("text", {class: "muted", x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle"}, xTitle),
                 svg("text", {class: "muted", x: -(top + height - bottom) / 2, y: 14, transform: "rotate(-90)", "text-anchor": "middle"}, yTitle));
  draw(picture, px, py, {x0, x1, y0, y1});
  for (const p of points)
    picture.append(tooltip(svg("circle", {class: `dot c-${p.command.family}` + (p.hollow ? " hollow" : ""), cx: px(p.x), cy: py(p.y), r: p.radius || 3 + 9 * Math.sqrt(p.command.time / totalTime), onclick: () => choice.set(p.command.index)}), p.text || (() => summaryOf(p.command))));
  return picture;
}

// The line on which predictions would lie, and those of twice and half the time.
function drawDiagonal(picture, px, py, r) {
  for (const [f, cls] of [[1, "roof"], [2, "axis"], [0.5, "axis"]]) {
    const from = Math.max(r.x0, r.y0 / f), to = Math.min(r.x1, r.y1 / f);
    if (from < to) picture.append(svg("line", {class: cls, x1: px(from), y1: py(from * f), x2: px(to), y2: py(to * f)}));
  }
}

function showPrediction(panel) {
  const points = commands.filter((c) => c.time > 0 && c.estimate_seconds > 0).map((c) => ({x: c.estimate_seconds, y: c.time, command: c}));
  if (!measured || !points.length) return false;
  const times = points.flatMap((p) => [p.x, p.y]), both = [Math.min(...times), Math.max(...times)];
  const near = points.filter((p) => p.y < 2 * p.x && p.x < 2 * p.y);
  const predicted = points.reduce((s, p) => s + p.x, 0), taken = points.reduce((s, p) => s + p.y, 0);
  panel.append(el("b", {}, "Predicted against measured"),
    el("p", {}, `${near.length} of ${points.length} nodes within a factor of 2; in all ${seconds(predicted)} predicted, ${seconds(taken)} measured`),
    logPlot({points, xTitle: "predicted", yTitle: "measured", xText: seconds, yText: seconds, xRange: both, yRange: both, draw: drawDiagonal}));
  return true;
}

// Equal nodes were timed once: their dots lie on each other, and one is enough.
function showCandidates(panel) {
  if (!tuned) return false;
  const seen = new Set();
  const points = timed.filter(({candidate: k, command: c}) => {
    const key = `${c.op} ${k.backend}/${k.kernel} ${k.estimate_seconds} ${k.measured_seconds} ${k === chosenOf(c)}`;
    return !seen.has(key) && seen.add(key);
  }).map(({candidate: k, command: c}) => ({
    x: k.estimate_seconds, y: k.measured_seconds, command: c, radius: 4.5, hollow: k !== chosenOf(c),
    text: () => [`#${c.index} ${brief(c)}`, c.name, `${k.backend}/${k.kernel}, ${k === chosenOf(c) ? "chosen" : "not chosen"}`, `predicted ${seconds(k.estimate_seconds)}, measured ${seconds(k.measured_seconds)}`].join("\n")}));
  const times = points.flatMap((p) => [p.x, p.y]), both = [Math.min(...times), Math.max(...times)];
  const errors = points.map((p) => Math.max(p.x / p.y, p.y / p.x)).sort((a, b) => a - b);
  panel.append(el("b", {}, "Candidates, as tuning timed them"),
    el("p", {}, `${plural(points.length, "kernel")}, each timed by itself on the nodes that had a choice; filled: chosen. Predictions are off by a factor of ${errors[Math.floor(errors.length / 2)].toFixed(2)} in the median.`),
    logPlot({points, xTitle: "predicted", yTitle: "measured", xText: seconds, yText: seconds, xRange: both, yRange: both, draw: drawDiagonal}));
  return true;
}

function showRoofline(panel) {
  const points = commands.filter((c) => c.time > 0 && c.flops > 0 && c.bytes > 0).map((c) => ({x: c.flops / c.bytes, y: 1e-9 * c.flops / c.time, command: c}));
  if (!measured || !peakFlops || !points.length) return false;
  const top = peakFlops * 1e-9, slope = data.machine.bytes_per_second * 1e-9;
  panel.append(el("b", {}, "Roofline"),
    el("p", {}, `Arithmetic per byte read or written, and the rate it ran at. The machine, measured just now: ${top.toFixed(0)} GFLOP/s` + (slope ? `, ${slope.toFixed(1)} GB/s from memory (caches are faster).` : ".")),
    logPlot({points, xTitle: "FLOP per byte", yTitle: "GFLOP/s", xText: (v) => String(+v.toPrecision(3)), yText: (v) => String(+v.toPrecision(3)), yRange: [top], draw(picture, px, py, r) {
      const ridge = slope ? Math.min(r.x1, Math.max(r.x0, top / slope)) : r.x0;
      let d = `M${px(ridge)} ${py(top)}H${px(r.x1)}`;
      if (slope && ridge > r.x0) {
        const from = Math.max(r.x0, r.y0 / slope);
        d = `M${px(from)} ${py(from * slope)}L${px(ridge)} ${py(ridge * slope)}` + (ridge < r.x1 ? `H${px(r.x1)}` : "");
      }
      picture.append(svg("path", {class: "roof", d}));
    }}));
  return true;
}
