#!/usr/bin/env python3
"""Fails if the device library, or a program that links it, holds a symbol of protobuf, of the frontends or of the
optimizer, or if the program needs another library at run time than those of C and C++:
device_only_test.py NM READELF PROGRAM LIBRARY."""
import re
import subprocess
import sys

FOREIGN = ("protobuf", "sula::ImportOnnx", "sula::ImportCaffe", "sula::Optimize(", "sula::Convert(", "stbi_")
ALLOWED = re.compile(r"(libc|libm|libstdc\+\+|libgcc_s|libpthread|ld-linux.*|libasan|libubsan|libtsan)\.so(\.\d+)*$")

nm, readelf, program, library = sys.argv[1:]
for path in (program, library):
    symbols = subprocess.run([nm, "-C", path], check=True, capture_output=True, text=True).stdout.splitlines()
    assert any("sula::Session::Run" in s for s in symbols), f"{path}: no symbols to be read"
    found = [s for s in symbols if any(f in s for f in FOREIGN)]
    assert not found, f"{path} holds what belongs to the converter:\n" + "\n".join(found[:20])
dynamic = subprocess.run([readelf, "-d", program], check=True, capture_output=True, text=True).stdout
needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
assert needed, f"{program}: no needed libraries to be read"
assert all(ALLOWED.match(n) for n in needed), f"{program} needs {needed}"
done = subprocess.run([program], capture_output=True, text=True)
assert done.returncode == 1 and done.stdout, f"{program}: no refusal of a missing model, but {done}"
