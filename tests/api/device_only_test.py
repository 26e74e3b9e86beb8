#!/usr/bin/env python3
"""Fails if the device library, or a program that links it, holds a symbol of protobuf, of the frontends or of the
optimizer: device_only_test.py NM PROGRAM LIBRARY."""
import subprocess
import sys

FOREIGN = ("protobuf", "sula::ImportOnnx", "sula::Optimize(", "sula::Convert(")

nm, program, library = sys.argv[1:]
for path in (program, library):
    symbols = subprocess.run([nm, "-C", path], check=True, capture_output=True, text=True).stdout.splitlines()
    assert any("sula::Session::Run" in s for s in symbols), f"{path}: no symbols to be read"
    found = [s for s in symbols if any(f in s for f in FOREIGN)]
    assert not found, f"{path} holds what belongs to the converter:\n" + "\n".join(found[:20])
done = subprocess.run([program], capture_output=True, text=True)
assert done.returncode == 1 and done.stdout, f"{program}: no refusal of a missing model, but {done}"
