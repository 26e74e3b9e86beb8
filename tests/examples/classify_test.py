#!/usr/bin/env python3
"""Converts a tiny classifier and runs the example on it: classify_test.py SULA CLASSIFY."""
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import onnx_writer as ow  # noqa: E402

sula, classify = map(os.path.abspath, sys.argv[1:])
with tempfile.TemporaryDirectory() as folder:
    source, model, pixels = (os.path.join(folder, n) for n in ("mean.onnx", "mean.sula", "pixels"))
    with open(source, "wb") as f:  # the score of a class is the mean of its channel
        f.write(ow.model([ow.node("GlobalAveragePool", ["x"], ["p"], "pool"), ow.node("Flatten", ["p"], ["y"], "flat")],
                         [ow.value("x", "float32", [1, 3, 2, 2])], [ow.value("y", "float32", [1, 3])]))
    subprocess.run([sula, "convert", source, "-o", model], check=True, stdout=subprocess.DEVNULL)
    with open(pixels, "wb") as f:
        f.write(struct.pack("<12f", 1, 2, 3, 4, 10, 10, 10, 10, 0, 0, 0, 0.5))
    out = subprocess.run([classify, model, pixels], check=True, capture_output=True, text=True).stdout
    assert out.split("\n") == ["class 1: 10", "class 0: 2.5", "class 2: 0.125", ""], out
    with open(pixels, "wb") as f:
        f.write(b"too short")
    for args in ([], [model], [model, pixels], [source, pixels], [model, os.path.join(folder, "none")]):
        done = subprocess.run([classify, *args], capture_output=True, text=True)
        assert done.returncode in (1, 2) and done.stderr, (args, done)
