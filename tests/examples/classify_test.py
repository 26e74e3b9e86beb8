#!/usr/bin/env python3
"""Converts a tiny classifier and runs the example on a picture: classify_test.py SULA CLASSIFY."""
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import onnx_writer as ow  # noqa: E402

sula, classify = map(os.path.abspath, sys.argv[1:])
with tempfile.TemporaryDirectory() as folder:
    source, model, plain, picture, labels = (os.path.join(folder, n)
                                             for n in ("mean.onnx", "mean.sula", "plain.sula", "p.bmp", "labels.txt"))
    with open(source, "wb") as f:  # the score of a class is the mean of its channel
        f.write(ow.model([ow.node("GlobalAveragePool", ["x"], ["p"], "pool"), ow.node("Flatten", ["p"], ["y"], "flat")],
                         [ow.value("x", "float32", ["n", 3, 2, 2])], [ow.value("y", "float32", ["n", 3])]))
    with open(labels, "w") as f:
        f.write("red\ngreen\nblue\n")
    subprocess.run([sula, "convert", source, "-o", plain], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([sula, "convert", plain, "-o", model, "--image", "raw", "--labels", labels], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(picture, "wb") as f:  # one pixel, in the order blue, green, red
        f.write(struct.pack("<2sIHHI", b"BM", 58, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0)
                + bytes([10, 200, 30, 0]))
    out = subprocess.run([classify, model, picture], check=True, capture_output=True, text=True).stdout
    assert out.split("\n") == ["class 1: 200 green", "class 0: 30 red", "class 2: 10 blue", ""], out
    for args in ([], [model], [plain, picture], [source, picture], [model, os.path.join(folder, "none")], [model, labels]):
        done = subprocess.run([classify, *args], capture_output=True, text=True)
        assert done.returncode in (1, 2) and done.stderr, (args, done)
