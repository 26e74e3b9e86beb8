#!/usr/bin/env python3
"""Tests of the command line: cli_test.py SULA [unittest arguments]."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

import npy
import onnx_writer as ow

SULA = ""


def png(path, width, height, pixel):
    """pixel(x, y) -> (r, g, b)"""
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def bmp(path, width, height, pixel):
    rows = b""
    for y in reversed(range(height)):
        row = b"".join(bytes(reversed(pixel(x, y))) for x in range(width))
        rows += row + b"\0" * (-len(row) % 4)
    with open(path, "wb") as f:
        f.write(struct.pack("<2sIHHI", b"BM", 54 + len(rows), 0, 0, 54)
                + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(rows), 0, 0, 0, 0) + rows)


def add_model():
    """y = x + c, z = x > 0, for x [2,3]."""
    return ow.model([ow.node("Add", ["x", "c"], ["y"], "plus"), ow.node("Greater", ["x", "zero"], ["z"], "positive")],
                    [ow.value("x", "float32", [2, 3])], [ow.value("y", "float32", [2, 3]), ow.value("z", "bool", [2, 3])],
                    [ow.floats("c", [3], [10, 20, 30]), ow.floats("zero", [], [0])])


def identity_model(dtype, shape):
    return ow.model([ow.node("Identity", ["x"], ["y"], "same")], [ow.value("x", dtype, shape)], [ow.value("y", dtype, shape)])


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        os.mkdir(self.path("in"))

    def path(self, *names):
        return os.path.join(self.folder.name, *names)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def sula(self, *args, code=0, stdin=None, isa=None):
        environment = {**os.environ, "SULA_ISA": isa} if isa else None
        p = subprocess.run([SULA, *args], capture_output=True, text=True, timeout=100, input=stdin, env=environment)
        self.assertEqual(p.returncode, code, f"{args}\n{p.stdout}\n{p.stderr}")
        return p

    def fails(self, *args, code=1, says=()):
        """The error text, which must hold all of `says`."""
        p = self.sula(*args, code=code)
        for text in says:
            self.assertIn(text, p.stderr)
        return p.stderr

    def add_inputs(self):
        model = self.write("add.onnx", add_model())
        npy.dump(self.path("in", "input_0.npy"), "<f4", [2, 3], [1, -2, 3, -4, 5, 0])
        return model

    def outputs(self):
        with open(self.path("out", "outputs.json")) as f:
            listing = json.load(f)
        return listing, [npy.load(self.path("out", o["file"])) for o in listing]


class Run(Case):
    def test_source_and_converted_model_agree(self):
        model = self.add_inputs()
        self.sula("convert", model, "-o", self.path("add.sula"))
        for m in (model, self.path("add.sula")):
            self.sula("run", m, "--input", self.path("in"), "--output", self.path("out"))
            listing, (y, z) = self.outputs()
            self.assertEqual(listing, [{"name": "y", "file": "output_0.npy", "shape": [2, 3], "type": "float32"},
                                       {"name": "z", "file": "output_1.npy", "shape": [2, 3], "type": "bool"}])
            self.assertEqual(y, ("<f4", (2, 3), [11, 18, 33, 6, 25, 30]))
            self.assertEqual(z, ("|b1", (2, 3), [True, False, True, False, True, False]))

    def test_inputs_by_name_by_file_and_by_argument(self):
        model = self.add_inputs()
        os.rename(self.path("in", "input_0.npy"), self.path("in", "x.npy"))
        for given in (self.path("in"), self.path("in", "x.npy"), "x=" + self.path("in", "x.npy")):
            self.sula("run", model, "--input", given, "--output", self.path("out"), "--threads", "1", "--backend", "reference")
            self.assertEqual(self.outputs()[1][0][2], [11, 18, 33, 6, 25, 30])

    def test_every_element_type_comes_back(self):
        for dtype, descr in (("float32", "<f4"), ("float16", "<f2"), ("float64", "<f8"), ("int8", "|i1"), ("int16", "<i2"),
                             ("int32", "<i4"), ("int64", "<i8"), ("uint8", "|u1"), ("bool", "|b1")):
            with self.subTest(dtype):
                model = self.write("same.onnx", identity_model(dtype, [2, 2]))
                values = [True, False, True, True] if dtype == "bool" else [1, 2, 100, 0]
                npy.dump(self.path("in", "input_0.npy"), descr, [2, 2], values)
                self.sula("run", model, "--input", self.path("in"), "--output", self.path("out"))
                self.assertEqual(self.outputs()[1][0], (descr, (2, 2), values))

    def test_forms_of_npy(self):
        model = self.write("same.onnx", identity_model("float32", [2, 3]))
        rows, columns = [1, 2, 3, 4, 5, 6], [1, 4, 2, 5, 3, 6]
        for form in (dict(version=2), dict(version=3), dict(descr=">f4"), dict(fortran=True, values=columns)):
            with self.subTest(form):
                npy.dump(self.path("x.npy"), **{"descr": "<f4", "shape": [2, 3], "values": rows, **form})
                self.sula("run", model, "--input", self.path("x.npy"), "--output", self.path("out"))
                self.assertEqual(self.outputs()[1][0], ("<f4", (2, 3), rows))

    def test_scalar_vector_and_empty(self):
        for shape, values in (([], [7]), ([3], [1, 2, 3]), ([0, 4], [])):
            with self.subTest(shape):
                model = self.write("same.onnx", identity_model("float32", shape))
                npy.dump(self.path("x.npy"), "<f4", shape, values)
                self.sula("run", model, "--input", self.path("x.npy"), "--output", self.path("out"))
                self.assertEqual(self.outputs()[1][0], ("<f4", tuple(shape), values))

    def test_other_shapes_than_declared(self):
        named = ow.model([ow.node("Relu", ["x"], ["y"], "r")], [ow.value("x", "float32", ["N", 2])],
                         [ow.value("y", "float32", ["N", 2])])
        for model in (named, identity_model("float32", [1, 2])):
            path = self.write("m.onnx", model)
            npy.dump(self.path("x.npy"), "<f4", [3, 2], [1, 2, 3, 4, 5, 6])
            self.sula("run", path, "--input", self.path("x.npy"), "--output", self.path("out"))
            self.assertEqual(self.outputs()[1][0], ("<f4", (3, 2), [1, 2, 3, 4, 5, 6]))

    def test_sizes_that_depend_on_the_data(self):
        model = self.write("nz.onnx", ow.model([ow.node("NonZero", ["x"], ["y"], "find")], [ow.value("x", "float32", [4])],
                                               [ow.value("y", "int64", [1, "count"])]))
        for values, found in (([0, 5, 0, 6], [1, 3]), ([1, 1, 1, 0], [0, 1, 2]), ([0, 0, 0, 0], [])):
            npy.dump(self.path("x.npy"), "<f4", [4], values)
            self.sula("run", model, "--input", self.path("x.npy"), "--output", self.path("out"))
            self.assertEqual(self.outputs()[1][0], ("<i8", (1, len(found)), found))

    def test_json(self):
        model = self.add_inputs()
        out = json.loads(self.sula("run", model, "--input", self.path("in"), "--json").stdout)
        self.assertEqual([o["name"] for o in out["outputs"]], ["y", "z"])
        self.assertGreaterEqual(out["run_ms"], 0)


class Pictures(Case):
    @staticmethod
    def pixel(x, y):
        return (10 * x, 20 * y, 200)

    def run_picture(self, file, shape, *args, dtype="float32"):
        model = self.write("same.onnx", identity_model(dtype, shape))
        self.sula("run", model, "--input", file, "--output", self.path("out"), *args)
        return self.outputs()[1][0]

    def assert_close(self, got, want):
        self.assertEqual(len(got), len(want))
        for a, b in zip(got, want):
            self.assertAlmostEqual(a, b, places=5)

    def test_planar_scaled_and_normalised(self):
        for kind in (png, bmp):
            kind(self.path("p"), 3, 2, self.pixel)
            _, shape, values = self.run_picture(self.path("p"), [1, 3, 2, 3], "--image", "mean=0.5,0.25,0 std=2")
            self.assertEqual(shape, (1, 3, 2, 3))
            at = [(x, y) for y in range(2) for x in range(3)]
            self.assert_close(values, [(self.pixel(x, y)[c] / 255 - m) / 2 for c, m in enumerate((0.5, 0.25, 0)) for x, y in at])

    def test_channel_last_bgr_and_scale(self):
        png(self.path("p"), 3, 2, self.pixel)
        _, shape, values = self.run_picture(self.path("p"), [2, 3, 3], "--image", "layout=nhwc order=bgr scale=1")
        self.assertEqual(shape, (2, 3, 3))
        self.assert_close(values, [v for y in range(2) for x in range(3) for v in reversed(self.pixel(x, y))])

    def test_bytes_stay_as_they_are(self):
        png(self.path("p"), 3, 2, self.pixel)
        descr, _, values = self.run_picture(self.path("p"), [1, 2, 3, 3], "--image", "layout=nhwc", dtype="uint8")
        self.assertEqual((descr, values), ("|u1", [v for y in range(2) for x in range(3) for v in self.pixel(x, y)]))

    def test_sizes(self):
        png(self.path("p"), 8, 4, lambda x, y: (50, 100, 150))
        for shape, settings, want in (([1, 3, 6, 5], "", (1, 3, 6, 5)), ([1, 3, "h", "w"], "", (1, 3, 4, 8)),
                                      ([1, 3, "h", "w"], "size=16x2", (1, 3, 2, 16)),
                                      ([1, 3, 6, 5], "fit=none", (1, 3, 4, 8)), ([1, 3, 6, 5], "fit=crop(6)", (1, 3, 6, 5))):
            _, shape, values = self.run_picture(self.path("p"), shape, "--image", "scale=1 " + settings)
            self.assertEqual(shape, want)
            per_channel = len(values) // 3  # one colour stays one colour at any size
            self.assert_close(values, [50] * per_channel + [100] * per_channel + [150] * per_channel)

    def test_resize_averages_when_reducing(self):
        png(self.path("p"), 8, 1, lambda x, y: (255 * (x % 2),) * 3)
        _, _, values = self.run_picture(self.path("p"), [1, 3, 1, 2], "--image", "scale=1")
        for v in values:  # fine stripes become grey, not black or white
            self.assertLess(abs(v - 127.5), 12)

    def test_gray(self):
        png(self.path("p"), 2, 2, lambda x, y: (90, 90, 90))
        _, _, values = self.run_picture(self.path("p"), [1, 1, 2, 2], "--image", "scale=1")
        self.assert_close(values, [90] * 4)

    def test_damaged(self):
        png(self.path("p"), 8, 8, self.pixel)
        with open(self.path("p"), "rb") as f:
            data = f.read()
        model = self.write("same.onnx", identity_model("float32", [1, 3, 8, 8]))
        for size in range(8, len(data) - 20, 7):
            self.write("cut.png", data[:size])
            self.fails("run", model, "--input", self.path("cut.png"), says=["cut.png"])

    def classifier(self, *args, shape=(1, 3, 2, 2)):
        """A model whose scores are the means of the channels, converted."""
        source = self.write("mean.onnx", ow.model(
            [ow.node("GlobalAveragePool", ["x"], ["p"], "pool"), ow.node("Flatten", ["p"], ["y"], "flat")],
            [ow.value("x", "float32", shape)], [ow.value("y", "float32", [shape[0], 3])]))
        self.sula("convert", source, "-o", self.path("mean.sula"), *args)
        return self.path("mean.sula")

    def test_settings_and_labels_live_in_the_model(self):
        self.write("labels.txt", b"red\r\ngreen\r\nblue\r\n\r\n")
        model = self.classifier("--image", "tf order=bgr", "--labels", self.path("labels.txt"))
        png(self.path("p.png"), 4, 4, lambda x, y: (255, 0, 51))
        out = json.loads(self.sula("run", model, self.path("p.png"), "--json").stdout)
        best, = out["best"]  # the channels are blue, green, red; the labels don't know
        self.assertEqual([(b["class"], b["label"]) for b in best], [(2, "blue"), (0, "red"), (1, "green")])
        for b, score in zip(best, (1, -0.6, -1)):
            self.assertAlmostEqual(b["score"], score, places=5)
        text = self.sula("run", model, self.path("p.png"), "--top", "1")
        self.assertIn("blue", text.stdout)
        self.assertNotIn("green", text.stdout)
        self.assertEqual(text.stderr, "")
        info = self.sula("info", model).stdout
        self.assertIn("scale=1/127.5 mean=1", info)
        self.assertIn("3 labels", info)
        # Other settings and labels for once; then for good, changing one of them.
        self.write("other.txt", b"first\nsecond\nthird\n")
        once = self.sula("run", model, self.path("p.png"), "--image", "order=rgb", "--labels", self.path("other.txt")).stdout
        self.assertLess(once.index("first"), once.index("third"))
        self.sula("convert", model, "-o", self.path("again.sula"), "--image", "order=rgb")
        info = self.sula("info", self.path("again.sula")).stdout
        self.assertIn("order=rgb scale=1/127.5 mean=1", info)
        self.assertIn("3 labels", info)

    def test_several_pictures(self):
        files = []
        for i, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255))):
            files.append(self.path(f"{i}.png"))
            png(files[-1], 2 + i, 3, lambda x, y, c=colour: c)
        one_by_one = self.classifier("--image", "unit")
        out = json.loads(self.sula("run", one_by_one, *files, "--top", "1", "--json", "--output", self.path("out")).stdout)
        self.assertEqual([run["best"][0][0]["class"] for run in out], [0, 1, 2])
        self.assertEqual(npy.load(self.path("out", "2", "output_0.npy")), ("<f4", (1, 3), [0, 0, 1]))
        text = self.sula("run", one_by_one, *files, "--top", "1").stdout
        self.assertLess(text.index(files[0]), text.index(files[2]))
        at_once = self.classifier("--image", "unit", shape=(3, 3, 2, 2))
        out = json.loads(self.sula("run", at_once, *files, "--top", "1", "--json").stdout)
        self.assertEqual([ranking[0]["class"] for ranking in out["best"]], [0, 1, 2])
        self.fails("run", at_once, *files[:2], says=["3 pictures at a time", "2"])

    def test_what_the_model_does_not_say_is_taken_with_a_note(self):
        png(self.path("p.png"), 4, 4, lambda x, y: (255, 0, 51))
        p = self.sula("run", self.classifier(), self.path("p.png"))
        self.assertIn("scale=1/255", p.stderr)
        self.assertIn("--image", p.stderr)
        four = self.write("four.onnx", identity_model("float32", [1, 4, 2, 2]))
        self.fails("run", four, self.path("p.png"), says=["'x'", "float32[1,4,2,2]", "--image"])

    def test_settings_that_are_wrong(self):
        source = self.write("x.onnx", identity_model("float32", [1, 3, 8, 8]))
        out = ["-o", self.path("x.sula")]
        for settings, says in (("size=4x4", ["size=4x4", "float32[1,3,8,8]"]), ("imagenett", ["imagenett", "imagenet"]),
                               ("sclae=1", ["sclae", "1"]), ("scale=0", ["scale=0", "1/255"]), ("order=gray", ["order=gray"]),
                               ("fit=crop(4)", ["crop(4)"]), ("nobody=unit", ["nobody", "x"])):
            self.fails("convert", source, *out, "--image", settings, says=says)
        self.fails("convert", source, *out, "--labels", self.path("none.txt"), says=["none.txt"])
        self.fails("convert", source, *out, "--labels", self.write("empty.txt", b"\n"), says=["empty.txt", "one label per line"])
        self.sula("convert", source, *out, "--image", "x=unit")
        self.assertIn("image:x", self.sula("info", self.path("x.sula")).stdout)

    def test_preprocessing_as_part_of_the_model(self):
        png(self.path("p.png"), 4, 4, lambda x, y: (255, 0, 51))
        model = self.classifier("--preprocess", "from=bgr tf")
        self.assertIn("uint8[1,x_height,x_width,3]", self.sula("info", model).stdout)
        p = self.sula("run", model, self.path("p.png"), "--output", self.path("out"))
        self.assertEqual(p.stderr, "")
        self.assert_close(self.outputs()[1][0][2], [1, -1, -0.6])
        model = self.classifier("--preprocess", "x=picture=6x5 unit")
        self.assertIn("uint8[1,5,6,3]", self.sula("info", model).stdout)
        source = self.write("x.onnx", identity_model("float32", [1, 3, 8, 8]))
        out = ["-o", self.path("x.sula")]
        for settings, says in (("from=rgbx", ["from=rgbx", "bgra"]), ("mean=1,2", ["3 channels"]), ("nobody=unit", ["nobody", "x"])):
            self.fails("convert", source, *out, "--preprocess", settings, says=says)
        self.fails("convert", source, *out, "--preprocess", "resize=box-pil", says=["bilinear-pil"], code=3)

    def test_labels_that_fit_no_output(self):
        self.write("labels.txt", b"a\nb\n")
        model = self.classifier("--image", "unit", "--labels", self.path("labels.txt"))
        png(self.path("p.png"), 2, 2, self.pixel)
        self.assertIn("2 labels", self.sula("run", model, self.path("p.png")).stderr)


class Errors(Case):
    def test_missing_files(self):
        model = self.add_inputs()
        self.fails("run", self.path("no.onnx"), "--input", self.path("in"), says=["no.onnx"])
        self.fails("run", self.path("no.sula"), "--input", self.path("in"), says=["no.sula"])
        self.fails("run", model, "--input", self.path("no.npy"), says=["no.npy"])
        self.fails("run", model, says=["'x'", "--input"])
        self.fails("convert", self.path("no.onnx"), "-o", self.path("o.sula"), says=["no.onnx"])
        os.remove(self.path("in", "input_0.npy"))
        self.fails("run", model, "--input", self.path("in"), says=["input 0", "'x'", "float32[2,3]"])

    def test_wrong_type_and_shape(self):
        model = self.add_inputs()
        npy.dump(self.path("x.npy"), "<f8", [2, 3], [0] * 6)
        self.fails("run", model, "--input", self.path("x.npy"), says=["float64", "float32[2,3]", "astype"])
        npy.dump(self.path("x.npy"), "<f4", [2, 3, 1], [0] * 6)
        self.fails("run", model, "--input", self.path("x.npy"), says=["[2,3,1]", "float32[2,3]", "axes"])
        npy.dump(self.path("x.npy"), "<f4", [2, 4], [0] * 8)
        self.fails("run", model, "--input", self.path("x.npy"), says=["plus", "4", "3"])
        self.sula("convert", model, "-o", self.path("add.sula"))
        self.fails("run", self.path("add.sula"), "--input", self.path("x.npy"), says=["[2,4]", "float32[2,3]", "--input-shape x=2,4"])

    def test_too_many_inputs(self):
        model = self.add_inputs()
        npy.dump(self.path("in", "input_1.npy"), "<f4", [1], [0])
        self.fails("run", model, "--input", self.path("in"), says=["input_1.npy", "1 input"])

    def test_damaged_npy(self):
        model = self.add_inputs()
        with open(self.path("in", "input_0.npy"), "rb") as f:
            good = f.read()
        for size in range(len(good)):
            self.write("cut.npy", good[:size])
            if size % 5 == 0:
                self.fails("run", model, "--input", self.path("cut.npy"), says=["cut.npy"])
        for old, new in ((b"(2, 3)", b"(-2, 3)"), (b"(2, 3)", b"(9999999999, 9999999999)"), (b"(2, 3)", b"(2, 3"), (b"{", b"["),
                         (b"'shape'", b"'shale'"), (b"(2, 3)", b"(2, 3e1)"), (b"(2, 3)", b"('a', 3)"), (b"\x93", b"\x92")):
            self.write("bad.npy", good.replace(old, new))
            self.fails("run", model, "--input", self.path("bad.npy"), says=["bad.npy"])

    def test_unsupported_is_exit_code_3(self):
        model = self.write("x.onnx", ow.model([ow.node("NoSuchOperator", ["x"], ["y"], "here"), ow.node("NorThis", ["y"], ["z"], "there")],
                                              [ow.value("x", "float32", [1])], [ow.value("z", "float32", [1])]))
        for command in (["convert", model, "-o", self.path("o.sula")], ["run", model, "--input", self.path("in")], ["info", model]):
            self.fails(*command, code=3, says=["NoSuchOperator", "here", "NorThis", "there"])
        self.assertFalse(os.path.exists(self.path("o.sula")))
        for name, data, framework in (("a.tflite", b"\0\0\0\0TFL3", "TFLite"), ("a.pb", b"\x0a", "TensorFlow"),
                                      ("a.h5", b"\x89HDF", "Keras"), ("a.pt", b"PK\x03\x04", "TorchScript")):
            self.fails("run", self.write(name, data), "--input", self.path("in"), code=3, says=[framework, name])
        net = self.write("net.prototxt", b"input: 'x' input_shape { dim: 1 } layer { name: 'l' type: 'NoSuchLayer' bottom: 'x' top: 'y' }")
        self.fails("info", net, code=3, says=["NoSuchLayer", "'l'", "net.prototxt"])
        same = self.write("same.onnx", identity_model("float32", [1]))
        with open(self.path("x.npy"), "wb") as f:
            f.write(b"\x93NUMPY\x01\0" + struct.pack("<H", 54) + b"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}" + b"\0" * 8)
        self.fails("run", same, "--input", self.path("x.npy"), code=3, says=["<c8"])

    def test_damaged_models(self):
        good = add_model()
        model = self.write("good.onnx", good)
        self.sula("convert", model, "-o", self.path("good.sula"))
        with open(self.path("good.sula"), "rb") as f:
            data = f.read()
        for name, whole in (("cut.sula", data), ("cut.onnx", good)):
            for size in range(1, len(whole), len(whole) // 12):
                self.write(name, whole[:size])
                p = subprocess.run([SULA, "info", self.path(name)], capture_output=True, text=True, timeout=60)
                self.assertIn(p.returncode, (1, 3), f"{name} of {size} bytes: {p.stderr}")
                self.assertIn(name, p.stderr)
        damaged = bytearray(data)
        damaged[-70] ^= 1
        self.write("damaged.sula", bytes(damaged))
        self.fails("info", self.path("damaged.sula"), "--check", says=["hash"])
        self.sula("info", self.path("good.sula"), "--check")

    def test_usage(self):
        model = self.add_inputs()
        for args in ([], ["nonsense"], ["run"], ["run", model, "--nonsense"], ["run", model, "--threads", "none"],
                     ["run", model, "--threads", "0"], ["convert", model], ["run", model, "--layout", "sideways"],
                     ["bench", model, "--output", "x"]):
            self.sula(*args, code=2)
        for args in (["run", model, "--input", self.path("in"), "--backend", "gpu"], ["bench", model, "--threads", "1,x"],
                     ["info", model, "--input-shape", "x=1,two"], ["info", model, "--input-shape", "nobody=1"],
                     ["convert", model, "-o", self.path("o"), "--disable", "no-such-rule"],
                     ["run", model, "--input", self.path("in"), "--max-memory", "lots"],
                     ["convert", model, "-o", self.path("o"), "--input-value", "x=one"],
                     ["convert", model, "-o", self.path("o"), "--input-value", "nobody=1"],
                     ["run", model, "--input", self.path("in"), "--max-error", "1"]):
            self.fails(*args)
        self.fails("run", model, "--input", self.path("in"), "--max-bytes", "1", says=["max_bytes allows 1", "needs"])

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            p = subprocess.run([SULA, "ops", "--json"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(p.returncode, 1, p.stderr)
        model = self.add_inputs()
        self.fails("run", model, "--input", self.path("in"), "--output", "/proc/nothing", says=["/proc/nothing"])
        self.fails("convert", model, "-o", "/proc/nothing/o.sula", says=["/proc/nothing"])

    def test_help_everywhere(self):
        self.assertIn("Exit codes", self.sula("--help").stdout)
        self.assertRegex(self.sula("--version").stdout, r"\d+\.\d+\.\d+")
        for command in ("convert", "run", "bench", "info", "explain", "ops"):
            self.assertIn("--json", self.sula(command, "--help").stdout)


class Convert(Case):
    def conv_model(self):
        return self.write("conv.onnx", ow.model(
            [ow.node("Conv", ["x", "w"], ["c"], "conv", kernel_shape=[1, 1]), ow.node("Relu", ["c"], ["y"], "act")],
            [ow.value("x", "float32", ["N", 2, 4, 4])], [ow.value("y", "float32", ["N", 3, 4, 4])],
            [ow.floats("w", [3, 2, 1, 1], [1, 2, 3, 4, 5, 6])]))

    def test_summary_shapes_and_ir(self):
        out = json.loads(self.sula("convert", self.conv_model(), "-o", self.path("c.sula"), "--input-shape", "x=5,2,4,4",
                                   "--dump-ir", self.path("c.ir"), "--json").stdout)
        self.assertEqual(out["nodes_before"], 2)
        self.assertEqual(out["parameters"], 6)
        self.assertGreaterEqual(out["multiply_adds_before"], 5 * 3 * 2 * 16)
        self.assertEqual(out["file_bytes"], os.path.getsize(self.path("c.sula")))
        with open(self.path("c.ir")) as f:
            self.assertIn("float32[5,3,4,4]", f.read())
        info = json.loads(self.sula("info", self.path("c.sula"), "--json").stdout)
        self.assertEqual(info["outputs"][0]["dims"], [5, 3, 4, 4])

    def test_stop_after_and_disable(self):
        model = self.conv_model()
        nodes = lambda *args: json.loads(self.sula("convert", model, "-o", self.path("c.sula"), "--json", *args).stdout)
        full = nodes()
        self.assertLess(full["nodes_after"], 2)  # the activation is part of the convolution
        self.assertEqual(nodes("--stop-after", "0")["nodes_after"], 2)
        rules = [name for name, count in full["rules"].items()]
        self.assertEqual(nodes(*[a for r in rules for a in ("--disable", r)])["rules"], {})
        listing = self.sula("convert", "--list-rules").stdout
        for rule in rules:
            self.assertIn(rule, listing)

    def test_free_sizes(self):
        model = self.write("same.onnx", identity_model("float32", [1, 2]))
        self.sula("convert", model, "-o", self.path("s.sula"), "--input-shape", "x=batch,2")
        info = json.loads(self.sula("info", self.path("s.sula"), "--json").stdout)
        self.assertEqual(info["inputs"][0]["type"], "float32[batch,2]")
        sized = json.loads(self.sula("info", self.path("s.sula"), "--json", "--input-shape", "7,2").stdout)
        self.assertEqual(sized["outputs"][0]["dims"], [7, 2])


class Looking(Case):
    def test_info(self):
        text = self.sula("info", self.add_inputs()).stdout
        for part in ("float32[2,3]", "bool[2,3]", "Add", "Greater", "parameters", "multiply-adds"):
            self.assertIn(part, text)

    def test_explain(self):
        model = self.add_inputs()
        text = self.sula("explain", model, "--backend", "reference").stdout
        for part in ("plus", "Add", "reference", "lower bound", "Memory"):
            self.assertIn(part, text)
        plan = json.loads(self.sula("explain", model, "--json").stdout)
        self.assertGreaterEqual(plan["arena_bytes"], plan["lower_bound_bytes"])
        self.assertEqual({n["name"] for n in plan["nodes"]} & {"plus", "positive"}, {"plus", "positive"})
        for n in plan["nodes"]:
            self.assertTrue(n["kernel"])

    def test_ops(self):
        operators = json.loads(self.sula("ops", "--json").stdout)
        conv = next(o for o in operators if o["name"] == "Conv")
        self.assertEqual([p["name"] for p in conv["inputs"]][:2], ["x", "w"])
        self.assertIn("strides", [f["name"] for f in conv["fields"]])
        self.assertIn("Conv", self.sula("ops").stdout)
        self.assertIn("strides", self.sula("ops", "Conv").stdout)
        self.assertIn("| `strides` |", self.sula("ops", "--markdown").stdout)
        self.fails("ops", "NoSuchOperator", says=["NoSuchOperator"])


class Bench(Case):
    def test_table_and_profile(self):
        model = self.add_inputs()
        text = self.sula("bench", model, "--threads", "1,2", "--seconds", "0.05", "--profile").stdout
        for part in ("median", "p95", "GFLOP/s", "Operators, 1 thread", "Operators, 2 threads", "plus"):
            self.assertIn(part, text)
        text = self.sula("bench", model, "--threads", "1,2", "--sessions", "1,3", "--seconds", "0.05").stdout
        for part in ("sessions", "threads each", "runs a second", "1.00 x", "between runs"):
            self.assertIn(part, text)
        rows = json.loads(self.sula("bench", model, "--sessions", "2", "--threads", "1", "--seconds", "0.05", "--json").stdout)["rows"]
        self.assertEqual([(r["sessions"], r["threads"]) for r in rows], [(2, 1)])
        self.assertGreater(rows[0]["runs_per_second"], 0)
        self.fails("bench", model, "--sessions", "0", says=["'0' is not a list of numbers of sessions"])
        out = json.loads(self.sula("bench", model, "--threads", "2", "--seconds", "0.05", "--json").stdout)
        row, = out["threads"]
        self.assertEqual(row["threads"], 2)
        self.assertLessEqual(row["min_ms"], row["median_ms"])
        self.assertLessEqual(row["median_ms"], row["p95_ms"])

    def test_unknown_sizes_are_asked_for(self):
        model = self.write("m.onnx", identity_model("float32", ["N", 2]))
        self.fails("bench", model, says=["--input-shape"])
        self.sula("bench", model, "--input-shape", "3,2", "--seconds", "0.01")

    def test_pack_cache(self):
        weights = ow.floats("w", [64, 32], [i % 7 for i in range(64 * 32)])
        source = self.write("m.onnx", ow.model([ow.node("MatMul", ["x", "w"], ["y"], "times")],
                                               [ow.value("x", "float32", [3, 64])], [ow.value("y", "float32", [3, 32])], [weights]))
        model, packs = self.path("m.sula"), self.path("packs") + "/"
        self.sula("convert", source, "-o", model)
        bench = lambda where, isa: json.loads(self.sula(
            "bench", model, "--threads", "1", "--seconds", "0.01", "--pack-cache", where, "--json", isa=isa).stdout)["threads"][0]
        # Every instruction set has a file of its own in a folder, and only its own will do by name.
        for isa in ("scalar", "avx2", "avx512"):
            bench(packs, isa)
            self.assertIn("read from", bench(packs, isa)["pack_cache"])
        self.assertIn("written to", bench(self.path("m.packs"), "scalar")["pack_cache"])
        if len(os.listdir(packs)) > 1:
            refused = self.sula("bench", model, "--pack-cache", self.path("m.packs"), code=1, isa="avx512")
            self.assertIn("made for scalar on", refused.stderr)
        plan = json.loads(self.sula("explain", model, "--threads", "1", "--pack-cache", packs, "--json").stdout)
        self.assertGreater(plan["mapped_bytes"], 64 * 32 * 4)
        self.assertIn("of them in the pack cache", self.sula("explain", model, "--threads", "1", "--pack-cache", packs).stdout)
        turns = self.sula("bench", model, "--threads", "1", "--turns", "--pack-cache", packs, "--check-packs", stdin="0\n").stdout
        self.assertIn("first_ms", turns)
        self.fails("bench", source, "--pack-cache", packs, says=["convert it first"])
        self.fails("bench", model, "--pack-cache", model, says=[model, "not a pack cache"])

    def test_turns(self):
        model = self.add_inputs()
        p = subprocess.Popen([SULA, "bench", model, "--threads", "1", "--input", self.path("in"), "--output", self.path("out"), "--turns"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ready = json.loads(p.stdout.readline())
        self.assertEqual(set(ready), {"load_ms", "first_ms", "peak_mb"})
        self.assertGreater(ready["peak_mb"], 0)
        self.assertEqual(self.outputs()[1][0][2], [11, 18, 33, 6, 25, 30])
        for seconds in ("0", "0.05"):
            p.stdin.write(seconds + "\n")
            p.stdin.flush()
            turn = json.loads(p.stdout.readline())
            self.assertEqual(set(turn), {"wall", "cpu", "peak_mb"})
            self.assertTrue(2 <= len(turn["wall"]) <= 400)
            self.assertEqual(len(turn["cpu"]), len(turn["wall"]))
            self.assertGreater(min(turn["wall"]), 0)
        self.assertEqual(len(turn["wall"]), 400)  # of microseconds each
        p.stdin.close()
        self.assertEqual(p.wait(20), 0)
        p.stdout.close()


if __name__ == "__main__":
    SULA = os.path.abspath(sys.argv.pop(1))
    unittest.main()
