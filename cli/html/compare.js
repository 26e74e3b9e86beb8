// `sula compare --html`: the page.

const number = (x) => x === "inf" ? Infinity : x === "-inf" ? -Infinity : x === "nan" ? NaN : x;
const values = data.values.map((v, index) => ({
  ...v, index, relative: v.mismatch ? Infinity : number(v.relative), absolute: v.mismatch ? Infinity : number(v.absolute),
  turn: v.mismatch ? 2 : Math.max(0, 1 - number(v.cosine)),
}));
const first = values.find((v) => !v.agrees);
const short = (x) => x === 0 ? "0" : Number.isFinite(x) ? x.toExponential(1) : "∞";
const fileName = (path) => path.replace(/^[^,]*\//, "");
const place = (v) => v.node ? `${v.node} (${v.op})` : v.output ? "an output" : "an input";

function verdict() {
  const box = byId("verdict");
  if (!first) {
    const worst = values.reduce((a, b) => b.relative > a.relative ? b : a, values[0]);
    box.append(el("b", {class: "good"}, "Every value agrees. "), worst && worst.relative > 0 ? `The largest difference is ${short(worst.relative)}, in ${worst.name}, made by ${place(worst)}.` : "All of them to the last bit.");
  } else {
    box.append(el("b", {class: "bad"}, data.outputs_agree ? "The outputs agree, but values before them do not. " : "The outputs differ. "),
      "The first divergence is ", el("b", {}, first.name), ", made by ", el("b", {}, place(first)), ": ",
      first.mismatch || `${number(first.worst.a)} against ${number(first.worst.b)} at [${first.worst.index.join(", ")}], ${short(first.relative)} of the largest element.`);
  }
  for (const note of data.notes) box.append(el("div", {class: "muted"}, note));
}

function profile() {
  const width = 1400, height = 300, left = 64, right = 14, top = 14, bottom = 30;
  const finite = values.map((v) => v.relative).filter((r) => r > 0 && Number.isFinite(r));
  const low = Math.floor(Math.log10(Math.min(1e-8, ...finite))), high = Math.ceil(Math.log10(Math.max(1e-2, data.tolerance, ...finite)));
  const floor = height - bottom, x = (i) => left + (i + 0.5) / values.length * (width - left - right);
  const y = (r) => r <= 0 ? floor : !Number.isFinite(r) ? top : floor - 26 - (Math.log10(r) - low) / (high - low) * (floor - 26 - top);
  const picture = svg("svg", {viewBox: `0 0 ${width} ${height}`, width: "100%"});
  for (let e = low; e <= high; ++e)
    if ((e - low) % Math.ceil((high - low) / 9) === 0)
      picture.append(svg("line", {class: "guide", x1: left, x2: width - right, y1: y(10 ** e), y2: y(10 ** e)}),
                     svg("text", {class: "muted", x: left - 8, y: y(10 ** e) + 4, "text-anchor": "end"}, "1e" + e));
  picture.append(svg("text", {class: "muted", x: left - 8, y: floor + 4, "text-anchor": "end"}, "equal"),
    svg("text", {class: "muted", x: width - right, y: height - 6, "text-anchor": "end"}, `${values.length} values, in order`));
  picture.append(svg("path", {class: "live", "stroke-opacity": 0.35, d: values.map((v, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(v.relative).toFixed(1)}`).join("")}));
  if (data.tolerance > 0) picture.append(svg("line", {class: "peak", "stroke-dasharray": "6 4", x1: left, x2: width - right, y1: y(data.tolerance), y2: y(data.tolerance)}));
  for (const v of values)
    picture.append(tooltip(svg("circle", {class: "dot", style: `fill:var(--${v.agrees ? "accent" : "bad"})`, cx: x(v.index), cy: y(v.relative), r: v.output ? 6 : 3.5, onclick: () => show(v)}),
      () => `${v.name}\n${place(v)}  ${v.type}\n` + (v.mismatch || `relative ${short(v.relative)}, absolute ${short(v.absolute)}, 1 − cosine ${short(v.turn)}`)));
  byId("profile").append(picture);
}

function histogram(v) {
  if (v.mismatch || !v.elements) return v.mismatch || "";
  const picture = svg("svg", {width: 8 * 11, height: 18});
  const limits = [...data.ulp_limits.map((l, i) => i === 0 ? "equal" : `within ${l}`), "more"];
  v.ulps.forEach((n, i) => {
    const h = n ? Math.max(2, 18 * (1 + Math.log10(n / v.elements) / 7)) : 0;
    picture.append(svg("rect", {x: i * 11, width: 9, y: 18 - h, height: h, style: `fill:var(--${i === 0 ? "good" : i < 4 ? "accent" : i < 6 ? "warn" : "bad"})`}));
  });
  return tooltip(el("span", {}, picture), () => "last places by which elements differ\n" + v.ulps.map((n, i) => n ? `${limits[i]}: ${n} (${percent(n, v.elements)})` : "").filter(Boolean).join("\n"));
}

let rows = new Map();
function show(v) {
  for (const line of document.querySelectorAll("tr.chosen")) line.classList.remove("chosen");
  rows.get(v).classList.add("chosen");
  rows.get(v).scrollIntoView({block: "center", behavior: "smooth"});
}

function table() {
  const filter = el("input", {type: "search", placeholder: "filter", size: 26});
  const only = el("input", {type: "checkbox"});
  const made = sortedTable([
    {title: "#", value: (v) => v.index, numeric: true},
    {title: "", value: (v) => v.agrees ? 0 : 1, cell: (v) => v === first ? el("span", {class: "tag bad"}, "first divergence") : v.agrees ? (v.output ? el("span", {class: "tag good"}, "output") : "") : el("span", {class: "tag bad"}, v.output ? "output differs" : "differs")},
    {title: "value", value: (v) => v.name, class: "clip"},
    {title: "node", value: (v) => v.node, class: "clip"},
    {title: "operator", value: (v) => v.op},
    {title: "type", value: (v) => v.type, class: "mono"},
    {title: "absolute", value: (v) => v.absolute, text: (v) => v.mismatch ? "–" : short(v.absolute), numeric: true},
    {title: "relative", value: (v) => v.relative, cell: (v) => v.mismatch ? "–" : el("span", {class: v.agrees ? "" : "bad"}, short(v.relative)), numeric: true},
    {title: "1 − cosine", value: (v) => v.turn, text: (v) => v.mismatch ? "–" : short(v.turn), numeric: true},
    {title: "last places", value: (v) => v.mismatch ? 1 : 1 - v.ulps[0] / Math.max(1, v.elements), cell: histogram},
    {title: "where most", value: (v) => v.absolute, class: "mono", cell: (v) => v.worst ? el("span", {title: `element [${v.worst.index.join(", ")}]`}, `${+number(v.worst.a).toPrecision(6)} → ${+number(v.worst.b).toPrecision(6)}`) : ""},
  ], values, {sort: 0, rising: true});
  [...made.table.tBodies[0].rows].forEach((line, i) => rows.set(values[i], line));
  const update = () => {
    const text = filter.value.toLowerCase();
    made.filter((v) => (!only.checked || !v.agrees) && `${v.name} ${v.node} ${v.op}`.toLowerCase().includes(text));
  };
  filter.addEventListener("input", update);
  only.addEventListener("input", update);
  byId("values").append(el("div", {class: "bar"}, filter, el("label", {}, only, " only what differs"), first ? el("button", {onclick: () => show(first)}, "first divergence") : null), el("div", {class: "scroll"}, made.table));
}

function cards() {
  const card = (label, value, sub, tone) => byId("cards").append(el("div", {class: "card"}, el("div", {class: "label"}, label), el("div", {class: "value " + (tone || "")}, value), el("div", {class: "sub"}, sub)));
  const good = values.filter((v) => v.agrees).length, outputs = values.filter((v) => v.output);
  const worst = Math.max(0, ...values.map((v) => v.relative));
  const outWorst = Math.max(0, ...outputs.map((v) => v.relative));
  card("outputs", data.outputs_agree ? "agree" : "differ", `${plural(outputs.length, "output")}, at most ${short(outWorst)} apart`, data.outputs_agree ? "good" : "bad");
  card("values that agree", `${good} of ${values.length}`, `within ${data.tolerance} of their largest element`, good === values.length ? "good" : "bad");
  card("largest difference", short(worst), "of the value's largest element");
  const elements = values.reduce((s, v) => s + (v.elements || 0), 0), equal = values.reduce((s, v) => s + (v.ulps ? v.ulps[0] : 0), 0);
  card("elements equal to the last bit", percent(equal, elements), `of ${count(elements)} compared`);
}

document.title = `${fileName(data.a)} and ${fileName(data.b)} – sula compare`;
byId("title").textContent = "A and B, value by value";
byId("subtitle").append(el("b", {}, "A "), data.a, el("br"), el("b", {}, "B "), data.b);
cards();
verdict();
profile();
table();
