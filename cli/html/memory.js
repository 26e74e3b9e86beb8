// The memory plan: tensors as rectangles over the commands they live for and the addresses they
// have.

function showMemory(panel) {
  const places = data.placements.filter((p) => p.bytes > 0);
  if (!places.length) {
    panel.append(el("p", {}, "The plan needs no memory for activations."));
    return;
  }
  const n = commands.length, peak = data.arena_bytes, bound = data.lower_bound_bytes;
  const live = new Array(n).fill(0);
  for (const p of places) for (let i = p.first_command; i <= p.last_command; ++i) live[i] += p.bytes;
  const width = 1400, height = 430, left = 78, right = 14, top = 16, bottom = 34;
  const starts = {command: [], time: []};  // left edge of each command, and the end of the last one
  let now = 0;
  for (let i = 0; i <= n; ++i) {
    starts.command.push(i / n);
    starts.time.push(totalTime > 0 ? now / totalTime : i / n);
    if (i < n) now += commands[i].time;
  }
  const y = (address) => height - bottom - address / (peak * 1.04) * (height - top - bottom);
  const stage = el("div");

  function draw(axis) {
    const x = (i) => left + starts[axis][Math.min(n, i)] * (width - left - right);
    const picture = svg("svg", {viewBox: `0 0 ${width} ${height}`, width: "100%"},
      svg("defs", {}, svg("pattern", {id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)"},
        svg("rect", {width: 2.2, height: 6, class: "c-move"}))));
    for (let i = 0; i <= 5; ++i) {
      const address = peak * i / 5;
      picture.append(svg("line", {class: "guide", x1: left, x2: width - right, y1: y(address), y2: y(address)}),
                     svg("text", {class: "muted", x: left - 8, y: y(address) + 4, "text-anchor": "end"}, bytes(address)));
    }
    const step = Math.max(1, Math.ceil(n / 16));
    for (let i = 0; i < n; i += step) {
      if (axis === "time" && i && x(i) - x(i - step) < 34) continue;
      picture.append(svg("text", {class: "muted", x: x(i), y: height - bottom + 16}, "#" + i));
    }
    picture.append(svg("text", {class: "muted", x: width - right, y: height - 4, "text-anchor": "end"}, axis === "time" ? "time" : "commands, in order"));
    for (const p of places) {
      const command = commands[Math.max(0, p.first_command)];
      const work = p.name.endsWith(" workspace") && p.first_command === p.last_command;
      const r = svg("rect", {
        class: "tensor " + (work ? "work" : "c-" + command.family), "data-name": p.name,
        x: x(p.first_command), width: Math.max(1, x(p.last_command + 1) - x(p.first_command)),
        y: y(p.offset + p.bytes), height: Math.max(0.8, y(p.offset) - y(p.offset + p.bytes)),
        onclick: () => choice.set(command.index),
      });
      const wide = +r.getAttribute("width"), high = +r.getAttribute("height");
      picture.append(tooltip(r, () => `${p.name}\n${bytes(p.bytes)} at ${bytes(p.offset)} .. ${bytes(p.offset + p.bytes)}\n` +
        `lives in commands ${p.first_command} (${commands[p.first_command].name}) to ${p.last_command} (${commands[p.last_command].name})`));
      if (!work && wide > 70 && high > 15)
        picture.append(svg("text", {class: "inside", x: +r.getAttribute("x") + 6, y: +r.getAttribute("y") + Math.min(high / 2 + 4, 18)}, shorten(p.name, Math.floor((wide - 10) / 6.3))));
    }
    let line = "";
    live.forEach((b, i) => { line += `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(b).toFixed(1)}H${x(i + 1).toFixed(1)}`; });
    picture.append(svg("path", {class: "live", d: line, "pointer-events": "none"}),
      svg("line", {class: "peak", x1: left, x2: width - right, y1: y(peak), y2: y(peak)}),
      svg("line", {class: "bound", x1: left, x2: width - right, y1: y(bound), y2: y(bound)}));
    stage.replaceChildren(picture);
  }
  const axis = el("select", {onchange: () => draw(axis.value)}, el("option", {value: "command"}, "by command"), el("option", {value: "time"}, "by time"));
  panel.append(el("div", {class: "bar"}, el("div", {class: "legend"},
      el("span", {}, el("i", {style: "background:var(--bad)"}), `allocated: ${bytes(peak)}`),
      el("span", {}, el("i", {style: "background:var(--good)"}), `lower bound: ${bytes(bound)}`),
      el("span", {}, el("i", {style: "background:var(--text)"}), "in use"),
      el("span", {}, el("i", {class: "c-move"}), "hatched: workspace of one command")),
    el("span", {class: "space"}), familyLegend(), axis), stage);
  draw("command");
}
