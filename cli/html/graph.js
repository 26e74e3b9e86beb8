// The graph: drawn in layers, with pan, zoom and a map beside it.

const nodeWidth = 232, nodeHeight = 72;

// Commands and the model's inputs and outputs as boxes, and who reads whom.
function graphOf() {
  const boxes = [], edges = [], edgeKeys = new Map();
  const inputs = new Map();
  for (const input of data.model.inputs) {
    inputs.set(input.name, boxes.length);
    boxes.push({kind: "input", title: input.name, sub: input.type, width: 190, height: 40});
  }
  const first = boxes.length;
  for (const c of commands) {
    const small = c.free || c.op === "Copy";
    boxes.push({kind: "command", command: c, width: small ? 190 : nodeWidth, height: small ? 30 : nodeHeight, small});
  }
  const connect = (from, to, type) => {
    const key = from + ":" + to;
    if (edgeKeys.has(key)) return;
    edgeKeys.set(key, true);
    edges.push({from, to, type});
  };
  const writers = new Map();
  for (const c of commands) {
    c.input_values.forEach((name, i) => {
      if (c.producers[i] >= 0) connect(first + c.producers[i], first + c.index, c.inputs[i]);
      else if (inputs.has(name)) connect(inputs.get(name), first + c.index, c.inputs[i]);
    });
    for (const name of c.output_values) writers.set(name, c.index);
  }
  for (const output of data.model.outputs) {
    const writer = writers.get(output.name);
    const from = writer !== undefined ? first + writer : inputs.get(output.name);
    boxes.push({kind: "output", title: output.name, sub: output.type, width: 190, height: 40});
    if (from !== undefined) connect(from, boxes.length - 1, output.type);
  }
  return {boxes, edges, first};
}

function pathOf(points) {
  let d = `M${points[0][0].toFixed(1)} ${points[0][1].toFixed(1)}`;
  for (let i = 1; i < points.length; ++i) {
    const [x0, y0] = points[i - 1], [x1, y1] = points[i], half = ((y0 + y1) / 2).toFixed(1);
    d += Math.abs(x1 - x0) < 0.05 ? `L${x1.toFixed(1)} ${y1.toFixed(1)}`
                                  : `C${x0.toFixed(1)} ${half} ${x1.toFixed(1)} ${half} ${x1.toFixed(1)} ${y1.toFixed(1)}`;
  }
  return d;
}

function drawBox(b) {
  const left = b.x - b.width / 2;
  const line = (text, y, cls, most) => svg("text", {x: left + 14, y: b.y + y, class: cls}, shorten(text, most));
  if (b.kind !== "command")
    return svg("g", {class: "node port"},
      svg("rect", {class: "box", x: left, y: b.y, width: b.width, height: b.height, rx: 20}),
      svg("text", {x: b.x, y: b.y + 17, class: "op", "text-anchor": "middle"}, shorten(b.title, 24)),
      svg("text", {x: b.x, y: b.y + 31, class: "sub", "text-anchor": "middle"}, shorten(b.sub, 30)));
  const c = b.command;
  const time = c.free ? "free" : `${seconds(c.time)}  ${percent(c.time, totalTime)}`;
  const g = svg("g", {class: "node" + (c.backend === "reference" ? " slow" : ""), "data-name": c.name},
    svg("rect", {class: "box f" + heat(c.time), x: left, y: b.y, width: b.width, height: b.height, rx: b.small ? 15 : 6}),
    b.small ? svg("circle", {class: "c-" + c.family, cx: left + 12, cy: b.y + 15, r: 4})
            : svg("path", {class: "c-" + c.family, d: `M${left + 6} ${b.y + .5}H${left + 5.5}a5 5 0 0 0 -5 5V${b.y + b.height - 5.5}a5 5 0 0 0 5 5h.5z`}),
    b.small ? svg("text", {x: left + 22, y: b.y + 19}, svg("tspan", {class: "op"}, c.op), svg("tspan", {class: "sub", dx: 8}, c.free ? "free" : time))
            : [line(brief(c), 18, "op", 30), line(c.name, 34, "sub", 34), line(cut(c.kernelName + (c.detail ? "  " + c.detail : ""), 34), 48, "sub", 34),
               svg("text", {x: left + b.width - 8, y: b.y + 18, class: "sub", "text-anchor": "end"}, "#" + c.index)]);
  if (!b.small) {
    const share = totalTime > 0 ? c.time / totalTime : 0;
    g.append(svg("text", {x: left + b.width - 8, y: b.y + 65, class: "sub", "text-anchor": "end"}, time),
             svg("rect", {class: "c-" + c.family, x: left + 14, y: b.y + 59, height: 5, rx: 2, width: Math.max(1, 96 * Math.sqrt(share))}));
  }
  return tooltip(g, () => summaryOf(c));
}

function showGraph(view, side) {
  const {boxes, edges, first} = graphOf();
  const size = layOut(boxes, edges);
  const scene = svg("g");
  const canvas = svg("svg", {class: "canvas"}, scene);
  const mapWidth = 92, barHeight = 44;  // as page.css has them

  edges.forEach((e) => {
    e.path = svg("path", {class: "edge" + (isChannelLast(e.type) ? " cl" : ""), d: pathOf(e.points)});
    scene.append(e.path);
  });
  const labels = new Map();  // by box: what is written under it
  for (const e of edges) {
    const texts = labels.get(e.from) || [];
    const text = shapeText(e.type);
    if (texts.length > 2 || texts.includes(text)) continue;
    const from = boxes[e.from];
    scene.append(svg("text", {class: "edge-label", x: from.x + 7, y: from.y + from.height + 13 + 11 * texts.length}, text));
    labels.set(e.from, [...texts, text]);
  }
  const shapes = boxes.map((b) => { const g = drawBox(b); scene.append(g); return g; });
  boxes.forEach((b, i) => { if (b.command) shapes[i].addEventListener("click", () => { if (!moved) choice.set(b.command.index, false); }); });

  // ---- the map
  const map = svg("svg", {class: "map", preserveAspectRatio: "none", viewBox: `0 0 ${size.width} ${size.height}`});
  for (const b of boxes)
    map.append(svg("rect", {class: "mark " + (b.command ? "f" + Math.max(1, heat(b.command.time)) : "c-move"), x: b.x - b.width / 2, y: b.y, width: b.width, height: b.height}));
  const frame = svg("rect", {class: "window"});
  map.append(frame);

  // ---- where we look: scene point (x, y) is at the top left, `k` pixels per unit
  const at = {x: 0, y: 0, k: 1};
  const room = () => ({width: Math.max(50, view.clientWidth - mapWidth), height: Math.max(50, view.clientHeight - barHeight)});
  function move(x, y, k) {
    const {width, height} = room();
    at.k = Math.min(2.5, Math.max(k, Math.min(0.9 * width / size.width, 0.9 * height / size.height, 1) / 2));
    const spare = (length, total, p) => length >= total ? -(length - total) / 2 : Math.min(total - length + 40 / at.k, Math.max(-40 / at.k, p));
    at.x = spare(width / at.k, size.width, x);
    at.y = spare(height / at.k, size.height, y);
    if (height / at.k >= size.height) at.y = Math.max(at.y, -40 / at.k);
    scene.setAttribute("transform", `scale(${at.k}) translate(${-at.x} ${-at.y})`);
    scene.setAttribute("class", at.k < 0.36 ? "far" : "");
    for (const [key, value] of Object.entries({x: at.x, y: at.y, width: width / at.k, height: height / at.k})) frame.setAttribute(key, value);
  }
  function zoom(factor, px, py) {
    const {width, height} = room();
    px ??= width / 2; py ??= height / 2;
    const x = at.x + px / at.k, y = at.y + py / at.k, before = at.k;
    const k = before * factor;
    move(x - px / k, y - py / k, k);
  }
  const centre = (x, y, k = at.k) => { const {width, height} = room(); move(x - width / k / 2, y - height / k / 2, k); };
  const whole = () => { const {width, height} = room(); move(0, 0, Math.min(width / size.width, height / size.height) * 0.95); };
  const start = () => { const {width} = room(); const k = Math.min(1, Math.max(0.7, width / size.width * 0.96)); centre(boxes[0].x, 0, k); move(at.x, 0, k); };

  let drag = null, moved = false;
  canvas.addEventListener("pointerdown", (e) => { drag = {x: e.clientX, y: e.clientY, from: {...at}}; moved = false; });
  addEventListener("pointermove", (e) => {
    if (!drag) return;
    const dx = e.clientX - drag.x, dy = e.clientY - drag.y;
    if (Math.abs(dx) + Math.abs(dy) > 4) moved = true;
    if (moved) move(drag.from.x - dx / at.k, drag.from.y - dy / at.k, at.k);
  });
  addEventListener("pointerup", () => { drag = null; });
  canvas.addEventListener("wheel", (e) => {
    const before = {...at};
    const unit = e.deltaMode === 1 ? 16 : 1;
    const box = view.getBoundingClientRect();
    if (e.ctrlKey || e.metaKey) zoom(Math.exp(-e.deltaY * unit * 0.0022), e.clientX - box.left, e.clientY - box.top - barHeight);
    else move(at.x + e.deltaX * unit / at.k, at.y + e.deltaY * unit / at.k, at.k);
    if (before.x !== at.x || before.y !== at.y || before.k !== at.k || e.ctrlKey) e.preventDefault();
  }, {passive: false});
  const jump = (e) => {
    const box = map.getBoundingClientRect();
    centre((e.clientX - box.left) / box.width * size.width, (e.clientY - box.top) / box.height * size.height);
  };
  map.addEventListener("pointerdown", (e) => { jump(e); map.setPointerCapture(e.pointerId); });
  map.addEventListener("pointermove", (e) => { if (e.buttons) jump(e); });

  const byTime = commands.filter((c) => c.time > 0).sort((a, b) => b.time - a.time);
  let turn = -1;
  const search = el("input", {type: "search", placeholder: "find a node", size: 14, oninput: () => {
    const text = search.value.toLowerCase();
    const hit = text && commands.find((c) => (c.name + " " + brief(c) + " " + c.kernelName).toLowerCase().includes(text));
    if (hit) choice.set(hit.index);
  }});
  view.append(canvas, map, el("div", {class: "controls"},
    el("button", {title: "zoom in (Ctrl + wheel)", onclick: () => zoom(1.3)}, "+"),
    el("button", {title: "zoom out", onclick: () => zoom(1 / 1.3)}, "−"),
    el("button", {onclick: whole}, "whole"), el("button", {onclick: start}, "top"),
    byTime.length ? el("button", {onclick: () => { turn = (turn + 1) % byTime.length; choice.set(byTime[turn].index); }}, "next slowest") : null,
    search));

  choice.listeners.push((index, reveal) => {
    shapes.forEach((s, i) => s.classList.toggle("selected", i === first + index));
    for (const e of edges) e.path.classList.toggle("near", e.from === first + index || e.to === first + index);
    if (index < 0) return showOverview(side);
    if (reveal) {
      const b = boxes[first + index];
      centre(b.x, b.y + b.height / 2, Math.max(at.k, 0.8));
    }
    showDetails(side, commands[index]);
  });
  new ResizeObserver(() => move(at.x, at.y, at.k)).observe(view);
  start();
  showOverview(side);
}
