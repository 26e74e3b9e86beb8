// What all pages share: making elements, formatting numbers, tables that sort, tooltips.
// Text from the model only ever becomes textContent: no name can become markup.

const data = JSON.parse(document.getElementById("data").textContent);
const svgNamespace = document.getElementById("templates").namespaceURI;

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  for (const child of children.flat(3))
    if (child !== null && child !== undefined && child !== "") node.append(child);
  return node;
}
const el = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) => fill(document.createElementNS(svgNamespace, name), attributes, children);
const byId = (id) => document.getElementById(id);

function scaled(value, base, units) {
  let unit = 0;
  while (Math.abs(value) >= base && unit + 1 < units.length) value /= base, ++unit;
  const whole = unit === 0 && value === Math.floor(value);
  const digits = whole ? 0 : Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  return value.toFixed(digits) + (units[unit] ? "\u202f" + units[unit] : "");
}
const bytes = (n) => scaled(n, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
const count = (n) => scaled(n, 1000, ["", "k", "M", "G", "T"]);
const seconds = (s) => s === 0 ? "0" : s >= 1 ? scaled(s, 1000, ["s"]) : scaled(s * 1e9, 1000, ["ns", "µs", "ms"]);
const percent = (part, whole) => whole > 0 ? (100 * part / whole).toFixed(1) + "\u202f%" : "–";
const plural = (n, word) => n + " " + word + (n === 1 ? "" : "s");

// Keeps both ends of a long text.
function shorten(text, most) {
  if (text.length <= most) return text;
  const tail = Math.ceil((most - 1) * 0.6);
  return text.slice(0, most - 1 - tail) + "…" + text.slice(text.length - tail);
}

const cut = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;

// Shows text beside the pointer while it is over the element.
function tooltip(element, text) {
  const tip = byId("tip");
  element.addEventListener("pointermove", (e) => {
    tip.textContent = typeof text === "function" ? text() : text;
    tip.style.display = "block";
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(e.clientX + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = (e.clientY + 18 + box.height > innerHeight ? e.clientY - box.height - 10 : e.clientY + 18) + "px";
  });
  element.addEventListener("pointerleave", () => { tip.style.display = "none"; });
  return element;
}

// columns: {title, value(row), text(row)?, cell(row)?, numeric?, class?}; a click on a title sorts.
function sortedTable(columns, rows, {sort = -1, rising = false, onclick = null, total = null} = {}) {
  const body = el("tbody");
  const heads = columns.map((c, i) => el("th", {class: "sortable" + (c.numeric ? " num" : ""), title: c.help, onclick: () => order(i)}, c.title, el("span", {class: "arrow"})));
  const lines = rows.map((row) => {
    const line = el("tr", {class: onclick ? "link" : null}, columns.map((c) => {
      const content = c.cell ? c.cell(row) : c.text ? c.text(row) : String(c.value(row));
      const cell = el("td", {class: [c.numeric ? "num" : "", c.class || ""].join(" ").trim() || null}, content);
      if (c.class === "clip" && typeof content === "string") cell.title = content;
      return cell;
    }));
    if (onclick) line.addEventListener("click", () => onclick(row));
    return {row, line};
  });
  function order(column) {
    if (column === sort) rising = !rising;
    else { sort = column; rising = !columns[column].numeric; }
    show();
  }
  function show() {
    if (sort >= 0) {
      const value = columns[sort].value;
      lines.sort((a, b) => {
        const x = value(a.row), y = value(b.row);
        return (x < y ? -1 : x > y ? 1 : 0) * (rising ? 1 : -1);
      });
    }
    heads.forEach((head, i) => { head.lastChild.textContent = i === sort ? (rising ? " ▲" : " ▼") : ""; });
    body.append(...lines.map((l) => l.line));
    if (total) body.append(total);
  }
  show();
  return {
    table: el("table", {}, el("thead", {}, el("tr", {}, heads)), body),
    filter(keep) { for (const l of lines) l.line.style.display = keep(l.row) ? "" : "none"; },
  };
}

const meter = (share) => el("span", {class: "meter"}, el("i", {style: `width:${(100 * Math.min(1, Math.max(0, share))).toFixed(1)}%`}));

// Powers of ten (or, over a short range, also their doubles and halves) within [low, high].
function logTicks(low, high) {
  const ticks = [];
  const fine = high / low < 300;
  for (let e = Math.floor(Math.log10(low)) - 1; e <= Math.ceil(Math.log10(high)); ++e)
    for (const m of fine ? [1, 2, 5] : [1]) {
      const v = m * 10 ** e;
      if (v >= low * 0.999 && v <= high * 1.001) ticks.push(v);
    }
  return ticks;
}
