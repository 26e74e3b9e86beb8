#!/usr/bin/env python3
"""Reports what each part of the device library costs, and fails if the whole is too large.

    size_report.py OBJECTS_FILE [--linker g++] [--strip strip] [--limit BYTES] [--files]

OBJECTS_FILE lists the object files of the library, one a line. They are linked, every one of them, into
a shared object, which is stripped: its size is what a device has to store. The linker's map says which
object each byte came from. A part is a folder of src; the kernels of the CPU backend are shown by
family and instruction set. --files lists every object.
"""
import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile

# What a section is for; those that strip removes and those without bytes in the file are left out.
CODE, DATA = "code", "data"
LINKER = "the linker's own: relocations, call stubs, start-up code"


def kind_of(section):
    if section.startswith((".text", ".init", ".fini", ".plt")):
        return CODE
    if section.startswith((".debug", ".comment", ".note.GNU-stack", ".symtab", ".strtab", ".shstrtab", ".bss", ".tbss")):
        return None
    return DATA


def part_of(path):
    """The part of the library that an object file belongs to."""
    source = re.sub(r"CMakeFiles/[^/]*\.dir/", "", os.path.normpath(path).replace(os.sep, "/"))
    source = re.sub(r"\.(o|obj)$", "", source[source.rfind("/src/") + len("/src/"):])
    folder, name = os.path.split(source)
    if "/kernels" in folder:
        isa = re.search(r"_(scalar|avx2|avx512)\.\w+$", name)
        return f"{folder} ({isa.group(1) if isa else 'any processor'})"
    return folder


def read_map(text, objects):
    """Bytes by (object or "", kind): "" for what the linker adds itself."""
    sizes = collections.Counter()
    known = set(objects)
    begin = text.index("Linker script and memory map")
    # " .text._ZN4sula  0x0000000000001000  0x12 /path/x.o"; long names are followed by a line break.
    entry = re.compile(r"^ (\.[\w.$@]+)\s+0x[0-9a-f]+\s+(0x[0-9a-f]+) (\S.*)$", re.M)
    for section, size, path in entry.findall(re.sub(r"^( \.\S+)\n", r"\1 ", text[begin:], flags=re.M)):
        kind = kind_of(section)
        if kind:
            sizes[path if path in known else "", kind] += int(size, 16)
    return sizes


def link(objects, linker, strip):
    """The size of the stripped shared object, and the linker's map."""
    with tempfile.TemporaryDirectory() as folder:
        library, link_map = os.path.join(folder, "all.so"), os.path.join(folder, "all.map")
        response = os.path.join(folder, "objects")
        with open(response, "w") as f:
            f.write("\n".join(objects))
        subprocess.run([linker, "-shared", "-o", library, f"-Wl,-Map={link_map}", f"@{response}", "-pthread"], check=True)
        subprocess.run([strip, library], check=True)
        with open(link_map, errors="replace") as f:
            return os.path.getsize(library), f.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objects")
    parser.add_argument("--linker", default="g++")
    parser.add_argument("--strip", default="strip")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--files", action="store_true")
    options = parser.parse_args()
    with open(options.objects) as f:
        objects = [line.strip() for line in f if line.strip()]
    if not objects:
        sys.exit(f"{options.objects} names no object file")
    total, link_map = link(objects, options.linker, options.strip)
    sizes = read_map(link_map, objects)

    parts = collections.defaultdict(collections.Counter)
    for (path, kind), size in sizes.items():
        name = (LINKER if not path else
                os.path.relpath(path, os.path.commonpath(objects)) if options.files else part_of(path))
        parts[name][kind] += size
    rows = sorted(parts.items(), key=lambda item: -sum(item[1].values()))
    width = max(len(name) for name in parts)
    print(f"{'part':{width}} {'code':>9} {'data':>9} {'sum':>9}  share")
    counted = 0
    for name, part in rows:
        size = sum(part.values())
        counted += size
        print(f"{name:{width}} {part[CODE]:9d} {part[DATA]:9d} {size:9d} {100 * size / total:5.1f} %")
    rest = total - counted
    print(f"{'symbols, unwind index; less what is shared':{width}} {'':9} {'':9} {rest:9d} {100 * rest / total:5.1f} %")
    print(f"{'stripped library':{width}} {'':9} {'':9} {total:9d}")
    if options.limit and total > options.limit:
        sys.exit(f"the device library has {total} bytes, allowed are {options.limit}")


if __name__ == "__main__":
    main()
