// Totals of operators, all commands, and who refused what.

const timeTitle = measured ? "measured" : "predicted";

function showOperators(panel) {
  const groups = new Map();
  for (const c of commands) {
    if (c.free) continue;
    const key = c.op + "\n" + c.kernelName;
    const g = groups.get(key) || {op: c.op, kernel: c.kernelName, family: c.family, calls: 0, time: 0, estimate: 0, flops: 0, bytes: 0};
    ++g.calls; g.time += c.time; g.estimate += c.estimate_seconds; g.flops += c.flops; g.bytes += c.bytes;
    groups.set(key, g);
  }
  const largest = Math.max(1e-12, ...[...groups.values()].map((g) => g.time));
  const {table} = sortedTable([
    {title: "operator", value: (g) => g.op, cell: (g) => [el("i", {class: "c-" + g.family, style: "display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:7px"}), g.op]},
    {title: "kernel", value: (g) => g.kernel, class: "mono"},
    {title: "calls", value: (g) => g.calls, numeric: true},
    {title: timeTitle, value: (g) => g.time, text: (g) => seconds(g.time), numeric: true},
    {title: "share", value: (g) => g.time, cell: (g) => [percent(g.time, totalTime), meter(g.time / largest)], numeric: true},
    ...(measured ? [{title: "predicted", value: (g) => g.estimate, text: (g) => seconds(g.estimate), numeric: true}] : []),
    {title: "multiply-adds", value: (g) => g.flops, text: (g) => g.flops ? count(g.flops / 2) : "–", numeric: true},
    {title: "GFLOP/s", value: (g) => g.flops / (g.time || Infinity), text: (g) => rate(g.flops, g.time), numeric: true},
    ...(peakFlops ? [{title: "of peak", value: (g) => g.flops / (g.time || Infinity), text: (g) => ofPeak(g.flops, g.time), numeric: true}] : []),
    {title: "GB/s", value: (g) => g.bytes / (g.time || Infinity), text: (g) => rate(g.bytes, g.time), numeric: true},
  ], [...groups.values()], {sort: 3});
  panel.append(el("div", {class: "scroll"}, table));
}

function showCommands(panel) {
  const filter = el("input", {type: "search", placeholder: "filter by name, operator, kernel", size: 32});
  const {table, filter: keep} = sortedTable([
    {title: "#", value: (c) => c.index, numeric: true},
    {title: "node", value: (c) => c.name, class: "clip"},
    {title: "operator", value: (c) => c.op, text: brief},
    {title: "output", value: (c) => c.outputs[0] || "", text: (c) => c.outputs.map(shapeText).join(", "), class: "clip"},
    {title: "kernel", value: (c) => c.kernelName, text: (c) => c.kernelName + (c.detail ? "  " + c.detail : ""), class: "clip"},
    ...(measured ? [{title: "measured", value: (c) => c.time, text: (c) => c.free ? "–" : seconds(c.time), numeric: true}] : []),
    {title: "predicted", value: (c) => c.estimate_seconds, text: (c) => c.free ? "–" : seconds(c.estimate_seconds), numeric: true},
    ...(tuned ? [{title: "tuned", value: (c) => c.tuned_seconds || 0, text: (c) => c.tuned_seconds ? seconds(c.tuned_seconds) : "–", numeric: true, help: "the kernel by itself, as tuning measured it"}] : []),
    {title: "loss", value: (c) => c.loss || 0, text: (c) => c.loss > 0 ? percent(c.loss, 1) : "–", numeric: true, help: "what the chosen kernel takes longer than the fastest candidate by itself"},
    {title: "share", value: (c) => c.time, cell: (c) => c.free ? "–" : [percent(c.time, totalTime), meter(c.time / slowest)], numeric: true},
    {title: "GFLOP/s", value: (c) => c.flops / (c.time || Infinity), text: (c) => rate(c.flops, c.time), numeric: true},
    ...(peakFlops ? [{title: "of peak", value: (c) => c.flops / (c.time || Infinity), text: (c) => ofPeak(c.flops, c.time), numeric: true}] : []),
    {title: "GB/s", value: (c) => c.bytes / (c.time || Infinity), text: (c) => rate(c.bytes, c.time), numeric: true},
    {title: "of the bound", value: (c) => c.time && c.bound ? c.bound_seconds / c.time : 0, text: (c) => c.time && c.bound ? `${percent(c.bound_seconds, c.time)} ${c.bound}` : "–", numeric: true, help: "the least time that arithmetic or memory allow, whichever is longer, against the time it took"},
    {title: "workspace", value: (c) => c.workspace_bytes, text: (c) => c.workspace_bytes ? bytes(c.workspace_bytes) : "–", numeric: true},
    {title: "weights", value: (c) => c.constant_bytes, text: (c) => c.constant_bytes ? bytes(c.constant_bytes) : "–", numeric: true},
  ], commands, {sort: 0, rising: true, onclick: (c) => { choice.set(c.index); byId("graph").scrollIntoView({behavior: "smooth"}); }});
  filter.addEventListener("input", () => {
    const text = filter.value.toLowerCase();
    keep((c) => (c.name + " " + brief(c) + " " + c.kernelName + " " + c.detail).toLowerCase().includes(text));
  });
  panel.append(el("div", {class: "bar"}, filter), el("div", {class: "scroll"}, table));
}

function showRefusals(panel) {
  const groups = new Map();
  for (const c of commands)
    for (const k of c.candidates) {
      if (!k.refused) continue;
      const key = k.backend + "/" + k.kernel + "\n" + k.refused;
      const g = groups.get(key) || {kernel: k.backend + "/" + k.kernel, reason: k.refused, commands: [], time: 0};
      g.commands.push(c);
      g.time += c.time;
      groups.set(key, g);
    }
  const slow = commands.filter((c) => c.backend === "reference");
  if (slow.length && slow.length < commands.length) {
    const time = slow.reduce((s, c) => s + c.time, 0);
    panel.append(el("p", {}, el("span", {class: "tag bad"}, plural(slow.length, "command") + " without a fast kernel"), ` run on the reference backend and take ${percent(time, totalTime)} of the time: `,
      slow.slice(0, 30).map((c, i) => [i ? ", " : "", linkTo(c)]), slow.length > 30 ? ", …" : ""));
  }
  if (!groups.size) {
    panel.append(el("p", {}, "No kernel refused a node."));
    return;
  }
  const {table} = sortedTable([
    {title: "kernel", value: (g) => g.kernel, class: "mono"},
    {title: "reason", value: (g) => g.reason, class: "wrap"},
    {title: "nodes", value: (g) => g.commands.length, numeric: true},
    {title: "their time", value: (g) => g.time, text: (g) => `${seconds(g.time)} (${percent(g.time, totalTime)})`, numeric: true},
    {title: "which", value: (g) => g.commands[0].index, class: "wrap", cell: (g) => g.commands.length <= 6
      ? g.commands.map((c, i) => [i ? ", " : "", linkTo(c)])
      : el("details", {}, el("summary", {}, `#${g.commands[0].index} ${g.commands[0].op} and ${g.commands.length - 1} more`), g.commands.map((c, i) => [i ? ", " : "", linkTo(c)]))},
  ], [...groups.values()], {sort: 3});
  panel.append(el("div", {class: "scroll"}, table));
}
