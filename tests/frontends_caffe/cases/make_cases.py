#!/usr/bin/env python3
"""Writes *.case: Caffe nets with what OpenCV's dnn module computes for them, or, for what it
lacks or does otherwise than Caffe on purpose, plain numpy code that follows Caffe's documentation.

    python -m venv venv && venv/bin/pip install "opencv-python-headless<5" numpy
    venv/bin/python tests/frontends_caffe/cases/make_cases.py            (writes all files anew)
    venv/bin/python tests/frontends_caffe/cases/make_cases.py --only lrn (shows these cases, writes nothing)

Not part of the tests: cases_test.cc reads what was written. (OpenCV 5 has no Caffe importer.)

A case holds a net, and seeds in the place of weights and inputs: both sides draw the same numbers
(`uniform` here, Uniform in cases_test.cc). Form of a file:

    case NAME
    # what is special about it
    input BLOB D D ... seed S range LOW HIGH
    blob LAYER D D ... seed S range LOW HIGH       one per blob of the layer, in order
    net
    ...prototxt...
    endnet
    output BLOB D D ... tolerance T
    v v v ...                                      elements 0, step, 2 * step, ...: at most SAMPLES

Tolerances come from the arithmetic: both sides add up sums of n products in float, sula in double
on its reference backend. The rounding errors of n additions grow like sqrt(n) times 2^-24 of the
sum's parts, which here, with random signs, are sqrt(n) times as large together as the result: so n *
2^-24 of the largest output, with n summed over the layers, and 8 for what each does besides.
"""
import argparse
import os

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = 72


def uniform(seed, count, low, high):
    """count float32 in [low, high): a hash (MurmurHash3's finalizer) of the index and the seed."""
    x = (np.arange(count, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B1)).astype(np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint32(shift)
        x = (x.astype(np.uint64) * np.uint64(factor)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return (low + (high - low) * ((x >> np.uint32(8)) / 2.0**24)).astype(np.float32)


# ---------------------------------------------------------------- the caffemodel, by hand
def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def blob_proto(array):
    shape = field(1, b"".join(varint(d) for d in array.shape))
    return field(7, shape) + field(5, array.astype("<f4").tobytes())


def caffemodel(weights):
    """Protobuf: NetParameter.layer = 100; LayerParameter.name = 1, type = 2, blobs = 7."""
    layers = b""
    for name, kind, arrays in weights:
        body = field(1, name.encode()) + field(2, kind.encode())
        layers += field(100, body + b"".join(field(7, blob_proto(a)) for a in arrays))
    return layers


# ---------------------------------------------------------------- nets
class Net:
    """Collects layers, inputs and blobs; sizes of blobs are the caller's."""

    def __init__(self, name, note="", reference=None):
        """reference(inputs, blobs): instead of OpenCV; arrays by blob and lists of arrays by layer ->
        arrays by top."""
        self.name, self.note, self.reference = name, note, reference
        self.text, self.inputs, self.blobs = [], [], []
        self.terms = 0
        self.seed = sum(name.encode()) * 7 % 1000

    def draw(self):
        self.seed += 1
        return self.seed

    def input(self, name, dims, low=-1.0, high=1.0):
        self.inputs.append((name, dims, self.draw(), low, high))
        shape = "".join(f" dim: {d}" for d in dims)
        self.text.append(f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{{shape} }} }} }}')
        return name

    def blob(self, layer, kind, dims, low, high):
        self.blobs.append((layer, kind, dims, self.draw(), low, high))

    def layer(self, kind, bottoms, name, params="", tops=None, terms=8):
        """params: text inside the layer. Returns the first top's name."""
        bottoms = [bottoms] if isinstance(bottoms, str) else bottoms
        tops = [name] if tops is None else tops
        ports = "".join(f' bottom: "{b}"' for b in bottoms) + "".join(f' top: "{t}"' for t in tops)
        self.text.append(f'layer {{ name: "{name}" type: "{kind}"{ports}{" " + params if params else ""} }}')
        self.terms += terms + 8
        return tops[0]

    # ---- layers with weights: outputs, inputs per group, kernel...
    def conv(self, bottom, name, outputs, inputs, kernel, params="", bias=True, kind="Convolution", group=1):
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        size = f"kernel_size: {kernel[0]}" if kernel[0] == kernel[1] else f"kernel_h: {kernel[0]} kernel_w: {kernel[1]}"
        text = f"num_output: {outputs} {size} {params}".strip()
        if group > 1:
            text += f" group: {group}"
        if not bias:
            text += " bias_term: false"
        count = inputs // group * kernel[0] * kernel[1]
        bound = (3.0 / count)**0.5  # keeps the variance
        dims = [outputs, inputs // group, *kernel] if kind != "Deconvolution" else [inputs, outputs // group, *kernel]
        self.blob(name, kind, dims, -bound, bound)
        if bias:
            self.blob(name, kind, [outputs], -0.5, 0.5)
        return self.layer(kind, bottom, name, f"convolution_param {{ {text} }}", terms=count)

    def fc(self, bottom, name, outputs, inputs, params="", bias=True):
        bound = (3.0 / inputs)**0.5
        self.blob(name, "InnerProduct", [inputs, outputs] if "transpose: true" in params else [outputs, inputs], -bound, bound)
        if bias:
            self.blob(name, "InnerProduct", [outputs], -0.5, 0.5)
        text = f"num_output: {outputs} {params}".strip() + ("" if bias else " bias_term: false")
        return self.layer("InnerProduct", bottom, name, f"inner_product_param {{ {text} }}", terms=inputs)

    def relu(self, blob):
        return self.layer("ReLU", blob, blob + "_relu", tops=[blob])

    def pool(self, bottom, name, text):
        return self.layer("Pooling", bottom, name, f"pooling_param {{ {text} }}", terms=32)

    def lrn(self, bottom, name, text="local_size: 5 alpha: 0.0001 beta: 0.75"):
        return self.layer("LRN", bottom, name, f"lrn_param {{ {text} }}")

    def norm(self, bottom, name, channels, eps=""):
        """BatchNorm and Scale, in place."""
        self.blob(name, "BatchNorm", [channels], -1, 1)
        self.blob(name, "BatchNorm", [channels], 1, 4)
        self.blob(name, "BatchNorm", [1], 2, 2)
        self.layer("BatchNorm", bottom, name, f"batch_norm_param {{ use_global_stats: true{eps} }}", tops=[bottom])
        self.blob(name + "_scale", "Scale", [channels], 0.5, 1.5)
        self.blob(name + "_scale", "Scale", [channels], -0.5, 0.5)
        return self.layer("Scale", bottom, name + "_scale", "scale_param { bias_term: true }", tops=[bottom])

    # ---- results
    def prototxt(self):
        return f'name: "{self.name}"\n' + "\n".join(self.text) + "\n"

    def run(self):
        """{blob: array} of the tops that nothing reads, in the order of the file."""
        weights = {}
        for layer, kind, dims, seed, low, high in self.blobs:
            array = uniform(seed, int(np.prod(dims)), low, high).reshape(dims)
            weights.setdefault((layer, kind), []).append(array)
        inputs = {name: uniform(seed, int(np.prod(dims)), low, high).reshape(dims)
                  for name, dims, seed, low, high in self.inputs}
        if self.reference:
            wide = {layer: [a.astype(np.float64) for a in arrays] for (layer, _), arrays in weights.items()}
            return self.reference({name: a.astype(np.float64) for name, a in inputs.items()}, wide)
        return self.run_opencv(inputs, weights)

    def run_opencv(self, inputs, weights):
        import cv2
        model = caffemodel([(layer, kind, arrays) for (layer, kind), arrays in weights.items()])
        net = cv2.dnn.readNetFromCaffe(np.frombuffer(self.prototxt().encode(), np.uint8),
                                       np.frombuffer(model, np.uint8) if model else np.zeros(0, np.uint8))
        net.enableFusion(False)
        net.enableWinograd(False)
        for name, array in inputs.items():
            net.setInput(array, name)
        names = list(net.getUnconnectedOutLayersNames())
        arrays = net.forward(names)
        results = {}
        for name, array in zip(names, arrays):
            line = next(t for t in self.text if f'layer {{ name: "{name}" ' in t)
            if 'type: "DetectionOutput"' in line:
                # OpenCV sorts by score alone, Caffe by class first; and it fills up with rows of zeros.
                rows = array[0, 0][array[0, 0, :, 2] > 0]
                array = rows[np.lexsort((-rows[:, 2], rows[:, 1], rows[:, 0]))][None, None]
            results[line.split('top: "')[-1].split('"')[0]] = np.asarray(array)
        return results


def number(x):
    return f"{float(x):.9g}"


def write_case(net, outputs, file):
    file.write(f"case {net.name}\n")
    for line in net.note.splitlines():
        file.write(f"# {line}\n")
    for name, dims, seed, low, high in net.inputs:
        file.write(f"input {name} {' '.join(map(str, dims))} seed {seed} range {number(low)} {number(high)}\n")
    for layer, _, dims, seed, low, high in net.blobs:
        file.write(f"blob {layer} {' '.join(map(str, dims))} seed {seed} range {number(low)} {number(high)}\n")
    file.write("net\n" + net.prototxt() + "endnet\n")
    for name, array in outputs.items():
        array = np.asarray(array)
        assert np.isfinite(array).all(), f"{net.name}: {name} is not finite"
        step = -(-array.size // SAMPLES)
        if step > 1:  # no factor with the row length, so that samples walk over columns
            while np.gcd(step, array.shape[-1]) > 1:
                step += 1
        tolerance = (net.terms + 8) * 2.0**-24 * float(np.abs(array).max())
        file.write(f"output {name} {' '.join(map(str, array.shape))} step {step} tolerance {tolerance:.3g}\n")
        file.write(" ".join(number(v) for v in array.reshape(-1)[::step]) + "\n")
    file.write("\n")


def main():
    import case_nets
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    failed = 0
    for topic, nets in case_nets.topics(Net).items():
        chosen = [n for n in nets if args.only in n.name]
        text_path = os.path.join(HERE, topic + ".case")
        results = []
        for net in chosen:
            try:
                results.append((net, net.run()))
            except Exception as error:
                failed += 1
                print(f"{topic} {net.name}: {str(error).strip()[-300:]}")
        if args.only:
            for net, outputs in results:
                for name, array in outputs.items():
                    print(net.name, name, array.shape, array.reshape(-1)[:8])
            continue
        with open(text_path, "w", encoding="utf-8") as file:
            for net, outputs in results:
                write_case(net, outputs, file)
        print(f"{text_path}: {len(results)} cases, {os.path.getsize(text_path)} bytes")
    if failed:
        raise SystemExit(f"{failed} nets were not run")


if __name__ == "__main__":
    main()
