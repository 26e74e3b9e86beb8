// The report of a plan, prepared for drawing: commands with their times, and what feeds what.

const measured = data.runs > 0;
const commands = data.nodes.map((n, index) => ({
  ...n, index,
  time: measured ? n.median_seconds : n.estimate_seconds,
  kernelName: (n.backend ? n.backend + "/" : "") + n.kernel,
  family: familyOf(n),
  free: n.kernel === "alias",
}));
const totalTime = commands.reduce((sum, c) => sum + c.time, 0);
const slowest = Math.max(1e-12, ...commands.map((c) => c.time));
const chosenOf = (c) => c.candidates.find((k) => k.backend === c.backend && k.kernel === c.kernel);
// Candidates that tuning timed: predicted and measured by themselves.
const timed = commands.flatMap((c) => c.candidates.filter((k) => k.measured_seconds > 0 && k.estimate_seconds > 0).map((k) => ({candidate: k, command: c})));
const tuned = timed.length > 0;
const peakFlops = data.machine.flops_per_second;

const families = {
  conv: "convolution", matmul: "matrix product", pool: "pooling, reduction", norm: "normalisation, softmax",
  math: "element-wise", move: "data movement", other: "other",
};
function familyOf(n) {
  const op = n.op;
  if (/Conv/.test(op)) return "conv";
  if (/MatMul|Gemm|Lstm|LSTM|Gru|GRU|Rnn|RNN|Attention/.test(op)) return "matmul";
  if (/Pool|^Reduce|^Arg|TopK|CumSum/.test(op)) return "pool";
  if (/Norm|LRN|[Ss]oftmax/.test(op)) return "norm";
  if (/^(Copy|Reshape|Flatten|Squeeze|Unsqueeze|Transpose|Slice|Split|Concat|Pad|Tile|Expand|Gather.*|DepthToSpace|SpaceToDepth|Resize|Identity|Scatter.*|Shape|Cast|StridedCopy|Move.*)$/.test(op)) return "move";
  if (/^(Loop|If|Scan|NonMaxSuppression|NonZero|PriorBox|DetectionOutput|GridSample)$/.test(op)) return "other";
  return "math";
}

// "float32[1,64,56,56] channel-last" -> parts
function typeOf(text) {
  const m = /^([a-z0-9]+)\[(.*?)\](.*)$/.exec(text || "");
  if (!m) return {dtype: text || "", dims: null, layout: ""};
  return {dtype: m[1], dims: m[2] === "" ? [] : m[2].split(","), layout: m[3].trim()};
}
function shapeText(text) {
  const t = typeOf(text);
  if (!t.dims) return text;
  return (t.dims.join("×") || "scalar") + (t.dtype === "float32" ? "" : " " + t.dtype);
}
const isChannelLast = (text) => /channel-last/.test(text || "");

const unquoted = (text) => text.replace(/^"(.*)"$/, "$1");
const numbers = (text) => (text || "").replace(/[\[\]\s]/g, "").split(",").filter((x) => x !== "");

// "Conv 3×3/2 + relu": what a command computes, in a few words.
function brief(c) {
  let text = c.op;
  if (c.chain.length) return text;
  const weights = typeOf(c.inputs[1]).dims;
  const window = /Conv/.test(c.op) && weights ? weights.slice(2) : numbers(c.fields.kernel);
  const strides = numbers(c.fields.strides);
  if (/Conv/.test(c.op) && c.fields.group && weights && weights[1] === "1") text = text.replace("Conv", "Depthwise");
  if (window.length) text += " " + window.join("×");
  if (strides.some((s) => s !== "1")) text += "/" + strides[0];
  if (/Conv|MatMul/.test(c.op) && c.input_values.length > 3 && c.input_values[3]) text += " + add";
  if (c.fields.activation) text += " + " + unquoted(c.fields.activation);
  return text;
}

const rate = (amount, time) => amount > 0 && time > 0 ? (1e-9 * amount / time).toFixed(1) : "–";
const ofPeak = (flops, time) => flops > 0 && time > 0 && peakFlops > 0 ? (100 * flops / time / peakFlops).toFixed(0) + "\u202f%" : "–";

// 0 .. 9: how warm a node is drawn. Square roots, so that the middle of the field can be told apart.
const heat = (time) => time > 0 ? Math.min(9, Math.floor(10 * Math.sqrt(time / slowest))) : 0;

// Calls listeners when a command is chosen anywhere on the page.
const choice = {
  index: -1, listeners: [],
  set(index, reveal = true) {
    this.index = index;
    for (const listener of this.listeners) listener(index, reveal);
  },
};

function summaryOf(c) {
  const lines = [`#${c.index} ${brief(c)}`, [c.name, ...c.chain].join(" + "), c.kernelName + (c.detail ? "  " + c.detail : ""),
                 c.outputs.map(shapeText).join(", ")];
  if (measured) lines.push(`${seconds(c.time)} (${percent(c.time, totalTime)}), predicted ${seconds(c.estimate_seconds)}`);
  else lines.push(`predicted ${seconds(c.time)} (${percent(c.time, totalTime)})`);
  if (c.flops > 0 && c.time > 0) lines.push(`${rate(c.flops, c.time)} GFLOP/s` + (peakFlops ? `, ${ofPeak(c.flops, c.time)} of peak` : ""));
  return lines.join("\n");
}

function familyLegend() {
  const used = new Set(commands.map((c) => c.family));
  return el("div", {class: "legend"}, Object.entries(families).filter(([f]) => used.has(f)).map(([f, title]) => el("span", {}, el("i", {class: "c-" + f}), title)));
}
