"""The nets of make_cases.py: single layers over their parameters, and classic topologies at a fraction
of their width. topics(Net) gives {file: [Net]}."""

import numpy as np


def one(Net, name, kind, params="", dims=(2, 4, 5, 6), note="", low=-1.0, high=1.0, blobs=(), terms=8, reference=None):
    """A net of one layer without weights, or with blobs given as (dims, low, high). reference(data, *blobs):
    numpy in the place of OpenCV."""
    net = Net(name, note, reference and (lambda inputs, arrays: {"out": reference(inputs["data"], *arrays.get("out", []))}))
    net.input("data", list(dims), low, high)
    for size, least, most in blobs:
        net.blob("out", kind, list(size), least, most)
    net.layer(kind, "data", "out", params, terms=terms)
    return net


def conv_nets(Net):
    nets = []

    def conv(name, outputs, inputs, kernel, params="", dims=(7, 8), batch=1, **options):
        net = Net(name)
        net.input("data", [batch, inputs, *dims])
        net.conv("data", "out", outputs, inputs, kernel, params, **options)
        nets.append(net)

    conv("conv_1x1", 5, 3, 1)
    conv("conv_3x3_pad", 4, 3, 3, "pad: 1", batch=2)
    conv("conv_no_bias", 4, 3, 3, bias=False)
    conv("conv_stride_2", 4, 3, 3, "stride: 2 pad: 1")
    conv("conv_rest_left_over", 2, 2, 3, "stride: 3")
    conv("conv_1x7", 3, 2, (1, 7), "pad_h: 0 pad_w: 3")
    conv("conv_stride_hw", 3, 2, (2, 3), "stride_h: 2 stride_w: 1")
    conv("conv_dilated", 3, 2, 3, "dilation: 2 pad: 2")
    conv("conv_group", 6, 4, 3, group=2)
    conv("conv_group_of_one", 4, 4, 3, "pad: 1", group=4)
    conv("conv_multiplier", 8, 4, 3, "pad: 1", group=4)
    conv("conv_11x11_stride_4", 4, 3, 11, "stride: 4", dims=(27, 27))
    conv("deconv_2x", 3, 4, 4, "stride: 2 pad: 1", dims=(4, 5), kind="Deconvolution")
    conv("deconv_no_bias", 3, 4, 3, "stride: 3", dims=(3, 4), kind="Deconvolution", bias=False)
    conv("deconv_group", 6, 4, 2, "stride: 2", dims=(3, 4), kind="Deconvolution", group=2)
    conv("deconv_bilinear_like", 4, 4, 4, "stride: 2 pad: 1", dims=(4, 5), kind="Deconvolution", group=4, bias=False)
    return nets


def pool_nets(Net):
    nets = []

    def pool(name, text, dims=(7, 8), note=""):
        for method in ("MAX", "AVE"):
            net = Net(f"pool_{method.lower()}_{name}", note)
            net.input("data", [2, 3, *dims])
            net.pool("data", "out", f"pool: {method} {text}")
            nets.append(net)

    pool("2x2", "kernel_size: 2 stride: 2")
    pool("3x3_stride_2", "kernel_size: 3 stride: 2", note="Sizes round up: the last window reaches over the edge.")
    pool("3x3_stride_2_pad", "kernel_size: 3 stride: 2 pad: 1")
    pool("2x2_pad_clipped", "kernel_size: 2 stride: 2 pad: 1", dims=(6, 7),
         note="With padding, a window that would begin behind the input is dropped.")
    pool("stride_1", "kernel_size: 3")
    pool("hw", "kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 0")
    pool("4x4_stride_3", "kernel_size: 4 stride: 3", dims=(9, 11))
    pool("5x5_pad_2", "kernel_size: 5 stride: 1 pad: 2")
    pool("global", "global_pooling: true")
    return nets


def elementwise_nets(Net):
    nets = [
        one(Net, "relu", "ReLU"),
        one(Net, "relu_slope", "ReLU", "relu_param { negative_slope: 0.1 }"),
        one(Net, "relu6", "ReLU6", low=-4, high=10),
        one(Net, "prelu", "PReLU", blobs=[([4], 0, 1)]),
        one(Net, "prelu_shared", "PReLU", "prelu_param { channel_shared: true }", blobs=[([1], 0.25, 0.25)]),
        one(Net, "elu", "ELU", low=-3, high=3),
        one(Net, "elu_alpha", "ELU", "elu_param { alpha: 0.5 }", low=-3, high=3),
        one(Net, "sigmoid", "Sigmoid", low=-6, high=6),
        one(Net, "tanh", "TanH", low=-3, high=3),
        one(Net, "absval", "AbsVal"),
        one(Net, "bnll", "BNLL", low=-6, high=6),
        one(Net, "power_linear", "Power", "power_param { scale: -2 shift: 0.75 }"),
        one(Net, "power_square", "Power", "power_param { power: 2 scale: 0.5 shift: 1 }"),
        one(Net, "power_root", "Power", "power_param { power: 0.5 scale: 0.5 shift: 1 }"),
        one(Net, "power_reciprocal", "Power", "power_param { power: -1 shift: 2 }"),
        one(Net, "exp", "Exp"),
        one(Net, "exp_base", "Exp", "exp_param { base: 2 scale: -0.5 shift: 0.25 }"),
        one(Net, "log", "Log", low=0.1, high=4),
        one(Net, "swish", "Swish", low=-6, high=6),
        one(Net, "dropout", "Dropout", "dropout_param { dropout_ratio: 0.4 }"),
        one(Net, "scale_bias", "Scale", "scale_param { bias_term: true }", blobs=[([4], -1, 1), ([4], -1, 1)]),
        one(Net, "scale", "Scale", blobs=[([4], -1, 1)]),
    ]
    for name, params, count in (("sum", "", 3), ("sum_coeff", "eltwise_param { coeff: 1 coeff: -1 }", 2),
                                ("sum_coeffs", "eltwise_param { operation: SUM coeff: 0.5 coeff: -2 coeff: 3 }", 3),
                                ("prod", "eltwise_param { operation: PROD }", 3), ("max", "eltwise_param { operation: MAX }", 3)):
        net = Net("eltwise_" + name)
        net.layer("Eltwise", [net.input(f"x{i}", [2, 3, 4, 5]) for i in range(count)], "out", params)
        nets.append(net)
    net = Net("scale_by_blob")
    net.layer("Scale", [net.input("data", [2, 3, 4, 5]), net.input("factor", [2, 3])], "out", "scale_param { axis: 0 }")
    nets.append(net)
    net = Net("in_place_chain")
    net.conv(net.input("data", [1, 3, 5, 5]), "conv", 4, 3, 3)
    net.relu("conv")
    net.layer("Power", "conv", "scaled", "power_param { scale: 2 }", tops=["conv"])
    net.layer("Sigmoid", "conv", "out")
    nets.append(net)
    return nets


def norm_nets(Net):
    lrn = "lrn_param {{ local_size: {} alpha: {} beta: {} {} }}"
    nets = [
        one(Net, "lrn_across", "LRN", lrn.format(5, 0.5, 0.75, ""), dims=(1, 7, 3, 4)),
        one(Net, "lrn_across_3", "LRN", lrn.format(3, 1, 0.5, ""), dims=(1, 7, 3, 4)),
        one(Net, "lrn_within", "LRN", lrn.format(3, 0.5, 0.75, "norm_region: WITHIN_CHANNEL"), terms=25),
        one(Net, "mvn", "MVN", terms=30, dims=(2, 3, 5, 6)),
        one(Net, "mvn_mean_only", "MVN", "mvn_param { normalize_variance: false }", terms=30),
        one(Net, "mvn_across", "MVN", "mvn_param { across_channels: true }", terms=120),
        one(Net, "softmax", "Softmax", dims=(3, 10), low=-4, high=4),
        one(Net, "softmax_4d", "Softmax", low=-4, high=4),
        one(Net, "softmax_axis", "Softmax", "softmax_param { axis: 2 }", low=-4, high=4),
        one(Net, "normalize", "Normalize", "norm_param { across_spatial: false channel_shared: false }", blobs=[([4], 10, 20)]),
        one(Net, "normalize_shared", "Normalize", "norm_param { across_spatial: false channel_shared: true }", blobs=[([1], 20, 20)]),
        one(Net, "batch_norm", "BatchNorm", blobs=[([4], -1, 1), ([4], 1, 4), ([1], 2, 2)]),
        one(Net, "batch_norm_eps", "BatchNorm", "batch_norm_param { use_global_stats: true eps: 0.1 }",
            blobs=[([4], -1, 1), ([4], 1, 4), ([1], 0.5, 0.5)]),
    ]
    net = Net("batch_norm_scale")
    net.conv(net.input("data", [2, 3, 6, 5]), "conv", 4, 3, 3, bias=False)
    net.norm("conv", "norm", 4)
    net.relu("conv")
    net.layer("AbsVal", "conv", "out")
    nets.append(net)
    return nets


def movement_nets(Net):
    nets = [
        one(Net, "flatten", "Flatten"),
        one(Net, "flatten_axes", "Flatten", "flatten_param { axis: 2 end_axis: 3 }"),
        one(Net, "reshape", "Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 3 dim: 10 } }"),
        one(Net, "reshape_axis", "Reshape", "reshape_param { axis: 1 num_axes: 2 shape { dim: 10 dim: 2 } }"),
        one(Net, "permute", "Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }"),
        one(Net, "permute_all", "Permute", "permute_param { order: 3 order: 1 order: 0 order: 2 }"),
        one(Net, "shuffle", "ShuffleChannel", "shuffle_channel_param { group: 2 }", dims=(1, 6, 3, 4)),
        one(Net, "reorg", "Reorg", "reorg_param { stride: 2 }", dims=(1, 8, 4, 6)),
    ]
    for axis in (0, 1, 2):
        net = Net(f"concat_axis_{axis}")
        dims = [[2, 3, 4, 5] for _ in range(3)]
        for i, d in enumerate(dims):
            d[axis] = i + 1
        net.layer("Concat", [net.input(f"x{i}", d) for i, d in enumerate(dims)], "out", f"concat_param {{ axis: {axis} }}")
        nets.append(net)
    for name, params, tops, dims in (("equal", "slice_param { axis: 1 }", 2, (1, 6, 3, 4)),
                                     ("points", "slice_param { axis: 1 slice_point: 1 slice_point: 4 }", 3, (1, 6, 3, 4))):
        net = Net("slice_" + name)
        parts = [f"part{i}" for i in range(tops)]
        net.layer("Slice", net.input("data", list(dims)), "slice", params, tops=parts)
        for i, part in enumerate(parts):
            net.layer("Power", part, f"out{i}", f"power_param {{ scale: {i + 1} }}")
        nets.append(net)
    for name, params in (("all", "crop_param { axis: 2 offset: 1 }"), ("offsets", "crop_param { axis: 2 offset: 1 offset: 2 }"),
                         ("channels", "crop_param { axis: 1 offset: 1 offset: 0 offset: 2 }")):
        net = Net("crop_" + name)
        like = [1, 2 if name == "channels" else 3, 4, 3]
        net.layer("Crop", [net.input("data", [1, 3, 6, 7]), net.input("like", like)], "out", params)
        nets.append(net)
    net = Net("split")
    net.layer("Split", net.input("data", [1, 3, 4, 4]), "split", tops=["a", "b"])
    net.layer("TanH", "a", "x")
    net.layer("Eltwise", ["x", "b"], "out")
    nets.append(net)
    net = Net("interp_sizes")
    net.layer("Interp", net.input("data", [1, 2, 3, 4]), "out", "interp_param { height: 7 width: 9 }")
    nets.append(net)
    net = Net("interp_zoom")
    net.layer("Interp", net.input("data", [1, 2, 3, 4]), "out", "interp_param { zoom_factor: 2 }")
    nets.append(net)
    return nets


def product_nets(Net):
    nets = []
    for name, dims, inputs, params, bias in (("fc", [3, 7], 7, "", True), ("fc_no_bias", [3, 7], 7, "", False),
                                             ("fc_of_map", [2, 3, 4, 5], 60, "", True), ("fc_axis", [2, 3, 5], 5, "axis: 2", True)):
        net = Net(name)
        net.fc(net.input("data", dims), "out", 6, inputs, params, bias)
        nets.append(net)
    return nets


def detection_nets(Net):
    nets = []

    def prior(name, params, dims=(3, 4), image=(60, 80), note=""):
        net = Net("prior_" + name, note)
        net.layer("PriorBox", [net.input("map", [1, 2, *dims]), net.input("image", [1, 3, *image])], "out", f"prior_box_param {{ {params} }}")
        nets.append(net)

    variance = "variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2"
    # Without `clip` OpenCV cuts to [0, 1]; Caffe's SSD branch does not.
    prior("min_only", f"min_size: 30 clip: false {variance}")
    prior("max", f"min_size: 30 max_size: 60 aspect_ratio: 2 flip: true clip: false {variance}")
    prior("ratios", f"min_size: 21 max_size: 45 aspect_ratio: 2 aspect_ratio: 3 flip: true clip: true {variance}")
    prior("no_flip", f"min_size: 21 aspect_ratio: 2 aspect_ratio: 3 flip: false clip: false {variance}")
    prior("step", f"min_size: 20 aspect_ratio: 2 step: 16 offset: 0.25 clip: false {variance}")
    prior("one_variance", "min_size: 20 clip: true variance: 0.1")

    def detect(name, params, classes, codes=1, priors=24, batch=1, note=""):
        net = Net("detect_" + name, note)
        loc = net.input("loc", [batch, priors * codes * 4], -0.5, 0.5)
        conf = net.input("conf", [batch, priors * classes], 0, 1)
        fmap, image = net.input("map", [1, 2, 2, 3]), net.input("image", [1, 3, 40, 60])
        boxes = priors // 6
        ratios = {4: "max_size: 30 aspect_ratio: 2"}[boxes]
        net.layer("PriorBox", [fmap, image], "prior", f"prior_box_param {{ min_size: 15 {ratios} clip: false {variance} }}")
        net.layer("DetectionOutput", [loc, conf, "prior"], "out", f"detection_output_param {{ num_classes: {classes} {params} }}")
        nets.append(net)

    share = "share_location: true background_label_id: 0"
    ssd = "nms_param { nms_threshold: 0.45 top_k: 20 } keep_top_k: 10 confidence_threshold: 0.3"
    detect("center_size", f"{share} code_type: CENTER_SIZE {ssd}", 3)
    detect("corner", f"{share} code_type: CORNER {ssd}", 3)
    detect("few_overlaps", f"{share} code_type: CENTER_SIZE nms_param {{ nms_threshold: 0.1 }} keep_top_k: 100 confidence_threshold: 0.5", 4)
    detect("batch", f"{share} code_type: CENTER_SIZE {ssd}", 3, batch=2)
    detect("background_2", f"share_location: true background_label_id: 2 code_type: CENTER_SIZE {ssd}", 3)
    detect("per_class", f"share_location: false background_label_id: 0 code_type: CENTER_SIZE {ssd}", 3, codes=3)
    return nets


# ---------------------------------------------------------------- what OpenCV has not, or otherwise
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def run_recurrent(kind, inputs, blobs, static, exposed):
    """Caffe's unrolled nets (lstm_layer, lstm_unit_layer, rnn_layer), step by step. Without exposed
    states the first ones are 0."""
    blobs = list(blobs["out"])
    w, bias = blobs[:2]
    x, cont = inputs["x"], inputs["cont"]
    steps, streams = cont.shape
    fixed = inputs["fixed"].reshape(streams, -1) @ blobs[2].T if static else 0
    r = blobs[3 if static else 2]
    units = r.shape[1]
    h = inputs["h0"][0] if exposed else np.zeros((streams, units))
    c = inputs["c0"][0] if exposed and kind == "LSTM" else np.zeros((streams, units))
    out = []
    for t in range(steps):
        keep = cont[t][:, None]
        gates = (keep * h) @ r.T + x[t].reshape(streams, -1) @ w.T + bias + fixed
        if kind == "LSTM":
            i, f, o, g = np.split(gates, 4, axis=1)
            c = keep * (sigmoid(f) * c) + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            out.append(h)
        else:
            h = np.tanh(gates)
            out.append(np.tanh(h @ blobs[-2].T + blobs[-1]))
    states = {"h_last": h[None], "c_last": c[None]} if kind == "LSTM" else {"h_last": h[None]}
    return {"out": np.stack(out), **(states if exposed else {})}


def spatial_pyramid(x, height):
    """SPP of maxima: level i has 2^i windows along each axis, padded to whole windows, more in front."""
    rows = []
    for bins in (2**i for i in range(height)):
        kernel = [-(-d // bins) for d in x.shape[2:]]
        before = [(k * bins - d + 1) // 2 for k, d in zip(kernel, x.shape[2:])]
        level = np.empty((*x.shape[:2], bins, bins))
        for i in range(bins):
            for j in range(bins):
                y0, x0 = i * kernel[0] - before[0], j * kernel[1] - before[1]
                level[:, :, i, j] = x[:, :, max(y0, 0):y0 + kernel[0], max(x0, 0):x0 + kernel[1]].max(axis=(2, 3))
        rows.append(level.reshape(len(x), -1))
    return np.concatenate(rows, axis=1)


def best(x, k, values):
    """ArgMax over everything but the batch: indices, and below them the maxima if asked for."""
    rows = x.reshape(len(x), -1)
    order = np.argsort(-rows, axis=1)[:, :k]
    parts = [order] + ([np.take_along_axis(rows, order, 1)] if values else [])
    return np.stack(parts, axis=1).astype(np.float64)[..., None]


def lrn(x, size, alpha, beta, k):
    squares = np.pad(x * x, ((0, 0), (size // 2, size // 2), (0, 0), (0, 0)))
    sums = sum(squares[:, i:i + x.shape[1]] for i in range(size))
    return x / (k + alpha / size * sums)**beta


def other_nets(Net):
    """Layers that OpenCV has not, or does otherwise than Caffe: it overlooks the base of Log, k of LRN (whose
    alpha is 1e-4 there by default, 1 in Caffe) and `transpose` of InnerProduct; PriorBox clips by default."""
    transposed = Net("fc_transposed", reference=lambda i, b: {"out": i["data"] @ b["out"][0] + b["out"][1]})
    transposed.fc(transposed.input("data", [3, 7]), "out", 6, 7, "transpose: true")
    halves = Net("slice_dim", reference=lambda i, b: {"a": i["data"][:2], "b": i["data"][2:]})
    halves.layer("Slice", halves.input("data", [4, 3, 2, 2]), "slice", "slice_param { slice_dim: 0 }", tops=["a", "b"])
    return [
        transposed, halves,
        one(Net, "lrn_k", "LRN", "lrn_param { local_size: 3 alpha: 1 beta: 0.5 k: 2 }", dims=(1, 7, 3, 4), reference=lambda x: lrn(x, 3, 1, 0.5, 2)),
        one(Net, "lrn_default", "LRN", dims=(1, 7, 3, 4), low=-20, high=20, reference=lambda x: lrn(x, 5, 1, 0.75, 1)),
        one(Net, "log_base", "Log", "log_param { base: 2 scale: 2 shift: 3 }", reference=lambda x: np.log2(2 * x + 3)),
        one(Net, "threshold", "Threshold", "threshold_param { threshold: 0.25 }", reference=lambda x: (x > 0.25) * 1.0),
        one(Net, "clip", "Clip", "clip_param { min: -0.5 max: 0.25 }", reference=lambda x: np.clip(x, -0.5, 0.25)),
        one(Net, "tile", "Tile", "tile_param { axis: 1 tiles: 3 }", reference=lambda x: np.tile(x, (1, 3, 1, 1))),
        one(Net, "bias", "Bias", blobs=[([4], -1, 1)], reference=lambda x, b: x + b[:, None, None]),
        one(Net, "bias_axes", "Bias", "bias_param { axis: 2 num_axes: 2 }", blobs=[([5, 6], -1, 1)], reference=lambda x, b: x + b),
        one(Net, "scale_axes", "Scale", "scale_param { axis: 0 num_axes: 2 bias_term: true }", blobs=[([2, 4], -1, 1)] * 2,
            reference=lambda x, a, b: x * a[..., None, None] + b[..., None, None]),
        one(Net, "argmax", "ArgMax", "argmax_param { top_k: 2 }", reference=lambda x: best(x, 2, False)),
        one(Net, "argmax_values", "ArgMax", "argmax_param { top_k: 3 out_max_val: true }", reference=lambda x: best(x, 3, True)),
        one(Net, "argmax_axis", "ArgMax", "argmax_param { axis: 1 }", reference=lambda x: x.argmax(1, keepdims=True) * 1.0),
        one(Net, "reduce_sum", "Reduction", "reduction_param { axis: 1 }", reference=lambda x: x.sum((1, 2, 3)), terms=120),
        one(Net, "reduce_mean", "Reduction", "reduction_param { operation: MEAN axis: 2 coeff: -3 }",
            reference=lambda x: -3 * x.mean((2, 3)), terms=30),
        one(Net, "reduce_asum", "Reduction", "reduction_param { operation: ASUM axis: -1 }", reference=lambda x: abs(x).sum(3)),
        one(Net, "reduce_sumsq", "Reduction", "reduction_param { operation: SUMSQ }", reference=lambda x: (x * x).sum(), terms=240),
        one(Net, "spp", "SPP", "spp_param { pool: MAX pyramid_height: 2 }", reference=lambda x: spatial_pyramid(x, 2)),
        one(Net, "spp_3", "SPP", "spp_param { pool: MAX pyramid_height: 3 }", dims=(1, 2, 7, 9), reference=lambda x: spatial_pyramid(x, 3)),
        one(Net, "normalize_spatial", "Normalize", "norm_param { across_spatial: true channel_shared: false }", blobs=[([4], 10, 20)], terms=120,
            reference=lambda x, s: x / np.sqrt((x * x).sum((1, 2, 3), keepdims=True) + 1e-10) * s[:, None, None]),
        one(Net, "batch_norm_of_batch", "BatchNorm", "batch_norm_param { use_global_stats: false }", terms=60,
            reference=lambda x: (x - x.mean((0, 2, 3), keepdims=True)) / np.sqrt(x.var((0, 2, 3), keepdims=True) + 1e-5)),
    ]


def recurrent_nets(Net):
    nets = []
    for kind, gates in (("LSTM", 4), ("RNN", 1)):
        for static in (False, True):
            for exposed in (False, True):
                name = kind.lower() + ("_static" if static else "") + ("_exposed" if exposed else "")
                net = Net(name, "by numpy: Caffe's unrolled net; OpenCV reads no cont and orders blobs otherwise",
                          reference=lambda i, b, k=kind, s=static, e=exposed: run_recurrent(k, i, b, s, e))
                steps, streams, units = 5, 3, 4
                bottoms = [net.input("x", [steps, streams, 2, 3]), net.input("cont", [steps, streams], 0, 1.5)]
                if static:
                    bottoms.append(net.input("fixed", [streams, 5]))
                if exposed:
                    bottoms += [net.input(s, [1, streams, units]) for s in ("h0", "c0")[:2 if kind == "LSTM" else 1]]
                rows = gates * units
                for dims in [[rows, 6], [rows]] + [[rows, 5]] * static + [[rows, units]] + ([[units, units], [units]] if kind == "RNN" else []):
                    net.blob("out", kind, dims, -1, 1)
                tops = ["out"] + (["h_last", "c_last"][:2 if kind == "LSTM" else 1] if exposed else [])
                params = f"recurrent_param {{ num_output: {units}{' expose_hidden: true' if exposed else ''} }}"
                net.layer(kind, bottoms, "out", params, tops=tops, terms=steps * 16)
                nets.append(net)
    return nets


# ---------------------------------------------------------------- classic topologies, narrow
def alexnet(Net, name, pool_first):
    """AlexNet normalises before it pools, CaffeNet after; 1/16 of the channels, 1/4 of the side."""
    net = Net(name, "grouped convolutions, LRN, overlapping pooling that rounds up")
    x = net.conv(net.input("data", [1, 3, 67, 67]), "conv1", 6, 3, 11, "stride: 4")
    net.relu(x)
    pool = "pool: MAX kernel_size: 3 stride: 2"
    for i, (outputs, inputs, kernel, pad, group) in enumerate(((16, 6, 5, 2, 2), (24, 16, 3, 1, 1)), 1):
        x = net.lrn(net.pool(x, f"pool{i}", pool), f"norm{i}") if pool_first else net.pool(net.lrn(x, f"norm{i}"), f"pool{i}", pool)
        x = net.conv(x, f"conv{i + 1}", outputs, inputs, kernel, f"pad: {pad}", group=group)
        net.relu(x)
    for i, outputs in ((4, 24), (5, 16)):
        x = net.conv(x, f"conv{i}", outputs, 24, 3, "pad: 1", group=2)
        net.relu(x)
    x = net.pool(x, "pool5", pool)
    x = net.fc(x, "fc6", 48, 16)
    for i in (6, 7):
        net.relu(x)
        net.layer("Dropout", x, f"drop{i}", "dropout_param { dropout_ratio: 0.5 }", tops=[x])
        x = net.fc(x, f"fc{i + 1}", 48 if i == 6 else 20, 48)
    return net, x


def inception(net, x, name, inputs, widths):
    """GoogLeNet's module: 1x1, 3x3 reduced, 5x5 reduced, pooled."""
    a, b1, b, c1, c, d = widths

    def branch(bottom, suffix, outputs, ins, kernel, params=""):
        y = net.conv(bottom, f"{name}/{suffix}", outputs, ins, kernel, params)
        net.relu(y)
        return y

    parts = [branch(x, "1x1", a, inputs, 1),
             branch(branch(x, "3x3_reduce", b1, inputs, 1), "3x3", b, b1, 3, "pad: 1"),
             branch(branch(x, "5x5_reduce", c1, inputs, 1), "5x5", c, c1, 5, "pad: 2"),
             branch(net.pool(x, f"{name}/pool", "pool: MAX kernel_size: 3 stride: 1 pad: 1"), "pool_proj", d, inputs, 1)]
    return net.layer("Concat", parts, f"{name}/output"), a + b + c + d


def googlenet(Net):
    net = Net("googlenet", "inception modules; 1/16 of the channels")
    x = net.conv(net.input("data", [1, 3, 64, 64]), "conv1/7x7_s2", 4, 3, 7, "pad: 3 stride: 2")
    net.relu(x)
    x = net.lrn(net.pool(x, "pool1/3x3_s2", "pool: MAX kernel_size: 3 stride: 2"), "pool1/norm1")
    x = net.conv(x, "conv2/3x3_reduce", 4, 4, 1)
    net.relu(x)
    x = net.conv(x, "conv2/3x3", 12, 4, 3, "pad: 1")
    net.relu(x)
    x = net.pool(net.lrn(x, "conv2/norm2"), "pool2/3x3_s2", "pool: MAX kernel_size: 3 stride: 2")
    count = 12
    for module, widths in (("3a", (4, 6, 8, 1, 2, 2)), ("3b", (8, 8, 12, 2, 6, 4)), (None, None),
                           ("4a", (12, 6, 13, 1, 3, 4)), ("4e", (16, 10, 20, 2, 8, 8)), (None, None), ("5b", (24, 12, 24, 3, 8, 8))):
        if module is None:
            x = net.pool(x, f"pool{count}/3x3_s2", "pool: MAX kernel_size: 3 stride: 2")
        else:
            x, count = inception(net, x, "inception_" + module, count, widths)
    x = net.pool(x, "pool5/7x7_s1", "pool: AVE kernel_size: 2 stride: 1")
    net.layer("Dropout", x, "pool5/drop_7x7_s1", "dropout_param { dropout_ratio: 0.4 }", tops=[x])
    net.layer("Softmax", net.fc(x, "loss3/classifier", 20, count), "prob")
    return net


def lenet(Net):
    net = Net("lenet", "1/4 of the channels")
    x = net.conv(net.input("data", [2, 1, 28, 28], 0, 1), "conv1", 5, 1, 5, "stride: 1")
    x = net.conv(net.pool(x, "pool1", "pool: MAX kernel_size: 2 stride: 2"), "conv2", 12, 5, 5, "stride: 1")
    x = net.fc(net.pool(x, "pool2", "pool: MAX kernel_size: 2 stride: 2"), "ip1", 32, 12 * 16)
    net.relu(x)
    net.layer("Softmax", net.fc(x, "ip2", 10, 32), "prob")
    return net


def cifar(Net, full):
    net = Net("cifar10_full" if full else "cifar10_quick", "1/4 of the channels")
    x = net.input("data", [1, 3, 32, 32])
    inputs = 3
    for i, (outputs, method) in enumerate(((8, "MAX"), (8, "AVE"), (16, "AVE")), 1):
        x = net.conv(x, f"conv{i}", outputs, inputs, 5, "pad: 2 stride: 1")
        inputs = outputs
        if i > 1:
            net.relu(x)
        x = net.pool(x, f"pool{i}", f"pool: {method} kernel_size: 3 stride: 2")
        if i == 1:
            net.relu(x)
        if full and i < 3:
            x = net.lrn(x, f"norm{i}", "local_size: 3 alpha: 5e-05 beta: 0.75")
    if full:
        x = net.fc(x, "ip1", 10, 256)
    else:
        x = net.fc(net.fc(x, "ip1", 16, 256), "ip2", 10, 16)
    net.layer("Softmax", x, "prob")
    return net


def vgg(Net):
    net = Net("vgg16", "1/16 of the channels")
    x, inputs = net.input("data", [1, 3, 64, 64]), 3
    for block, (outputs, count) in enumerate(((4, 2), (8, 2), (16, 3), (32, 3), (32, 3)), 1):
        for i in range(1, count + 1):
            x = net.conv(x, f"conv{block}_{i}", outputs, inputs, 3, "pad: 1")
            net.relu(x)
            inputs = outputs
        x = net.pool(x, f"pool{block}", "pool: MAX kernel_size: 2 stride: 2")
    for name, outputs, inputs in (("fc6", 32, 128), ("fc7", 32, 32)):
        x = net.fc(x, name, outputs, inputs)
        net.relu(x)
        net.layer("Dropout", x, name + "_drop", "dropout_param { dropout_ratio: 0.5 }", tops=[x])
    net.layer("Softmax", net.fc(x, "fc8", 20, 32), "prob")
    return net


def resnet(Net):
    net = Net("resnet", "bottlenecks with BatchNorm and Scale; 1/16 of the channels")

    def conv(bottom, name, outputs, inputs, kernel, params="", relu=True):
        x = net.conv(bottom, name, outputs, inputs, kernel, params, bias=False)
        net.norm(x, "bn_" + name, outputs)
        if relu:
            net.relu(x)
        return x

    x = conv(net.input("data", [1, 3, 64, 64]), "conv1", 4, 3, 7, "pad: 3 stride: 2")
    x, inputs = net.pool(x, "pool1", "kernel_size: 3 stride: 2 pool: MAX"), 4
    for stage, (width, blocks) in enumerate(((4, 2), (8, 2), (16, 1)), 2):
        for block in range(blocks):
            name = f"res{stage}{'ab'[block]}"
            stride = "stride: 2" if block == 0 and stage > 2 else "stride: 1"
            y = conv(x, name + "_branch2a", width, inputs, 1, stride)
            y = conv(y, name + "_branch2b", width, width, 3, "pad: 1")
            y = conv(y, name + "_branch2c", 4 * width, width, 1, relu=False)
            if block == 0:
                x = conv(x, name + "_branch1", 4 * width, inputs, 1, stride, relu=False)
            x = net.layer("Eltwise", [x, y], name)
            net.relu(x)
            inputs = 4 * width
    x = net.pool(x, "pool5", "pool: AVE global_pooling: true")
    net.layer("Softmax", net.fc(x, "fc1000", 20, inputs), "prob")
    return net


def squeezenet(Net):
    net = Net("squeezenet", "fire modules, no fully connected layer; 1/8 of the channels")
    x = net.conv(net.input("data", [1, 3, 59, 59]), "conv1", 8, 3, 3, "stride: 2")
    net.relu(x)
    inputs = 8
    for i, (squeeze, expand) in enumerate(((2, 8), (2, 8), (4, 16), (4, 16), (6, 24), (8, 32)), 2):
        if i in (2, 4, 6):
            x = net.pool(x, f"pool{i}", "pool: MAX kernel_size: 3 stride: 2")
        s = net.conv(x, f"fire{i}/squeeze1x1", squeeze, inputs, 1)
        net.relu(s)
        parts = []
        for kernel, params in ((1, ""), (3, "pad: 1")):
            y = net.conv(s, f"fire{i}/expand{kernel}x{kernel}", expand, squeeze, kernel, params)
            net.relu(y)
            parts.append(y)
        x = net.layer("Concat", parts, f"fire{i}/concat")
        inputs = 2 * expand
    net.layer("Dropout", x, "drop9", "dropout_param { dropout_ratio: 0.5 }", tops=[x])
    x = net.conv(x, "conv10", 20, inputs, 1)
    net.relu(x)
    net.layer("Softmax", net.pool(x, "pool10", "pool: AVE global_pooling: true"), "prob")
    return net


def mobilenet_ssd(Net):
    net = Net("ssd", "depthwise convolutions, two maps with priors, permuted heads, DetectionOutput")
    x, inputs = net.input("data", [1, 3, 48, 64]), 3

    def conv(bottom, name, outputs, kernel, params="", group=1):
        y = net.conv(bottom, name, outputs, inputs, kernel, params, bias=False, group=group)
        net.norm(y, name + "/bn", outputs)
        net.relu(y)
        return y

    x, inputs = conv(x, "conv0", 8, 3, "pad: 1 stride: 2"), 8
    maps = []
    for i, (outputs, stride) in enumerate(((12, 2), (16, 2), (24, 2)), 1):
        x = conv(x, f"conv{i}/dw", inputs, 3, f"pad: 1 stride: {stride}", group=inputs)
        x, inputs = conv(x, f"conv{i}", outputs, 1), outputs
        if i > 1:
            maps.append((x, outputs))
    heads = {"loc": [], "conf": [], "prior": []}
    classes, boxes = 4, 4
    for i, (blob, channels) in enumerate(maps):
        for head, outputs in (("loc", 4 * boxes), ("conf", classes * boxes)):
            y = net.conv(blob, f"{head}{i}", outputs, channels, 3, "pad: 1")
            y = net.layer("Permute", y, f"{head}{i}_perm", "permute_param { order: 0 order: 2 order: 3 order: 1 }")
            heads[head].append(net.layer("Flatten", y, f"{head}{i}_flat", "flatten_param { axis: 1 }"))
        params = f"min_size: {16 + 16 * i} max_size: {32 + 16 * i} aspect_ratio: 2 flip: true clip: false"
        heads["prior"].append(net.layer("PriorBox", [blob, "data"], f"prior{i}",
                                        f"prior_box_param {{ {params} variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }}"))
    loc = net.layer("Concat", heads["loc"], "mbox_loc", "concat_param { axis: 1 }")
    conf = net.layer("Concat", heads["conf"], "mbox_conf", "concat_param { axis: 1 }")
    prior = net.layer("Concat", heads["prior"], "mbox_priorbox", "concat_param { axis: 2 }")
    conf = net.layer("Reshape", conf, "mbox_conf_reshape", f"reshape_param {{ shape {{ dim: 0 dim: -1 dim: {classes} }} }}")
    conf = net.layer("Softmax", conf, "mbox_conf_softmax", "softmax_param { axis: 2 }")
    conf = net.layer("Flatten", conf, "mbox_conf_flatten", "flatten_param { axis: 1 }")
    net.layer("DetectionOutput", [loc, conf, prior], "detection_out",
              f"detection_output_param {{ num_classes: {classes} share_location: true background_label_id: 0 code_type: CENTER_SIZE "
              "nms_param { nms_threshold: 0.45 top_k: 50 } keep_top_k: 12 confidence_threshold: 0.25 }")
    return net


def fcn(Net):
    net = Net("fcn", "a skip connection, upsampled by Deconvolution, cropped to the input's size")
    x = net.conv(net.input("data", [1, 3, 21, 26]), "conv1", 6, 3, 3, "pad: 4")
    net.relu(x)
    first = net.pool(x, "pool1", "pool: MAX kernel_size: 2 stride: 2")
    x = net.conv(first, "conv2", 8, 6, 3, "pad: 1")
    net.relu(x)
    x = net.conv(net.pool(x, "pool2", "pool: MAX kernel_size: 2 stride: 2"), "score2", 5, 8, 1)
    x = net.conv(x, "up2", 5, 5, 4, "stride: 2", kind="Deconvolution", bias=False, group=5)
    score = net.conv(first, "score1", 5, 6, 1)
    x = net.layer("Crop", [x, score], "up2c", "crop_param { axis: 2 offset: 1 }")
    x = net.layer("Eltwise", [x, score], "fuse")
    x = net.conv(x, "up1", 5, 5, 4, "stride: 2", kind="Deconvolution", bias=False, group=5)
    net.layer("Crop", [x, "data"], "out", "crop_param { axis: 2 offset: 3 }")
    return net


def classifiers(Net):
    caffenet, x = alexnet(Net, "caffenet", True)
    caffenet.layer("Softmax", x, "prob")
    alex, x = alexnet(Net, "alexnet", False)
    alex.layer("Softmax", x, "prob")
    rcnn, _ = alexnet(Net, "rcnn_ilsvrc13", True)  # ends with its scores
    return [alex, caffenet, rcnn, googlenet(Net), lenet(Net), cifar(Net, False), cifar(Net, True), vgg(Net), resnet(Net),
            squeezenet(Net), mobilenet_ssd(Net), fcn(Net)]


def topics(Net):
    return {"conv": conv_nets(Net), "pool": pool_nets(Net), "elementwise": elementwise_nets(Net), "norm": norm_nets(Net),
            "movement": movement_nets(Net), "product": product_nets(Net), "detection": detection_nets(Net), "recurrent": recurrent_nets(Net), "others": other_nets(Net), "nets": classifiers(Net)}
