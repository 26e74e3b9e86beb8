#!/usr/bin/env python3
"""Builds a small project against sula in one of the three ways that users have, and runs it:
install_test.py find_package|pkg_config|add_subdirectory --cmake CMAKE --build DIR --source DIR --compiler CXX."""
import argparse
import os
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "cli"))
import onnx_writer  # noqa: E402


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("way", choices=["find_package", "pkg_config", "add_subdirectory"])
    for name in ("--cmake", "--build", "--source", "--compiler"):
        p.add_argument(name, required=True)
    p.add_argument("--launcher", default="")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as work:
        prefix, build = os.path.join(work, "prefix"), os.path.join(work, "build")
        onnx, model = os.path.join(work, "x.onnx"), os.path.join(work, "x.sula")
        with open(onnx, "wb") as f:  # y = relu(x * 2 - 1)
            w = onnx_writer
            f.write(w.model([w.node("Mul", ["x", "two"], ["d"]), w.node("Sub", ["d", "one"], ["s"]),
                             w.node("Relu", ["s"], ["y"])],
                            [w.value("x", "float32", [1, 3])], [w.value("y", "float32", [1, 3])],
                            [w.floats("two", [1], [2.0]), w.floats("one", [3], [1.0, 2.0, 3.0])]))
        want = "1 0 0 "

        if args.way != "add_subdirectory":
            run(args.cmake, "--install", args.build, "--prefix", prefix)
            run(os.path.join(prefix, "bin", "sula"), "convert", onnx, "-o", model)
        else:
            run(os.path.join(args.build, "sula"), "convert", onnx, "-o", model)
        if args.way == "pkg_config":
            folders = [os.path.join(d, "pkgconfig") for d, _, _ in os.walk(prefix) if os.path.isdir(os.path.join(d, "pkgconfig"))]
            env = dict(os.environ, PKG_CONFIG_PATH=":".join(folders))
            flags = run("pkg-config", "--cflags", "--libs", "--static", "sula", env=env).split()
            program = os.path.join(work, "runs")
            run(args.compiler, "-std=c++20", os.path.join(here, "consumer", "runs.cc"), *flags, "-o", program)
        else:
            options = [f"-DCMAKE_CXX_COMPILER={args.compiler}", f"-DCMAKE_CXX_COMPILER_LAUNCHER={args.launcher}"]
            if args.way == "find_package":
                options += [f"-DCMAKE_PREFIX_PATH={prefix}"]
            else:  # the parts that make a difference to CMake, quickly
                options += [f"-DSULA_FROM={args.source}", "-DSULA_CPU_SIMD=OFF", "-DCMAKE_BUILD_TYPE=Debug"]
            run(args.cmake, "-S", os.path.join(here, "consumer"), "-B", build, "-G", "Ninja", *options)
            run(args.cmake, "--build", build)
            program = os.path.join(build, "runs")
            if args.way == "find_package":
                text = run(os.path.join(build, "converts"), onnx, model)
                assert text.startswith("ONNX, "), text
        got = run(program, model)
        assert got == want, f"{got!r} instead of {want!r}"


main()
