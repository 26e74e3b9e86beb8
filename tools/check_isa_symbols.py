#!/usr/bin/env python3
"""Checks that objects compiled for an instruction set define no function that others could get.

    check_isa_symbols.py libsula_cpu_kernels.a

Inline functions and templates become weak symbols, of which the linker keeps one for all files.
Were one compiled with AVX-512 the survivor, the program would fail on processors without it. So
every weak symbol of *_avx2.cc.o and *_avx512.cc.o must name its vector type, which makes it that
instruction set's own.
"""
import re
import subprocess
import sys


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = subprocess.run(["nm", "--demangle", sys.argv[1]], capture_output=True, text=True, check=True).stdout
    vector_type = None
    checked = 0
    bad = []
    for line in out.splitlines():
        member = re.match(r"(\S+)\.o:$", line)
        if member:
            isa = re.search(r"_(avx2|avx512)\.cc$", member.group(1))
            vector_type = isa.group(1).capitalize() if isa else None
            name = member.group(1)
            continue
        symbol = re.match(r"[0-9a-f]+ ([WVu]) (.*)$", line)
        if vector_type and symbol:
            checked += 1
            if vector_type not in symbol.group(2):
                bad.append(f"{name}: {symbol.group(2)}")
    if bad:
        sys.exit("shared symbols compiled for an instruction set:\n  " + "\n  ".join(bad))
    print(f"{checked} weak symbols, each of one instruction set")


if __name__ == "__main__":
    main()
