#!/usr/bin/env python3
"""Compares instruction counts of kernels and small nets with stored ones: bench_gate.py GATE COUNTS [--update].

GATE is the program bench/gate, COUNTS a text file with a case and its count on each line. Each case runs under
valgrind's callgrind, restricted to AVX2, which every supported x86 has and valgrind knows. A count more than 3 % above
the stored one is a failure, and so is a case without one; one more than 3 % below asks for --update, which writes COUNTS
anew.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

LIMIT = 0.03


def count(gate, case):
    """Instructions of the case's measured part."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--toggle-collect=sula_gate_measured",
                   "--callgrind-out-file=" + os.path.join(folder, "out"), gate, case]
        run = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, SULA_ISA="avx2"))
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not found or int(found[1]) == 0:
        sys.exit(f"error: case '{case}' was not counted (exit {run.returncode}):\n{run.stderr}")
    return int(found[1])


def read(path):
    with open(path) as f:
        lines = [line.split() for line in f if line.strip() and not line.startswith("#")]
    return {name: int(number) for name, number in lines}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gate")
    parser.add_argument("counts")
    parser.add_argument("--update", action="store_true", help="write the counts instead of comparing")
    a = parser.parse_args()
    cases = subprocess.run([a.gate], capture_output=True, text=True, check=True).stdout.split()
    stored = read(a.counts) if os.path.exists(a.counts) else {}
    now, failed = {}, 0
    print(f"{'case':20} {'stored':>12} {'now':>12} {'change':>8}")
    for case in cases:
        now[case] = count(a.gate, case)
        before = stored.get(case)
        change = now[case] / before - 1 if before else None
        verdict = ""
        if not a.update and (change is None or change > LIMIT):
            verdict = "not stored" if change is None else f"more than {LIMIT:.0%} above"
            failed += 1
        elif change is not None and change < -LIMIT:
            verdict = "better: store it with --update"
        print(f"{case:20} {before or '-':>12} {now[case]:>12} {'' if change is None else f'{change:+8.1%}'} {verdict}",
              flush=True)
    if a.update:
        with open(a.counts, "w") as f:
            f.write("# Instructions of each case of bench/gate with AVX2, counted by ./dev bench --check --update\n")
            f.writelines(f"{case} {number}\n" for case, number in now.items())
        print(f"wrote {a.counts}")
    else:
        print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
