// What is known of one command, beside the graph.

const linkTo = (c) => el("a", {onclick: () => choice.set(c.index)}, `#${c.index} ${c.op}`);

function showOverview(side) {
  const top = commands.filter((c) => c.time > 0).sort((a, b) => b.time - a.time).slice(0, 12);
  side.replaceChildren(
    el("h3", {}, measured ? "Where the time goes" : "Where the time is expected to go"),
    el("table", {}, el("tbody", {}, top.map((c) => el("tr", {class: "link", onclick: () => choice.set(c.index)},
      el("td", {}, `${brief(c)}`, el("div", {class: "muted"}, shorten(c.name, 34))),
      el("td", {class: "num"}, seconds(c.time)), el("td", {class: "num"}, percent(c.time, totalTime)))))),
    el("h3", {}, "Reading the graph"),
    el("p", {}, "Warmer boxes take more of the time. Blue lines carry channel-last tensors, grey ones row-major. Round boxes are free views or copies between layouts; boxes with a dashed border run on the reference backend, for lack of a fast kernel. What stands after a + is fused into the node."),
    el("p", {}, "Drag or scroll to move, Ctrl + wheel to zoom, click a node for its kernels."));
}

function ports(c, types, names, sources) {
  return el("table", {}, el("tbody", {}, types.map((type, i) => el("tr", {},
    el("td", {class: "mono"}, names[i] || "–"), el("td", {class: "mono"}, type),
    sources ? el("td", {}, sources[i] >= 0 ? linkTo(commands[sources[i]]) : el("span", {class: "muted"}, names[i] ? "given" : "")) : null))));
}

// Kernels that would do, the fastest first, and under them who refused, by reason.
function candidates(c) {
  if (!c.candidates.length) return el("p", {}, c.free ? "A view of its input: nothing runs." : "There was nothing to choose.");
  const columns = ["kernel", "predicted", ...(tuned ? ["measured"] : []), "with copies"];
  const chosen = chosenOf(c), name = (k) => `${k.backend}/${k.kernel}`;
  const verdict = (k) => [
    k === chosen ? el("span", {class: "tag good"}, (c.locked ? "locked" : "chosen") + (measured ? ", took " + seconds(c.time) : ""))
    : chosen && chosen.with_copies_seconds && k.nodes === chosen.nodes ? (k.with_copies_seconds / chosen.with_copies_seconds).toFixed(2) + " ×" : "",
    k.nodes > 1 ? ` ${k.nodes} nodes, apart ${seconds(k.apart_seconds)}` : ""];
  const accepted = c.candidates.filter((k) => !k.refused).sort((a, b) => a.nodes - b.nodes || a.with_copies_seconds - b.with_copies_seconds);
  const figure = (s) => el("td", {class: "num"}, s ? seconds(s) : "");
  const reasons = new Map();
  for (const k of c.candidates) if (k.refused) reasons.set(k.refused, [...(reasons.get(k.refused) || []), name(k)]);
  return [
    el("table", {}, el("thead", {}, el("tr", {}, columns.map((t, i) => el("th", {class: i ? "num" : null}, t)))),
      el("tbody", {}, accepted.map((k) => el("tr", {}, el("td", {class: "kernel"}, el("div", {class: "mono"}, name(k)), el("div", {class: "muted"}, verdict(k))),
        figure(k.estimate_seconds), tuned ? figure(k.measured_seconds) : null, figure(k.with_copies_seconds))))),
    reasons.size ? el("h3", {}, "Refused") : null,
    el("dl", {}, [...reasons].map(([reason, names]) => [el("dt", {}, reason), el("dd", {class: "mono"}, names.join(", "))]))];
}

function showDetails(side, c) {
  const rows = [[c.chain.length ? "nodes" : "node", [c.name, ...c.chain].join(" + ")], ["operator", c.op]];
  for (const [name, value] of Object.entries(c.fields)) rows.push([name, unquoted(value)]);
  rows.push(["kernel", c.kernelName + (c.detail ? ", " + c.detail : "")]);
  if (!c.free) {
    if (measured) rows.push(["time", `${seconds(c.time)} median, ${seconds(c.min_seconds)} least, ${percent(c.time, totalTime)} of the run`]);
    rows.push(["predicted", seconds(c.estimate_seconds)]);
    if (c.tuned_seconds) rows.push(["when tuned", seconds(c.tuned_seconds)]);
    if (c.loss > 0) rows.push(["loss", `${percent(c.loss, 1)} to the fastest kernel by itself`]);
    if (c.bound && c.time) rows.push(["of the bound", `${percent(c.bound_seconds, c.time)} of ${c.bound}, ${seconds(c.bound_seconds)}`]);
    if (c.flops) rows.push(["work", `${count(c.flops / 2)} multiply-adds` + (c.time ? `, ${rate(c.flops, c.time)} GFLOP/s` + (peakFlops ? ` (${ofPeak(c.flops, c.time)} of peak)` : "") : "")]);
    if (c.bytes) rows.push(["traffic", `${bytes(c.bytes)}` + (c.time ? `, ${rate(c.bytes, c.time)} GB/s` : "")]);
    if (c.workspace_bytes) rows.push(["workspace", bytes(c.workspace_bytes)]);
    if (c.constant_bytes) rows.push(["packed weights", bytes(c.constant_bytes)]);
  }
  const readers = commands.filter((r) => r.producers.includes(c.index));
  side.replaceChildren();
  fill(side, {}, [
    el("div", {class: "bar"}, el("b", {}, `#${c.index} ${brief(c)}`), el("span", {class: "space"}),
      el("button", {onclick: () => choice.set(-1)}, "close")),
    el("dl", {}, rows.map(([k, v]) => [el("dt", {}, k), el("dd", {}, v)])),
    el("h3", {}, "Inputs"), ports(c, c.inputs, c.input_values, c.producers),
    el("h3", {}, "Outputs"), ports(c, c.outputs, c.output_values),
    readers.length ? el("p", {}, "read by ", readers.slice(0, 12).map((r, i) => [i ? ", " : "", linkTo(r)])) : null,
    el("h3", {}, "Kernels considered"), candidates(c)]);
}
