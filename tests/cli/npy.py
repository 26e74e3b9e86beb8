"""Reads and writes .npy files with nothing but the standard library."""
import ast
import struct

CODES = {"<f4": "f", "<f2": "e", "<f8": "d", "|i1": "b", "<i2": "h", "<i4": "i", "<i8": "q", "|u1": "B", "|b1": "?",
         ">f4": "f", ">i4": "i"}


def dump(path, descr, shape, values, version=1, fortran=False):
    """`values` in the order of the file."""
    text = repr({"descr": descr, "fortran_order": fortran, "shape": tuple(shape)})
    head = 8 + (2 if version == 1 else 4)
    text += " " * (-(head + len(text) + 1) % 64) + "\n"
    order = ">" if descr[0] == ">" else "<"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)))
        f.write(text.encode())
        f.write(struct.pack(f"{order}{len(values)}{CODES[descr]}", *values))


def load(path):
    """(descr, shape, values)"""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    size, = struct.unpack("<H", data[8:10])
    assert (10 + size) % 64 == 0 and data[9 + size:10 + size] == b"\n"
    head = ast.literal_eval(data[10:10 + size].decode())
    assert head["fortran_order"] is False
    body = data[10 + size:]
    code = CODES[head["descr"]]
    return head["descr"], head["shape"], list(struct.unpack(f"<{len(body) // struct.calcsize(code)}{code}", body))
