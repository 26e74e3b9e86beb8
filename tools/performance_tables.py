#!/usr/bin/env python3
"""Tables of a side-by-side measurement for docs/performance.md.

    performance_tables.py RESULTS.json [--write docs/performance.md]

RESULTS.json: what a driver measured that ran several engines in turns (`sula bench --turns` is sula's side):
    {"date", "how", "machine": {"model", "family", "cores", "flags": [...]}, "versions": {engine: version},
     "peak": {threads: {"peak_gflops"}}, "work": {net: {"gflop"}},
     "results": {"NET/THREADS": {engine: {"min_ms", "median_ms", "rel", "first_ms", "peak_mb", "base_mb"} or {"error"}}}}
Prints the tables; with --write they replace those of the same processor in the file, between the lines
"<!-- begin PROCESSOR -->" and "<!-- end PROCESSOR -->", or are put at the file's end.
"""
import argparse
import json
import math

OURS = "sula"
RIGHT = 1e-3  # of the largest output: an engine with larger errors is shown, marked, and not compared with
WRONG = 1e-2  # from here on it isn't shown
NAMES = {"ort": "ONNX Runtime", "openvino": "OpenVINO", "mnn": "MNN session", "mnn_module": "MNN module", "ncnn": "ncnn",
         "litert": "LiteRT", "torch": "PyTorch", "torch_cl": "PyTorch, channels last", "torch_compile": "torch.compile",
         OURS: "**sula**"}

GENERATIONS = {"family 25 model 1": "Zen 3", "family 25 model 17": "Zen 4"}


def table(title, head, rows):
    align = ["---"] + ["---:"] * (len(head) - 1)
    lines = [f"### {title}", ""] + ["| " + " | ".join(cells) + " |" for cells in [head, align] + rows]
    return "\n".join(lines).replace("| --- |", "|---|", 1) + "\n"


class Results:
    def __init__(self, data):
        self.data = data
        rows = data["results"]
        self.threads = sorted({int(key.split("/")[1]) for key in rows})
        self.nets = sorted({key.split("/")[0] for key in rows}, key=list(data["work"]).index)
        self.peers = [p for p in NAMES if p != OURS and any("min_ms" in row.get(p, {}) for row in rows.values())]

    def of(self, net, threads, engine):
        """The engine's figures, or nothing where it failed."""
        row = self.data["results"].get(f"{net}/{threads}", {}).get(engine, {})
        return row if "min_ms" in row else None

    def best_peer(self, net, threads, key):
        """The least figure of the other engines that are right."""
        rows = [self.of(net, threads, p) for p in self.peers]
        return min((r[key] for r in rows if r and r["rel"] < RIGHT), default=None)

    def ratio(self, net, threads):
        ours, best = self.of(net, threads, OURS), self.best_peer(net, threads, "min_ms")
        return best / ours["min_ms"] if ours and best else None

    def share(self, net, threads, engine):
        row, peak = self.of(net, threads, engine), self.data["peak"][str(threads)]["peak_gflops"]
        return row and self.data["work"][net]["gflop"] / row["min_ms"] * 1e3 / peak

    def engines(self, net, threads, cell):
        cells = []
        for engine in self.peers + [OURS]:
            row = self.of(net, threads, engine)
            if not row:
                cells.append("–")
            elif row["rel"] >= WRONG:
                cells.append("wrong")
            else:
                cells.append(cell(row) + ("†" if row["rel"] >= RIGHT else ""))
        return cells

    def times(self, threads):
        head = ["net", "GFLOP"] + [NAMES[e] for e in self.peers + [OURS]] + ["best peer / sula", "share of peak", "best peer's"]
        rows = []
        for net in self.nets:
            ratio, share = self.ratio(net, threads), self.share(net, threads, OURS)
            shares = [self.share(net, threads, p) for p in self.peers
                      if self.of(net, threads, p) and self.of(net, threads, p)["rel"] < RIGHT]
            rows.append([net, f"{self.data['work'][net]['gflop']:.2f}"]
                        + self.engines(net, threads, lambda r: f"{r['min_ms']:.2f}")
                        + [f"{ratio:.2f}" if ratio else "–", f"{share:.0%}" if share else "–",
                           f"{max(shares):.0%}" if shares else "–"])
        title = f"{threads} thread{'s' * (threads > 1)}: least time of a run in ms"
        text = table(title, head, rows)
        ratios = [r for r in (self.ratio(n, threads) for n in self.nets) if r]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            text += (f"\nGeometric mean of best peer / sula over {len(ratios)} nets: **{mean:.2f}**; least {min(ratios):.2f}; "
                     f"{sum(r < 1 for r in ratios)} below 1.\n")
        return text

    def others(self, title, cell):
        head = ["net"] + [NAMES[e] for e in self.peers + [OURS]]
        return table(title, head, [[net] + self.engines(net, self.threads[0], cell) for net in self.nets])


def processor(data):
    machine = data["machine"]
    vectors = "AVX-512" if "avx512f" in machine["flags"] else "AVX2"
    family = machine["family"].split(" stepping")[0]
    return f"{machine['model']}, {family} ({GENERATIONS.get(family, 'unknown generation')}: {vectors})"


def render(data):
    r = Results(data)
    peaks = ", ".join(f"{data['peak'][str(t)]['peak_gflops']:.0f} on {t}" for t in r.threads)
    parts = [f"## {processor(data)}\n",
             f"{data['date']}, {data['how'].split(',')[0]}, {data['machine']['cores']} cores of a virtual machine that others share. Peak of fused "
             f"multiply-adds out of registers in GFLOP/s: {peaks} thread{'s' * (len(r.threads) > 1)}. † marks errors of "
             f"{RIGHT:g} of the largest output or more: such an engine is not compared with. – : fails on this net; wrong: errors of {WRONG:g} or more.\n",
             "Versions: " + ", ".join(f"{k} {v}" for k, v in data["versions"].items() if v) + ".\n"]
    parts += [r.times(t) for t in r.threads]
    parts.append(r.others("Largest error against PyTorch, relative to the largest output", lambda row: f"{row['rel']:.1e}"))
    parts.append(r.others(f"Load and first run in ms, {r.threads[0]} thread", lambda row: f"{row['first_ms']:.0f}"))
    parts.append(r.others(f"Peak memory in MB, {r.threads[0]} thread (sula: the whole process; others: above what they held "
                          "after imports)", lambda row: f"{row['peak_mb'] - row['base_mb']:.0f}"))
    return "\n".join(parts)


def write(path, name, text):
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
    with open(path) as f:
        old = f.read()
    if begin in old:
        before, rest = old.split(begin, 1)
        after = rest.split(end, 1)[1]
    else:
        before, after = old.rstrip("\n") + "\n\n", ""
    with open(path, "w") as f:
        f.write(before + begin + text + end + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results")
    parser.add_argument("--write", metavar="FILE", help="put the tables into this file instead of printing them")
    a = parser.parse_args()
    with open(a.results) as f:
        data = json.load(f)
    for row in data["results"].values():
        if OURS in row:
            row[OURS]["base_mb"] = 0  # its figure is that of a process without an interpreter
    if a.write:
        write(a.write, processor(data), render(data))
    else:
        print(render(data))


if __name__ == "__main__":
    main()
