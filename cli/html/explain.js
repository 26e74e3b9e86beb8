// `sula explain --html`: the page.

function card(label, value, sub, tone) {
  return el("div", {class: "card"}, el("div", {class: "label"}, label), el("div", {class: "value"}, value), el("div", {class: "sub" + (tone ? " " + tone : "")}, sub));
}

function showSummary() {
  const {model, machine} = data;
  const fileName = model.path.replace(/^.*\//, "");
  document.title = fileName + " – sula explain";
  byId("title").textContent = fileName + (model.name && model.name !== fileName ? `  (${model.name})` : "");
  const source = ["producer", "format"].filter((k) => model.metadata[k]).map((k) => model.metadata[k]).join(", ");
  byId("subtitle").textContent = `${machine.processor}, ${machine.instruction_set}, ${plural(data.threads, "thread")} of ${plural(machine.cpus, "CPU")} · sula ${data.version}` + (source ? ` · from ${source}` : "");
  const ratio = data.lower_bound_bytes ? data.arena_bytes / data.lower_bound_bytes : 1;
  const free = commands.filter((c) => c.free).length, copies = commands.filter((c) => c.op === "Copy").length;
  const rates = totalTime > 0 ? 2 * model.multiply_adds / totalTime : 0;
  byId("cards").append(
    measured ? card("latency, median of " + plural(data.runs, "run"), seconds(data.run_seconds.median), `${seconds(data.run_seconds.min)} least, ${seconds(data.run_seconds.max)} most`)
             : card("latency, predicted", seconds(totalTime), "nothing was run"),
    card("rate", rates ? (rates * 1e-9).toFixed(1) + "\u202fGFLOP/s" : "–", peakFlops && rates ? `${percent(rates, peakFlops)} of the peak, ${(peakFlops * 1e-9).toFixed(0)} GFLOP/s` : "float32"),
    card("activations", bytes(data.arena_bytes), `${ratio.toFixed(2)} × the lower bound, ${bytes(data.lower_bound_bytes)}`, ratio <= 1.05 ? "good" : "warn"),
    card("weights, packed", bytes(data.constant_bytes), `${count(model.parameters)} parameters, ${bytes(model.parameter_bytes)} in the file`),
    card("memory in all", bytes(data.total_bytes), `activations, weights, ${bytes(data.port_bytes)} for inputs and outputs`),
    card("multiply-adds", count(model.multiply_adds), model.uncounted_nodes ? `and ${plural(model.uncounted_nodes, "node")} of unknown size` : `${count(totalTime > 0 ? 1 / totalTime : 0)} runs a second`),
    card("commands", String(commands.length - free), `${plural(free, "view")} for free, ${plural(copies, "layout copy").replace("copys", "copies")}`));
}

function show() {
  showSummary();
  showGraph(byId("view"), byId("side"));
  showStrip(byId("strip"));
  showOperators(byId("operators"));
  const both = [["prediction", showPrediction], ["candidates", showCandidates], ["roofline", showRoofline]];
  for (const [id, draw] of both) if (!draw(byId(id))) byId(id).remove();
  showMemory(byId("memory-plan"));
  showCommands(byId("commands"));
  showRefusals(byId("refused"));
  const asked = /^#node-(\d+)$/.exec(location.hash);
  if (asked && commands[+asked[1]]) choice.set(+asked[1]);
}
show();
