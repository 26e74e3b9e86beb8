"""Writes small ONNX models with nothing but the standard library."""
import struct

TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11}


def varint(n):
    n &= (1 << 64) - 1
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def block(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def value(name, dtype, shape):
    """A ValueInfoProto; sizes are numbers or names."""
    dims = b"".join(block(1, number(1, d) if isinstance(d, int) else block(2, d)) for d in shape)
    return block(1, name) + block(2, block(1, number(1, TYPES[dtype]) + block(2, dims)))


def tensor(name, dtype, shape, raw):
    return b"".join(number(1, d) for d in shape) + number(2, TYPES[dtype]) + block(8, name) + block(9, raw)


def floats(name, shape, values):
    return tensor(name, "float32", shape, struct.pack(f"<{len(values)}f", *values))


def attribute(name, v):
    """An int, a float, text or a list of ints."""
    if isinstance(v, int):
        return block(1, name) + number(3, v) + number(20, 2)
    if isinstance(v, float):
        return block(1, name) + varint(2 << 3 | 5) + struct.pack("<f", v) + number(20, 1)
    if isinstance(v, str):
        return block(1, name) + block(4, v) + number(20, 3)
    return block(1, name) + b"".join(number(8, i) for i in v) + number(20, 7)


def node(op, inputs, outputs, name="", **attributes):
    return (b"".join(block(1, i) for i in inputs) + b"".join(block(2, o) for o in outputs) + block(3, name) + block(4, op)
            + b"".join(block(5, attribute(k, v)) for k, v in attributes.items()))


def model(nodes, inputs, outputs, initializers=(), opset=17):
    graph = (b"".join(block(1, n) for n in nodes) + block(2, "test") + b"".join(block(5, t) for t in initializers)
             + b"".join(block(11, i) for i in inputs) + b"".join(block(12, o) for o in outputs))
    return number(1, 8) + block(8, block(1, "") + number(2, opset)) + block(7, graph)
