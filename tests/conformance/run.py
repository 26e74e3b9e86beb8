#!/usr/bin/env python3
"""Runs ONNX's own backend test cases through the sula command line.

    python tests/conformance/run.py --sula build/release/sula --cases build/onnx-cases --tier 1 --floor 540

The cases come from the installed onnx package (its node tests, the recorded simple and PyTorch
models, and the light CNNs); they are written to --cases once, as model.onnx, input_I.npy and
output_I.npy. Needs onnx and numpy.

Each case runs in a process of its own: `sula run model.onnx --input DIR --output DIR`. It is
  pass      exit 0, and all outputs have the right number, type, shape and values
            (|got - want| <= atol + rtol |want|, with ONNX's tolerances: 1e-3 and 1e-7 unless the
            case names others; float16 at least 2^-9, which is what two results that are each
            within one rounding step of the truth can be apart)
  refused   exit 3: well-formed, but not supported
  wrong     exit 0 with other outputs, or an error
  crash     killed by a signal, a sanitizer's report, or no end within --timeout
Tier 1 is what tier1_operators.txt lists; "all" is everything. Exit 1 if a case is wrong or crashed,
if fewer than --floor pass, or if a case of the list --expected (one name a line) does not pass.
"""
import argparse
import collections
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np

RTOL, ATOL = 1e-3, 1e-7
CORE_TYPES = {"FLOAT", "INT8", "UINT8", "INT32", "INT64", "BOOL"}
# What .npy can hold; other element types can only be refused.
NPY_TYPES = {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
             "float16", "float32", "float64"}
# Never asked of an inference engine: training and random draws.
OUTSIDE = re.compile("training|_seed")
HERE = os.path.dirname(os.path.abspath(__file__))


# ---------------------------------------------------------------- writing the cases
def inputs_of(model):
    initializers = {t.name for t in model.graph.initializer}
    return [v for v in model.graph.input if v.name not in initializers]


def element_types(model):
    import onnx
    names = set()
    for v in inputs_of(model) + list(model.graph.output):
        kind = v.type.WhichOneof("value")
        names.add(onnx.TensorProto.DataType.Name(v.type.tensor_type.elem_type)
                  if kind == "tensor_type" else str(kind))
    return names


def operators_of(kind, name, model, owners):
    """The operators that a case tests. A function body counts as its operator, too."""
    if kind == "light":  # whole CNNs of tier 1; ConstantOfShape stands in for their weights
        return set()
    ops = {n.op_type if n.domain in ("", "ai.onnx") else f"{n.domain}.{n.op_type}"
           for n in model.graph.node}
    body_of = owners.get(re.sub(r"_expanded(_ver\d+)?$", "", name))
    return ops | {body_of} if kind == "node" and body_of else ops


def save_arrays(folder, stem, values):
    """Writes the values as .npy; False if one has no such form (text, sequences, small floats)."""
    for i, value in enumerate(values):
        array = np.asarray(value) if isinstance(value, (np.ndarray, np.generic)) else None
        if array is None or array.dtype.name not in NPY_TYPES:
            return False
        np.save(os.path.join(folder, f"{stem}_{i}.npy"), array)
    return True


def write_case(cases, kind, name, model_bytes, sets, tolerance, tier):
    folder = os.path.join(cases, kind, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "model.onnx"), "wb") as f:
        f.write(model_bytes)
    comparable = True
    for k, (inputs, outputs) in enumerate(sets):
        data = os.path.join(folder, f"set_{k}")
        os.makedirs(data, exist_ok=True)
        comparable &= save_arrays(data, "input", inputs) and save_arrays(data, "output", outputs)
    return dict(name=f"{kind}/{name}", tier=tier, sets=len(sets), comparable=comparable,
                outputs=[len(outputs) for _, outputs in sets], **tolerance)


def read_tensors(folder, stem, count):
    import onnx
    from onnx import numpy_helper
    values = []
    for i in range(count):
        with open(os.path.join(folder, f"{stem}_{i}.pb"), "rb") as f:
            values.append(numpy_helper.to_array(onnx.TensorProto.FromString(f.read())))
    return values


def tolerance_in(path):
    if not os.path.exists(path):
        return dict(rtol=RTOL, atol=ATOL)
    with open(path) as f:
        data = json.load(f)
    return dict(rtol=data.get("rtol", RTOL), atol=data.get("atol", ATOL))


def generate(cases):
    import onnx
    import onnx.backend.test
    from onnx.backend.test.loader import load_model_tests
    with open(os.path.join(HERE, "tier1_operators.txt")) as f:
        tier1 = {line.strip() for line in f if line.strip() and not line.startswith("#")}
    data = os.path.join(os.path.dirname(onnx.backend.test.__file__), "data")
    node_tests = load_model_tests(kind="node")
    owners = {c.name: c.model.graph.node[-1].op_type for c in node_tests
              if "_expanded" not in c.name and c.model.graph.node}

    def tier(kind, name, model):
        inside = (element_types(model) <= CORE_TYPES and not OUTSIDE.search(name)
                  and operators_of(kind, name, model, owners) <= tier1)
        return 1 if inside else 0

    index = []
    for c in node_tests:
        index.append(write_case(cases, "node", c.name, c.model.SerializeToString(), c.data_sets,
                                dict(rtol=c.rtol, atol=c.atol), tier("node", c.name, c.model)))
    for kind in ("simple", "pytorch-operator", "pytorch-converted"):
        for path in sorted(glob.glob(os.path.join(data, kind, "*", "model.onnx"))):
            folder, name = os.path.dirname(path), os.path.basename(os.path.dirname(path))
            model = onnx.load(path)
            sets = []
            for s in sorted(glob.glob(os.path.join(folder, "test_data_set_*"))):
                try:
                    sets.append((read_tensors(s, "input", len(inputs_of(model))),
                                 read_tensors(s, "output", len(model.graph.output))))
                except Exception:  # not a tensor: a sequence or an optional
                    sets.append(([None], [None]))
            with open(path, "rb") as f:
                index.append(write_case(cases, kind, name, f.read(), sets,
                                        tolerance_in(os.path.join(folder, "data.json")),
                                        tier(kind, name, model)))
    for path in sorted(glob.glob(os.path.join(data, "light", "*.onnx"))):
        name = os.path.basename(path)[:-5]
        model = onnx.load(path)
        inputs = []
        for v in inputs_of(model):  # ONNX's own filling: 0, 1/n, 2/n, ...
            shape = [d.dim_value or 1 for d in v.type.tensor_type.shape.dim]
            size = int(np.prod(shape))
            inputs.append((np.arange(size).reshape(shape) / size).astype(np.float32))
        outputs = []
        for i in range(len(model.graph.output)):
            with open(f"{path[:-5]}_output_{i}.pb", "rb") as f:
                outputs.append(onnx.numpy_helper.to_array(onnx.TensorProto.FromString(f.read())))
        real = os.path.join(data, "real", name.replace("light_", "test_"), "data.json")
        with open(path, "rb") as f:
            index.append(write_case(cases, "light", name, f.read(), [(inputs, outputs)],
                                    tolerance_in(real), tier("light", name, model)))
    with open(os.path.join(cases, "index.json"), "w") as f:
        json.dump(dict(onnx=onnx.__version__, cases=index), f, indent=0)


def load_index(cases):
    import onnx
    path = os.path.join(cases, "index.json")
    if os.path.exists(path):
        with open(path) as f:
            index = json.load(f)
        newer = os.path.getmtime(path) > max(
            os.path.getmtime(os.path.join(HERE, f)) for f in ("run.py", "tier1_operators.txt"))
        if newer and index["onnx"] == onnx.__version__:
            return index["cases"]
    print(f"writing the cases of onnx {onnx.__version__} to {cases}", flush=True)
    shutil.rmtree(cases, ignore_errors=True)
    os.makedirs(cases)
    generate(cases)
    with open(path) as f:
        return json.load(f)["cases"]


# ---------------------------------------------------------------- running
def difference(want, got, rtol, atol):
    """Why two arrays differ, or None."""
    if got.dtype != want.dtype:
        return f"type {got.dtype} instead of {want.dtype}"
    if got.shape != want.shape:
        return f"shape {list(got.shape)} instead of {list(want.shape)}"
    if want.dtype == np.float16:
        rtol = max(rtol, 2.0 ** -9)
    if np.allclose(got, want, rtol=rtol, atol=atol, equal_nan=True):
        return None
    if want.dtype == bool:
        return f"{int((got != want).sum())} of {want.size} values differ"
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(np.float64) - want.astype(np.float64))
    return f"values: largest error {np.nanmax(error):.4g}"


def run_set(args, case, k):
    folder = os.path.join(args.cases, case["name"])
    data = os.path.join(folder, f"set_{k}")
    with tempfile.TemporaryDirectory() as out:
        try:
            done = subprocess.run(
                [args.sula, "run", os.path.join(folder, "model.onnx"), "--input", data, "--output",
                 out, *args.run_args.split()],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=args.timeout)
        except subprocess.TimeoutExpired:
            return "crash", f"no end within {args.timeout} s"
        said = done.stderr.decode(errors="replace").strip()
        if done.returncode < 0 or done.returncode >= 128 or "Sanitizer" in said \
                or "runtime error:" in said:
            return "crash", f"exit {done.returncode}: {said[-300:]}"
        if done.returncode == 3:
            return "refused", said
        if not case["comparable"]:
            # Its data cannot be handed over in .npy files, so that no answer can be right or wrong.
            return "refused", "data without a .npy form"
        if done.returncode:
            return "wrong", f"exit {done.returncode}: {said[-300:]}"
        for i in range(case["outputs"][k]):
            path = os.path.join(out, f"output_{i}.npy")
            if not os.path.exists(path):
                return "wrong", f"no output_{i}.npy"
            why = difference(np.load(os.path.join(data, f"output_{i}.npy")), np.load(path),
                             case["rtol"], case["atol"])
            if why:
                return "wrong", f"output {i}: {why}"
    return "pass", ""


def run_case(args, case):
    for k in range(case["sets"]):
        status, why = run_set(args, case, k)
        if status != "pass":
            return status, why
    return "pass", ""


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--sula", required=True, help="the command line program")
    p.add_argument("--cases", required=True, help="folder of the cases; written if it is not there")
    p.add_argument("--tier", choices=["1", "all"], default="1")
    p.add_argument("--floor", type=int, default=0, help="fewer passes than this are a failure")
    p.add_argument("--expected", help="file with the names of cases that have to pass")
    p.add_argument("--match", help="only cases whose name this regular expression finds")
    p.add_argument("--run-args", default="", help="further arguments for sula run")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--timeout", type=float, default=60, help="seconds for one case")
    p.add_argument("--passed", help="write the names of the cases that passed to this file")
    p.add_argument("--verbose", action="store_true", help="say why cases were refused")
    args = p.parse_args()
    args.sula = os.path.abspath(args.sula)

    index = load_index(args.cases)
    cases = [c for c in index
             if (args.tier == "all" or c["tier"] == 1)
             and (not args.match or re.search(args.match, c["name"]))]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        verdicts = dict(zip([c["name"] for c in cases],
                            pool.map(lambda c: run_case(args, c), cases)))
    for name, (status, why) in sorted(verdicts.items()):
        if status in ("wrong", "crash") or (args.verbose and status == "refused"):
            print(f"{status}: {name}: {why}")
    passed = sorted(n for n, (status, _) in verdicts.items() if status == "pass")
    if args.passed:
        with open(args.passed, "w") as f:
            f.writelines(n + "\n" for n in passed)
    bad = 0
    if args.expected:
        with open(args.expected) as f:
            names = [line.strip() for line in f if line.strip() and not line.startswith("#")]
        for name in sorted(set(names) - {c["name"] for c in index}):
            print(f"unknown: {name} is expected to pass, but there is no such case")
            bad += 1
        for name in names:
            if name in verdicts and verdicts[name][0] == "refused":
                print(f"refused: {name}, which is expected to pass: {verdicts[name][1]}")
                bad += 1
    count = collections.Counter(status for status, _ in verdicts.values())
    print(f"{len(cases)} cases: {count['pass']} pass, {count['refused']} refused, "
          f"{count['wrong']} wrong, {count['crash']} crash")
    bad += count["wrong"] + count["crash"]
    if count["pass"] < args.floor:
        print(f"fewer than {args.floor} pass")
    print(f"{count['pass']} passed, {bad} failed")
    sys.exit(1 if bad or count["pass"] < args.floor else 0)


if __name__ == "__main__":
    main()
