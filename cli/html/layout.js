// Layered drawing of a directed graph, after Sugiyama, Tagawa and Toda, "Methods for visual
// understanding of hierarchical system structures" (1981): layers by longest path, crossings
// reduced by medians, positions by least squares.
//
// nodes: {width, height}, producers before consumers; edges: {from, to} (indices, from < to).
// Sets x, y (centre and top) of each node and points (a list of [x, y]) of each edge; returns
// {width, height}.
function layOut(nodes, edges, {gapX = 26, gapY = 44} = {}) {
  // ---- layers
  const ins = nodes.map(() => []), outs = nodes.map(() => []);
  for (const e of edges) { ins[e.to].push(e.from); outs[e.from].push(e.to); }
  const rank = nodes.map(() => 0);
  nodes.forEach((_, v) => { for (const u of ins[v]) rank[v] = Math.max(rank[v], rank[u] + 1); });
  // What nobody feeds stands next to its first reader.
  for (let v = nodes.length - 1; v >= 0; --v)
    if (!ins[v].length && outs[v].length) rank[v] = Math.min(...outs[v].map((w) => rank[w])) - 1;
  const lowest = Math.min(0, ...rank);
  rank.forEach((r, v) => { rank[v] = r - lowest; });

  // ---- items of each layer: nodes, and a bend of every edge that passes through
  const layers = [];
  const item = (layer, width, node) => {
    (layers[layer] ||= []);
    const it = {layer, width, node, up: [], down: [], x: 0, at: 0};
    layers[layer].push(it);
    return it;
  };
  const items = nodes.map((n, v) => item(rank[v], n.width, v));
  for (let i = 0; i < layers.length; ++i) layers[i] ||= [];
  const bends = new Map();  // the bends of all edges of one source, shared as far as they go together
  for (const e of edges) {
    let last = items[e.from];
    e.chain = [last];
    for (let layer = rank[e.from] + 1; layer < rank[e.to]; ++layer) {
      const key = e.from + ":" + layer;
      let bend = bends.get(key);
      if (!bend) {
        bend = item(layer, 10, -1);
        bends.set(key, bend);
        last.down.push(bend);
        bend.up.push(last);
      }
      e.chain.push(bend);
      last = bend;
    }
    last.down.push(items[e.to]);
    items[e.to].up.push(last);
    e.chain.push(items[e.to]);
  }

  // Large graphs get fewer rounds of improvement: the page is to be there at once.
  const large = layers.reduce((sum, layer) => sum + layer.length, 0) > 5000;

  // ---- order within layers
  const number = () => layers.forEach((layer) => layer.forEach((it, i) => { it.at = i; }));
  const crossings = () => {
    let total = 0;
    for (const layer of layers) {
      const ends = [];
      for (const it of layer) for (const d of it.down) ends.push([it.at, d.at]);
      if (ends.length > 400) continue;
      for (let i = 0; i < ends.length; ++i)
        for (let j = i + 1; j < ends.length; ++j)
          if ((ends[i][0] - ends[j][0]) * (ends[i][1] - ends[j][1]) < 0) ++total;
    }
    return total;
  };
  const middle = (list) => {
    const at = list.map((it) => it.at).sort((a, b) => a - b), m = at.length >> 1;
    return at.length % 2 ? at[m] : (at[m - 1] + at[m]) / 2;
  };
  const sweep = (layer, side) => {
    for (const it of layer) it.key = it[side].length ? middle(it[side]) : it.at;
    layer.sort((a, b) => a.key - b.key || a.at - b.at);
    layer.forEach((it, i) => { it.at = i; });
  };
  number();
  let best = layers.map((layer) => [...layer]), least = crossings();
  for (let round = 0; round < (large ? 3 : 10) && least > 0; ++round) {
    for (let i = 1; i < layers.length; ++i) sweep(layers[i], "up");
    for (let i = layers.length - 2; i >= 0; --i) sweep(layers[i], "down");
    const now = crossings();
    if (now < least) { least = now; best = layers.map((layer) => [...layer]); }
  }
  best.forEach((layer, i) => { layers[i] = layer; });
  number();

  // ---- positions: each layer as near as its order and its gaps allow to where its neighbours want it
  const place = (layer) => {
    // Isotonic regression (pool adjacent violators) of the wishes, less what the gaps take.
    const blocks = [];
    let offset = 0;
    layer.forEach((it, i) => {
      if (i > 0) offset += (layer[i - 1].width + it.width) / 2 + gapX;
      it.offset = offset;
      blocks.push({sum: (it.wish - offset) * it.weight, weight: it.weight, items: [it]});
      while (blocks.length > 1) {
        const b = blocks[blocks.length - 1], a = blocks[blocks.length - 2];
        if (a.sum / a.weight <= b.sum / b.weight) break;
        blocks.splice(-2, 2, {sum: a.sum + b.sum, weight: a.weight + b.weight, items: a.items.concat(b.items)});
      }
    });
    for (const b of blocks) for (const it of b.items) it.x = b.sum / b.weight + it.offset;
  };
  const pull = (layer) => {
    for (const it of layer) {
      let sum = 0, weight = 0;
      for (const side of ["up", "down"])
        for (const other of it[side]) {
          // Long edges and chains are to be straight.
          const chain = it.up.length < 2 && it.down.length < 2 && other.up.length < 2 && other.down.length < 2;
          const w = it.node < 0 && other.node < 0 ? 8 : chain ? 4 : 1;
          sum += other.x * w;
          weight += w;
        }
      it.wish = weight ? sum / weight : it.x;
      it.weight = weight || 0.1;
    }
    place(layer);
  };
  for (const layer of layers) {
    for (const it of layer) { it.wish = 0; it.weight = 1; }
    place(layer);
  }
  // From the middle of the picture and towards both neighbours at once, so that nothing drifts.
  for (let round = 0; round < (large ? 8 : 30); ++round) {
    for (let i = 1; i < layers.length; ++i) pull(layers[i]);
    for (let i = layers.length - 2; i >= 0; --i) pull(layers[i]);
  }

  // Bends of one edge move onto one line, as far as their neighbours leave room.
  for (const e of edges) {
    const run = e.chain.slice(1, -1);
    if (run.length < 2) continue;
    let low = -Infinity, high = Infinity;
    for (const it of run) {
      const layer = layers[it.layer], before = layer[it.at - 1], after = layer[it.at + 1];
      if (before) low = Math.max(low, before.x + (before.width + it.width) / 2 + gapX / 2);
      if (after) high = Math.min(high, after.x - (after.width + it.width) / 2 - gapX / 2);
    }
    if (low > high) continue;
    const mean = run.reduce((sum, it) => sum + it.x, 0) / run.length;
    for (const it of run) it.x = Math.min(high, Math.max(low, mean));
  }

  // ---- coordinates
  let left = Infinity, right = -Infinity;
  for (const layer of layers)
    for (const it of layer) {
      left = Math.min(left, it.x - it.width / 2);
      right = Math.max(right, it.x + it.width / 2);
    }
  const tops = [], heights = [];
  let y = 0;
  for (const layer of layers) {
    tops.push(y);
    heights.push(Math.max(14, ...layer.map((it) => it.node < 0 ? 14 : nodes[it.node].height)));
    y += heights[heights.length - 1] + gapY;
  }
  nodes.forEach((n, v) => {
    n.x = items[v].x - left;
    n.y = tops[rank[v]] + (heights[rank[v]] - n.height) / 2;
  });
  for (const e of edges) {
    const into = ins[e.to].length, place = ins[e.to].indexOf(e.from);
    const spread = into > 1 ? (place / (into - 1) - 0.5) * Math.min(nodes[e.to].width * 0.5, 18 * (into - 1)) : 0;
    e.points = e.chain.flatMap((it, i) => {
      const x = it.x - left;
      if (i === 0) return [[x, nodes[e.from].y + nodes[e.from].height]];
      if (i === e.chain.length - 1) return [[x + spread, nodes[e.to].y]];
      return [[x, tops[it.layer]], [x, tops[it.layer] + heights[it.layer]]];
    });
    delete e.chain;
  }
  return {width: right - left, height: y - gapY};
}
