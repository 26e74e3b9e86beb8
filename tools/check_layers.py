#!/usr/bin/env python3
"""Holds every #include of src/, include/, cli/ and examples/ to the layers of docs/architecture.md.

That page has two fenced blocks. `layers` says which folders a folder may include, together with
everything those may include:

    src/tensor : src/base

`confined` says which folders alone may see a header from outside the project:

    google/protobuf/ *.pb.h : src/frontends

Usage: check_layers.py [ROOT]. Prints one line for each breach; exit code 1 if there is one.
"""

import fnmatch
import os
import re
import sys

CHECKED = ("src", "include", "cli", "examples")
SUFFIXES = (".h", ".cc", ".inc")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


class Rules:
    """The tables of docs/architecture.md."""

    def __init__(self, text):
        self.uses = {}
        for line in self._block(text, "layers"):
            folder, _, used = line.partition(":")
            self.uses[folder.strip()] = used.split()
        self.confined = []
        for line in self._block(text, "confined"):
            patterns, _, folders = line.partition(":")
            self.confined.append((patterns.split(), folders.split()))
        for folder, used in self.uses.items():
            for other in used:
                if other not in self.uses:
                    raise ValueError(f"{folder} uses {other}, which is not in the table of layers")
        self.reachable = {folder: self._reach(folder, ()) for folder in self.uses}

    @staticmethod
    def _block(text, name):
        found = re.search(rf"^```{name}\n(.*?)^```", text, re.M | re.S)
        if not found:
            raise ValueError(f"docs/architecture.md has no ```{name} block")
        return [line for line in found.group(1).splitlines() if line.strip()]

    def _reach(self, folder, path):
        if folder in path:
            raise ValueError("the table of layers has a cycle: " + " -> ".join(path + (folder,)))
        reached = {folder}
        for used in self.uses[folder]:
            reached |= self._reach(used, path + (folder,))
        return reached

    def layer_of(self, path):
        """The longest folder of the table that holds the file."""
        folder = os.path.dirname(path)
        while folder and folder not in self.uses:
            folder = os.path.dirname(folder)
        return folder

    def keeper_of(self, header):
        """The folders that may see an outside header; None if it is not confined."""
        for patterns, folders in self.confined:
            for pattern in patterns:
                if header.startswith(pattern) or fnmatch.fnmatch(header, pattern):
                    return folders
        return None


def resolve(root, file, header):
    """The file of this project that an include means, or None."""
    for base in (os.path.dirname(file), "src", "include"):
        path = os.path.normpath(os.path.join(base, header))
        if os.path.isfile(os.path.join(root, path)):
            return path
    return None


def breaches(root, rules):
    """Yields "file:line: what is wrong"."""
    for top in CHECKED:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith(SUFFIXES):
                    file = os.path.relpath(os.path.join(folder, name), root)
                    yield from breaches_of(root, rules, file)


def breaches_of(root, rules, file):
    layer = rules.layer_of(file)
    if not layer:
        yield f"{file}: its folder is not in the table of layers"
        return
    with open(os.path.join(root, file), encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quoted, header = match.group(1) == '"', match.group(2)
            own = resolve(root, file, header)
            if own:
                other = rules.layer_of(own)
                if other not in rules.reachable[layer]:
                    yield f"{file}:{number}: {layer} must not include {header} ({other or 'no layer'})"
                continue
            keepers = rules.keeper_of(header)
            if keepers is None:
                if quoted:
                    yield f"{file}:{number}: no such header: {header}"
            elif not any(layer == k or layer.startswith(k + "/") for k in keepers):
                yield f"{file}:{number}: {header} may be seen by {', '.join(keepers)} only"


def main(arguments):
    root = arguments[0] if arguments else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        with open(os.path.join(root, "docs", "architecture.md"), encoding="utf-8") as page:
            rules = Rules(page.read())
    except (OSError, ValueError) as error:
        print(error)
        return 1
    found = list(breaches(root, rules))
    for line in found:
        print(line)
    print(f"{len(found)} breaches of the layers" if found else "layers: every include is allowed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
