#!/usr/bin/env python3
"""Fails if a Markdown file of the project points to a file that is not there, in a link or as a path in
backquotes: links_test.py ROOT."""
import os
import re
import subprocess
import sys

root = sys.argv[1]
files = subprocess.run(["git", "ls-files", "*.md"], cwd=root, capture_output=True, text=True).stdout.split()
files = files or [os.path.relpath(os.path.join(d, f), root) for d, _, names in os.walk(root) for f in names
                  if f.endswith(".md") and "build" not in os.path.relpath(d, root).split(os.sep)]
TOP = ("src/", "include/", "tests/", "cli/", "docs/", "tools/", "cmake/", "examples/", "bench/")
broken, checked = [], 0
for name in files:
    with open(os.path.join(root, name), encoding="utf-8") as f:
        text = f.read()
    links = [os.path.join(os.path.dirname(name), m) for m in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)]
    paths = [m for m in re.findall(r"`([\w./-]+)`", text) if m.startswith(TOP)]
    for target in links + paths:
        checked += 1
        if not os.path.exists(os.path.join(root, target)):
            broken.append(f"{name}: {target}")
assert checked > 20, f"only {checked} links found in {files}"
assert not broken, "these files are not there:\n" + "\n".join(broken)
