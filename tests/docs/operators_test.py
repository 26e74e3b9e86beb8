#!/usr/bin/env python3
"""Fails if docs/operators.md is not what the command line prints: operators_test.py SULA FILE."""
import difflib
import subprocess
import sys

sula, path = sys.argv[1:]
want = subprocess.run([sula, "ops", "--markdown"], check=True, capture_output=True, text=True).stdout
with open(path, encoding="utf-8") as f:
    got = f.read()
if got != want:
    sys.stderr.writelines(list(difflib.unified_diff(got.splitlines(True), want.splitlines(True), path, "sula ops"))[:40])
    sys.exit(f"{path} is out of date: run ./dev docs")
