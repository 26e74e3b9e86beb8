#!/usr/bin/env python3
"""Tests of the commands that explain: explaining_test.py SULA [unittest arguments]."""
import html.parser
import json
import os
import re
import sys
import unittest

import cli_test
import npy
import onnx_writer as ow
from cli_test import Case

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028\"'&{{page.js}}"


def weights(shape, scale=1.0, seed=1):
    """Reproducible numbers in [-scale, scale)."""
    n, state, values = 1, seed, []
    for d in shape:
        n *= d
    for _ in range(n):
        state = (state * 1103515245 + 12345) % 2**31
        values.append(scale * (state / 2**30 - 1))
    return values


def net(second=None, name="second"):
    """Two convolutions with activations between, a shortcut around them, a mean: x [1,4,6,6] -> y [1,4,1,1]."""
    second = second or weights([4, 4, 3, 3], 0.3, 7)
    return ow.model(
        [ow.node("Conv", ["x", "w1"], ["c1"], "first", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
         ow.node("Relu", ["c1"], ["r1"], "act"),
         ow.node("Conv", ["r1", "w2"], ["c2"], name, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
         ow.node("Add", ["c2", "r1"], ["s"], "shortcut"),
         ow.node("Softmax", ["s"], ["p"], "soft", axis=1),
         ow.node("GlobalAveragePool", ["p"], ["y"], "mean")],
        [ow.value("x", "float32", [1, 4, 6, 6])], [ow.value("y", "float32", [1, 4, 1, 1])],
        [ow.floats("w1", [4, 4, 3, 3], weights([4, 4, 3, 3], 0.3)), ow.floats("w2", [4, 4, 3, 3], second)])


def changed():
    """The same net but for one weight of the second convolution."""
    second = weights([4, 4, 3, 3], 0.3, 7)
    second[50] += 0.5
    return net(second)


class Page(html.parser.HTMLParser):
    """What a browser would see: elements, scripts, and the data."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.data, self.kind = [], [], None, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.kind = dict(attrs).get("type") if tag == "script" else None

    def handle_data(self, text):
        if self.kind == "application/json":
            self.data = json.loads(text)

    def handle_endtag(self, tag):
        self.kind = None


class Pages(Case):
    def page(self, path):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        page = Page(text)
        # Alone: nothing is fetched, neither by an element nor by a script.
        self.assertEqual([a for a in page.attributes if a[0] in ("src", "href") and not (a[1] or "").startswith("#")], [])
        self.assertNotRegex(text, r"(?i)\b(https?|ftp|wss?):|//cdn|@import|url\((?!#)")
        self.assertNotRegex(text, r"innerHTML|insertAdjacentHTML|document\.write|\beval\(")
        self.assertNotIn("{{", re.sub(r"(?s)<script.*?</script>", "", text))
        self.assertEqual(page.tags.count("script"), 2)
        self.assertNotIn("img", page.tags)
        return page

    def test_explain(self):
        model = self.write("net.onnx", net())
        self.sula("explain", model, "--html", self.path("net.html"), "--runs", "3")
        data = self.page(self.path("net.html")).data
        plan = json.loads(self.sula("explain", model, "--json").stdout)
        self.assertEqual([n["name"] for n in data["nodes"]], [n["name"] for n in plan["nodes"]])
        self.assertEqual(data["runs"], 3)
        self.assertGreater(data["run_seconds"]["median"], 0)
        self.assertGreater(data["machine"]["flops_per_second"], 1e6)
        self.assertEqual(data["model"]["inputs"][0]["name"], "x")
        for n in data["nodes"]:
            self.assertEqual(len(n["producers"]), len(n["inputs"]))
            if n["kernel"] != "alias":
                self.assertGreaterEqual(n["median_seconds"], n["min_seconds"])
                self.assertGreater(n["min_seconds"], 0)
        for p in data["placements"]:
            self.assertLessEqual(p["offset"] + p["bytes"], data["arena_bytes"])

    def test_estimates_alone(self):
        model = self.write("net.onnx", net())
        self.sula("explain", model, "--html", self.path("net.html"), "--runs", "0")
        data = self.page(self.path("net.html")).data
        self.assertEqual(data["runs"], 0)
        self.assertTrue(any(n["estimate_seconds"] > 0 for n in data["nodes"]))

    def test_names_are_text(self):
        model = self.write("hostile.onnx", net(name=HOSTILE))
        self.sula("explain", model, "--html", self.path("h.html"), "--runs", "2")
        self.assertIn(HOSTILE, [n["name"] for n in self.page(self.path("h.html")).data["nodes"]])
        self.sula("compare", model, model, "--html", self.path("c.html"))
        self.assertIn(HOSTILE, [v["node"] for v in self.page(self.path("c.html")).data["values"]])

    def test_options_that_go_together(self):
        model = self.write("net.onnx", net())
        self.sula("explain", model, "--runs", "3", code=2)
        self.sula("explain", model, "--html", self.path("x.html"), "--json", code=2)
        self.fails("explain", model, "--html", "/proc/nothing/x.html", says=["/proc/nothing/x.html"])


class Schemes(Case):
    """Tuning, and locks of what was chosen."""

    def kernels(self, *args):
        plan = json.loads(self.sula("explain", *args, "--json").stdout)
        return plan, {n["name"]: f"{n['backend']}/{n['kernel']}" for n in plan["nodes"] if n["candidates"]}

    def test_tune_save_and_use_again(self):
        model = self.write("net.onnx", net())
        lock = self.path("net.schemes")
        tuned, kernels = self.kernels(model, "--threads", "1", "--tune", "5", "--save-schemes", lock)
        self.assertGreater(tuned["tune"]["measured_nodes"], 0)
        self.assertLessEqual(tuned["tune"]["covered_seconds"], tuned["tune"]["predicted_seconds"] * 1.000001)
        tune = tuned["tune"]
        self.assertIn(tune["outcome"], ("same", "tuned", "untuned"))
        if tune["outcome"] != "same":
            self.assertEqual(tune["outcome"] == "tuned", tune["tuned_run_seconds"] < tune["untuned_run_seconds"])
        conv = next(n for n in tuned["nodes"] if n["op"] == "Conv")
        timed = [c for c in conv["candidates"] if c.get("measured_seconds", 0) > 0]
        self.assertGreaterEqual(len(timed), 2)
        self.assertEqual(conv["tuned_seconds"], next(c for c in timed if c["kernel"] == conv["kernel"])["measured_seconds"])
        self.assertGreaterEqual(conv["loss"], 0)
        self.assertIn(conv["bound"], ("compute", "memory"))

        with open(lock, encoding="utf-8") as f:
            lines = f.read().splitlines()
        self.assertEqual(lines[0], "sula-schemes 1")
        kept = [line.split()[1] for line in lines if line.startswith("kept ")]
        self.assertEqual(kept, [] if tune["outcome"] == "same" else [tune["outcome"]])
        named = {line.split()[1]: line.split()[3] for line in lines if line.startswith("node ")}
        self.assertEqual(named, kernels)
        locked, again = self.kernels(model, "--threads", "1", "--schemes", lock)
        self.assertEqual(again, kernels)
        self.assertEqual(locked["locked_nodes"], len(kernels))
        self.assertNotIn("tune", locked)
        # Saved again it is the same file: it can be kept under version control.
        self.sula("explain", model, "--threads", "1", "--schemes", lock, "--save-schemes", self.path("again"))
        with open(self.path("again"), encoding="utf-8") as f:
            self.assertEqual([line.split("  #")[0].split()[:5] for line in f.read().splitlines()],
                             [line.split("  #")[0].split()[:5] for line in lines])
        # The .sula file of the model is the same model; run and bench take the lock as well.
        self.sula("convert", model, "-o", self.path("net.sula"))
        self.sula("bench", self.path("net.sula"), "--threads", "1", "--seconds", "0.01", "--schemes", lock)
        npy.dump(self.path("in", "input_0.npy"), "<f4", [1, 4, 6, 6], weights([1, 4, 6, 6], 1, 3))
        self.sula("run", self.path("net.sula"), "--threads", "1", "--input", self.path("in"), "--schemes", lock)
        text = self.sula("explain", model, "--threads", "1", "--schemes", lock).stdout
        self.assertIn("locked", text)
        self.assertIn("of the bound", text)

    def test_terminal_and_page_show_both_times(self):
        model = self.write("net.onnx", net())
        text = self.sula("explain", model, "--threads", "1", "--tune", "5").stdout
        self.assertRegex(text, "plan is kept: .* a run, |changed no choice")
        for part in ("tuned", "kinds of nodes", "predicted", "measured", "chosen", "x the time", "refused: "):
            self.assertIn(part, text)
        page = self.path("net.html")
        self.sula("explain", model, "--threads", "1", "--tune", "5", "--html", page, "--runs", "2")
        with open(page, encoding="utf-8") as f:
            data = Page(f.read()).data
        self.assertTrue(any(c.get("measured_seconds") for n in data["nodes"] for c in n["candidates"]))
        bench = self.sula("bench", model, "--threads", "1", "--seconds", "0.01", "--tune", "5").stdout
        self.assertIn("tuned", bench)

    def test_where_predictions_come_from(self):
        model = self.write("net.onnx", net())
        machine = self.path("machine.txt")
        before = os.environ.get("SULA_MACHINE")
        os.environ["SULA_MACHINE"] = machine
        try:
            text = self.sula("explain", model, "--threads", "1", "--brief").stdout
            self.assertIn(f"machine profile: measured now; kept in {machine}, which SULA_MACHINE names", text)
            text = self.sula("explain", model, "--threads", "1", "--brief").stdout
            self.assertIn(f"machine profile: read from {machine}, which SULA_MACHINE names", text)
            plan = json.loads(self.sula("explain", model, "--threads", "1", "--json").stdout)
            self.assertEqual(plan["machine"]["profile"], {"file": machine, "note": "read", "named": True})
            text = self.sula("explain", model, "--backend", "reference", "--brief").stdout
            self.assertNotIn("machine profile", text)
        finally:
            if before is None:
                del os.environ["SULA_MACHINE"]
            else:
                os.environ["SULA_MACHINE"] = before

    def test_locks_that_do_not_fit(self):
        model = self.write("net.onnx", net())
        lock = self.path("net.schemes")
        self.sula("explain", model, "--threads", "1", "--save-schemes", lock)
        with open(lock, encoding="utf-8") as f:
            good = f.read()
        self.fails("explain", model, "--threads", "2", "--schemes", lock, says=["threads is 1, here 2", "adapt"])
        other = self.write("other.onnx", changed())
        self.fails("explain", other, "--threads", "1", "--schemes", lock, says=["the model is"])
        self.sula("explain", other, "--threads", "2", "--schemes", lock, "--adapt-schemes")
        for change, says in ((("node first Conv cpu/", "node first Conv cpu/x"), ["'first'", "line", "no kernel 'cpu/x"]),
                             (("sula-schemes", "sula-scheme"), ["not a scheme lock"]),
                             (("threads 1", "threads one"), ["line", "'one'"])):
            self.write("bad.schemes", good.replace(*change).encode())
            self.fails("bench", model, "--threads", "1", "--schemes", self.path("bad.schemes"), says=says)
        self.fails("explain", model, "--schemes", self.path("nothing"), says=["nothing"])
        self.fails("explain", model, "--save-schemes", "/proc/nothing/x", says=["/proc/nothing/x"])
        self.fails("bench", model, "--threads", "1,2", "--save-schemes", lock, says=["--save-schemes"])
        self.sula("explain", model, "--adapt-schemes", code=2)
        self.sula("explain", model, "--tune", "-1", code=2)


class Summary(Case):
    def test_convert_says_what_became_of_the_operators(self):
        model = self.write("net.onnx", net())
        out = json.loads(self.sula("convert", model, "-o", self.path("n.sula"), "--json").stdout)
        self.assertEqual(out["operators_before"], {"Conv": 2, "Relu": 1, "Add": 1, "Softmax": 1, "GlobalAveragePool": 1})
        self.assertEqual(sum(out["operators"].values()), out["nodes_after"])
        text = self.sula("convert", model, "-o", self.path("n.sula")).stdout
        self.assertRegex(text, r"Relu +1 +-")
        self.assertRegex(text, r"nodes +6 +\d +-\d+\.\d %")
        for rule in out["rules"]:
            self.assertRegex(text, rf"{re.escape(rule)} +\d+ +\w")


class Profile(Case):
    def test_trace(self):
        model = self.write("net.onnx", net(name=HOSTILE))
        text = self.sula("bench", model, "--threads", "1", "--seconds", "0.05", "--profile", "--trace", self.path("t.json")).stdout
        for part in ("of peak", "GB/s", "Softmax", "calls", "all"):
            self.assertIn(part, text)
        with open(self.path("t.json"), encoding="utf-8") as f:
            events = json.load(f)["traceEvents"]
        plan = json.loads(self.sula("explain", model, "--threads", "1", "--json").stdout)
        runs = [e for e in events if e.get("cat") == "run"]
        commands = [e for e in events if e.get("cat") == "command"]
        working = [n["name"] for n in plan["nodes"] if n["kernel"] != "alias"]
        self.assertGreaterEqual(len(runs), 2)
        self.assertEqual(len(commands), len(runs) * len(working))
        self.assertEqual([e["name"] for e in commands[:len(working)]], working)
        end = 0
        for run, at in zip(runs, range(0, len(commands), len(working))):
            self.assertGreaterEqual(run["ts"], end)
            now = run["ts"]
            for e in commands[at:at + len(working)]:
                self.assertEqual((e["ph"], e["pid"], e["tid"]), ("X", run["pid"], run["tid"]))
                self.assertGreaterEqual(e["ts"], now - 1e-6)
                now = e["ts"] + e["dur"]
            end = run["ts"] + run["dur"]
            self.assertLessEqual(now, end + 1e-6)
        counters = [e["args"]["bytes"] for e in events if e["ph"] == "C"]
        self.assertEqual(len(counters), len(commands))
        self.assertLessEqual(max(counters), plan["arena_bytes"])
        self.assertGreaterEqual(max(counters), plan["lower_bound_bytes"] - 64 * len(plan["placements"]))

    def test_json_and_usage(self):
        model = self.write("net.onnx", net())
        out = json.loads(self.sula("bench", model, "--threads", "1", "--seconds", "0.02", "--profile", "--json").stdout)
        row, = out["threads"]
        self.assertGreater(row["peak_gflops"], 0)
        for n in row["nodes"]:
            self.assertLessEqual(n["min_ms"], n["median_ms"])
        self.sula("bench", model, "--trace", self.path("t.json"), code=2)
        self.fails("bench", model, "--threads", "1,2", "--profile", "--trace", self.path("t.json"), says=["--trace"])
        self.fails("bench", model, "--threads", "1", "--seconds", "0.01", "--profile", "--trace", "/proc/nothing/t", says=["/proc/nothing/t"])


class Compare(Case):
    def compare(self, *args, code=0):
        return json.loads(self.sula("compare", *args, "--json", code=code).stdout)

    def test_a_model_against_itself(self):
        model = self.write("net.onnx", net())
        out = self.compare(model)
        self.assertTrue(out["outputs_agree"])
        self.assertIsNone(out["first_divergence"])
        self.assertIn("reference", out["a"])
        self.assertIn("y", [v["name"] for v in out["values"] if v["output"]])
        for v in out["values"]:
            self.assertEqual(sum(v["ulps"]), v["elements"])
        self.assertIn("The outputs agree", self.sula("compare", model).stdout)

    def test_source_against_converted(self):
        model = self.write("net.onnx", net())
        self.sula("convert", model, "-o", self.path("net.sula"))
        out = self.compare(model, self.path("net.sula"), "--tolerance", "1e-5")
        self.assertTrue(out["outputs_agree"])

    def test_planted_difference_is_named(self):
        a, b = self.write("a.onnx", net()), self.write("b.onnx", changed())
        out = self.compare(a, b, code=1)
        self.assertFalse(out["outputs_agree"])
        self.assertEqual(out["first_divergence"], "c2")
        by_name = {v["name"]: v for v in out["values"]}
        self.assertEqual((by_name["c2"]["node"], by_name["c2"]["op"]), ("second", "Conv"))
        for same in ("c1", "r1"):
            self.assertEqual(by_name[same]["absolute"], 0)
        for other in ("c2", "s", "p", "y"):
            self.assertGreater(by_name[other]["relative"], 1e-3)
            self.assertNotEqual(by_name[other]["worst"]["a"], by_name[other]["worst"]["b"])
        text = self.sula("compare", a, b, "--html", self.path("c.html"), code=1).stdout
        self.assertIn("First divergence: value 'c2' of node 'second' (Conv)", text)
        self.assertIn("The outputs DIFFER", text)
        self.assertTrue(os.path.exists(self.path("c.html")))
        self.assertEqual(self.compare(a, b, "--tolerance", "1e9")["first_divergence"], None)

    def test_outputs_decide(self):
        # The value within is twice as large in B, and what follows makes up for it.
        scale = lambda s: ow.model([ow.node("Mul", ["x", "k"], ["m"], "times"), ow.node("Mul", ["m", "back"], ["y"], "again")],
                                   [ow.value("x", "float32", [4])], [ow.value("y", "float32", [4])],
                                   [ow.floats("k", [], [s]), ow.floats("back", [], [1 / s])])
        out = self.compare(self.write("a.onnx", scale(2.0)), self.write("b.onnx", scale(4.0)))
        self.assertEqual(out["first_divergence"], "m")
        self.assertTrue(out["outputs_agree"])

    def test_two_settings(self):
        model = self.write("net.onnx", net())
        self.sula("convert", model, "-o", self.path("net.sula"))
        out = self.compare(self.path("net.sula"), "--backend-a", "cpu", "--threads-a", "1", "--threads-b", "2")
        self.assertIn("on cpu, 1 thread", out["a"])
        self.assertIn("2 threads", out["b"])
        self.fails("compare", model, "--backend-b", "gpu", says=["gpu"])

    def test_stored_outputs(self):
        model, other = self.write("a.onnx", net()), self.write("b.onnx", changed())
        npy.dump(self.path("in", "input_0.npy"), "<f4", [1, 4, 6, 6], weights([1, 4, 6, 6], 1, 3))
        self.sula("run", model, "--input", self.path("in"), "--output", self.path("out"))
        expect = ["--input", self.path("in"), "--expect", self.path("out")]
        self.assertTrue(self.compare(model, *expect)["outputs_agree"])
        self.assertFalse(self.compare(other, *expect, code=1)["outputs_agree"])
        # Without the list of names the files stand for the outputs in order.
        os.remove(self.path("out", "outputs.json"))
        self.assertTrue(self.compare(model, *expect)["outputs_agree"])
        # Every value of one build for another: inputs and values come from the same folder.
        self.sula("compare", model, "--save", self.path("all"), "--optimizer", "off")
        saved = self.compare(other, "--expect", self.path("all"), "--optimizer", "off", code=1)
        self.assertEqual(saved["first_divergence"], "c2")
        self.assertEqual(len(saved["values"]), 6)
        npy.dump(self.path("out", "output_0.npy"), "<f4", [4], [1, 2, 3, 4])
        shapes = self.compare(model, *expect, code=1)
        self.assertIn("float32[4] against float32[1,4,1,1]", shapes["values"][0]["mismatch"])

    def test_what_cannot_be_compared(self):
        model = self.write("a.onnx", net())
        other = self.write("b.onnx", cli_test.add_model())
        self.fails("compare", model, other, says=["inputs", "float32[2,3]"])
        self.fails("compare", model, "--expect", self.path("in"), says=["output_0.npy"])
        self.write("in/outputs.json", b'[{"name": "y", "file": "../../etc/passwd"}]')
        self.fails("compare", model, "--expect", self.path("in"), says=["outputs.json"])
        self.write("in/outputs.json", b"{not json")
        self.fails("compare", model, "--expect", self.path("in"), says=["outputs.json"])
        self.fails("compare", model, other, "--save", self.path("in"), says=["--save"])
        self.fails("compare", model, self.path("nothing.onnx"), says=["nothing.onnx"])

    def test_units_in_the_last_place(self):
        # values, neighbours of the first: one and 17 places away
        for dtype, descr, values, one, many in (
                ("float32", "<f4", [1, -2, 0, 4], 1 + 2**-23, 1 + 17 * 2**-23), ("float16", "<f2", [1, -2, 0, 4], 1 + 2**-10, 1 + 17 * 2**-10),
                ("float64", "<f8", [1, -2, 0, 4], 1 + 2**-52, 1 + 17 * 2**-52),
                ("int64", "<i8", [2**60, -2, 0, 4], 2**60 + 1, 2**60 + 17), ("int32", "<i4", [1, -2, 0, 4], 2, 18)):
            with self.subTest(dtype):
                model = self.write("same.onnx", cli_test.identity_model(dtype, [4]))
                npy.dump(self.path("in", "input_0.npy"), descr, [4], values)
                os.makedirs(self.path("out"), exist_ok=True)
                for near, classes in ((values[0], [4, 0, 0, 0]), (one, [3, 1, 0, 0]), (many, [3, 0, 0, 0, 1])):
                    npy.dump(self.path("out", "output_0.npy"), descr, [4], [near] + values[1:])
                    out = self.compare(model, "--input", self.path("in"), "--expect", self.path("out"), "--tolerance", "100")
                    self.assertEqual(out["values"][0]["ulps"], (classes + [0] * 8)[:8])
                    self.assertEqual(out["values"][0]["absolute"], abs(near - values[0]))

    def test_nan_is_seen(self):
        root = lambda: ow.model([ow.node("Sqrt", ["x"], ["y"], "root")], [ow.value("x", "float32", [3])], [ow.value("y", "float32", [3])])
        model = self.write("root.onnx", root())
        npy.dump(self.path("in", "input_0.npy"), "<f4", [3], [4, -1, 9])
        self.sula("run", model, "--input", self.path("in"), "--output", self.path("out"))
        expect = ["--input", self.path("in"), "--expect", self.path("out")]
        self.assertTrue(self.compare(model, *expect)["outputs_agree"])  # NaN where NaN is expected
        npy.dump(self.path("out", "output_0.npy"), "<f4", [3], [2, 5, 3])
        out = self.compare(model, *expect, code=1)
        self.assertEqual(out["values"][0]["absolute"], "inf")
        self.assertEqual(out["values"][0]["worst"], {"index": [1], "a": 5, "b": "nan"})


if __name__ == "__main__":
    cli_test.SULA = os.path.abspath(sys.argv.pop(1))
    unittest.main()
