#include "ops/pool.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/numbers.h"
#include "ops/window.h"

namespace sula {
namespace {

Result<Shape> InferPool(const PoolParams& p, const Shape& x) {
  const int spatial = static_cast<int>(p.kernel.size());
  if (x.rank() != spatial + 2)
    return InvalidModel("x has shape ", x.ToString(), " but the kernel ", ToString(p.kernel),
                        " needs rank ", spatial + 2);
  RETURN_IF_ERROR(CheckAxisList("kernel", p.kernel, spatial, 1));
  double taps = 1;
  for (int64_t k : p.kernel) taps *= static_cast<double>(k);
  if (taps > static_cast<double>(kMaxWindowSize))
    return Unsupported("a kernel of ", ToString(p.kernel), " has more than ", kMaxWindowSize,
                       " elements");
  ASSIGN_OR_RETURN(const std::vector<WindowAxis> axes,
                   ResolveAxes(p.strides, p.dilations, p.pads, p.auto_pad, spatial));
  std::vector<Dim> y = {x[0], x[1]};
  for (int i = 0; i < spatial; ++i) {
    ASSIGN_OR_RETURN(Dim count,
                     WindowCount(axes[i], x[i + 2], p.kernel[i], p.auto_pad, p.ceil_mode));
    y.push_back(std::move(count));
  }
  return Shape(std::move(y));
}

Status InferPoolNode(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Shape y, InferPool(ctx.params<PoolParams>(), x));
  ctx.SetOutput(0, {ctx.InputType(0), y});
  if (ctx.HasOutput(1)) ctx.SetOutput(1, {DType::kInt64, y});
  return {};
}

Status InferGlobalPool(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  if (x.rank() < 3)
    return InvalidModel("x has shape ", x.ToString(), ", expected [N, C, spatial...]");
  std::vector<Dim> y(x.rank(), 1);
  y[0] = x[0];
  y[1] = x[1];
  ctx.SetOutput(0, {ctx.InputType(0), Shape(std::move(y))});
  return {};
}

// Flat index of a window's element in its plane, in the order that the second output asks for.
int64_t ColumnMajor(const WindowWalk& walk, int64_t flat) {
  const int64_t x = flat % walk.big[2], y = flat / walk.big[2] % walk.big[1],
                z = flat / walk.big[2] / walk.big[1];
  return z + walk.big[0] * (y + walk.big[1] * x);
}

// T is an element type; comparing needs no wider one.
template <class T>
void MaxPool(const WindowWalk& walk, int64_t planes, bool column_major, const T* x, T* y,
             int64_t* indices) {
  const int64_t in_size = walk.big_count(), out_size = walk.small_count(), taps = walk.taps();
  const int64_t stride = walk.stride[2];
  // A window that lies in the padding altogether keeps the type's least value.
  T least;
  if constexpr (std::is_integral_v<T>) {
    least = std::numeric_limits<T>::lowest();
  } else {
    least = static_cast<T>(-std::numeric_limits<float>::infinity());
  }
  std::vector<int64_t> best(out_size);
  for (int64_t plane = 0; plane < planes; ++plane, x += in_size, y += out_size) {
    std::fill(y, y + out_size, least);
    std::fill(best.begin(), best.end(), -1);
    for (int64_t tap = 0; tap < taps; ++tap) {
      walk.ForEachRow(tap, [&](int64_t small, int64_t big, int64_t count) {
        for (int64_t j = 0; j < count; ++j) {
          const T value = x[big + j * stride];
          // The second test makes NaN win.
          if (best[small + j] < 0 || value > y[small + j] || value != value) {
            y[small + j] = value;
            best[small + j] = big + j * stride;
          }
        }
      });
    }
    if (!indices) continue;
    for (int64_t i = 0; i < out_size; ++i) {
      const int64_t flat = column_major && best[i] >= 0 ? ColumnMajor(walk, best[i]) : best[i];
      indices[plane * out_size + i] = plane * in_size + flat;
    }
  }
}

Status EvaluateMaxPool(EvalContext& ctx) {
  const auto& p = ctx.params<PoolParams>();
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(const ConvGeometry g, ResolvePool(p, x.dims()));
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  int64_t* indices = nullptr;
  if (ctx.HasOutput(1)) {
    ASSIGN_OR_RETURN(Tensor * t, ctx.InferredOutput(1));
    indices = t->mutable_data<int64_t>().data();
  }
  DispatchDType(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    MaxPool<T>(WindowWalk(g, false), g.batch * g.in_channels, p.column_major_indices,
               x.data<T>().data(), y->mutable_data<T>().data(), indices);
  });
  return {};
}

Status EvaluateAveragePool(EvalContext& ctx) {
  const auto& p = ctx.params<PoolParams>();
  ASSIGN_OR_RETURN(const ConvGeometry g, ResolvePool(p, ctx.input(0).dims()));
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const WindowWalk walk(g, false);
  const int64_t in_size = walk.big_count(), out_size = walk.small_count(), taps = walk.taps();
  const int64_t stride = walk.stride[2];

  // The number of elements of each window, as the outer product of the axes' counts.
  std::vector<double> counts = {1};
  for (int axis = 0; axis < g.spatial; ++axis) {
    std::vector<double> product;
    for (double before : counts)
      for (int64_t o = 0; o < g.out[axis]; ++o)
        product.push_back(before * static_cast<double>(PoolWindowCount(p, g, axis, o)));
    counts = std::move(product);
  }

  const std::vector<double> x = LoadAs<double>(ctx.input(0));
  std::vector<double> sums(out_size);
  for (int64_t plane = 0; plane < g.batch * g.in_channels; ++plane) {
    const double* source = x.data() + plane * in_size;
    std::fill(sums.begin(), sums.end(), 0.0);
    for (int64_t tap = 0; tap < taps; ++tap) {
      walk.ForEachRow(tap, [&](int64_t small, int64_t big, int64_t count) {
        for (int64_t j = 0; j < count; ++j) sums[small + j] += source[big + j * stride];
      });
    }
    // A window that lies in the padding altogether has no elements; its average is 0.
    for (int64_t i = 0; i < out_size; ++i) sums[i] = counts[i] > 0 ? sums[i] / counts[i] : 0;
    StoreAs<double>(sums, *y, plane * out_size);
  }
  return {};
}

// y[plane] = reduce(elements of the plane).
Status EvaluateGlobal(EvalContext& ctx, double (*reduce)(std::span<const double> plane)) {
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  const Tensor& x = ctx.input(0);
  const int64_t planes = x.dim(0) * x.dim(1);
  const size_t size = static_cast<size_t>(NumElements(std::span(x.dims()).subspan(2)));
  const std::vector<double> values = LoadAs<double>(x);
  std::vector<double> result(planes);
  for (int64_t i = 0; i < planes; ++i) result[i] = reduce({values.data() + i * size, size});
  StoreAs<double>(result, *y);
  return {};
}

Status EvaluateGlobalAveragePool(EvalContext& ctx) {
  return EvaluateGlobal(ctx, [](std::span<const double> plane) {
    double sum = 0;
    for (double v : plane) sum += v;
    return sum / static_cast<double>(plane.size());
  });
}

Status EvaluateGlobalMaxPool(EvalContext& ctx) {
  return EvaluateGlobal(ctx, [](std::span<const double> plane) {
    double best = -std::numeric_limits<double>::infinity();
    for (double v : plane)
      if (v > best || std::isnan(v)) best = v;
    return best;
  });
}

// One operation per element and tap.
Cost CostOfPool(const Node& node, std::span<const TensorType> inputs,
                std::span<const TensorType> outputs) {
  double taps = 1;
  for (int64_t k : node.As<PoolParams>().kernel) taps *= static_cast<double>(k);
  return Traffic(inputs, outputs, taps * Elements(outputs[0]));
}

Cost CostOfGlobalPool(const Node&, std::span<const TensorType> inputs,
                      std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, Elements(inputs[0]));
}

constexpr Field kFields[] = {
    MakeField<&PoolParams::kernel>("kernel", "window sizes, per spatial axis"),
    MakeField<&PoolParams::strides>("strides", "per spatial axis; default 1"),
    MakeField<&PoolParams::dilations>("dilations", "per spatial axis; default 1"),
    MakeField<&PoolParams::pads>("pads", "begins of all spatial axes, then ends; default 0"),
    MakeField<&PoolParams::auto_pad>("auto_pad", "how padding is given: by pads, or computed"),
    MakeField<&PoolParams::ceil_mode>("ceil_mode", "round the number of windows up"),
    MakeField<&PoolParams::count_include_pad>("count_include_pad",
                                              "AveragePool: divide by the whole window"),
    MakeField<&PoolParams::column_major_indices>("column_major_indices",
                                                 "MaxPool: order of the indices within a plane"),
};

constexpr TypeSet kMaxTypes = kFloats | Bit(DType::kInt8) | Bit(DType::kUInt8);
constexpr Port kMaxInputs[] = {{"x", "[N, C, spatial...]", kMaxTypes}};
constexpr Port kMaxOutputs[] = {
    {"y", "[N, C, spatial...]", kMaxTypes},
    {"indices", "flat index in x of each maximum", Bit(DType::kInt64), Arity::kOptional},
};
constexpr Port kInputs[] = {{"x", "[N, C, spatial...]", kFloats}};
constexpr Port kOutputs[] = {{"y", "[N, C, spatial...]", kFloats}};
constexpr Port kGlobalOutputs[] = {{"y", "[N, C, 1...]", kFloats}};

}  // namespace

Result<ConvGeometry> ResolvePool(const PoolParams& p, std::span<const int64_t> x) {
  ASSIGN_OR_RETURN(const Shape y, InferPool(p, Shape::Of(x)));
  ConvGeometry g;
  g.batch = x[0];
  g.in_channels = g.out_channels = x[1];
  g.spatial = y.rank() - 2;
  g.in.assign(x.begin() + 2, x.end());
  g.kernel = p.kernel;
  ASSIGN_OR_RETURN(const std::vector<WindowAxis> axes,
                   ResolveAxes(p.strides, p.dilations, p.pads, p.auto_pad, g.spatial));
  for (int i = 0; i < g.spatial; ++i) {
    g.out.push_back(y[i + 2].value());
    const WindowAxis axis = ResolvePadding(axes[i], g.in[i], g.kernel[i], g.out[i], p.auto_pad);
    g.stride.push_back(axis.stride);
    g.dilation.push_back(axis.dilation);
    g.pad_begin.push_back(axis.pad_begin);
    g.pad_end.push_back(axis.pad_end);
  }
  return g;
}

int64_t PoolWindowCount(const PoolParams& p, const ConvGeometry& g, int axis, int64_t out) {
  int64_t low = 0, high = g.in[axis];  // elements in [low, high) count
  if (p.count_include_pad) {
    low = -g.pad_begin[axis];
    if (p.auto_pad == AutoPad::kExplicit) {
      high += p.pads.empty() ? 0 : p.pads[g.spatial + axis];
    } else {
      high += g.pad_end[axis];
    }
  }
  const int64_t dilation = g.dilation[axis];
  const int64_t begin = out * g.stride[axis] - g.pad_begin[axis];
  // The taps t with low <= begin + t * dilation < high.
  const int64_t first = begin >= low ? 0 : (low - begin + dilation - 1) / dilation;
  const int64_t last = begin >= high ? 0 : (high - begin + dilation - 1) / dilation;
  return std::max<int64_t>(std::min(last, g.kernel[axis]) - first, 0);
}

namespace op {

constinit const OpDef kMaxPool = {
    .name = "MaxPool",
    .summary = "The largest element of each window; padding never wins.",
    .inputs = kMaxInputs,
    .outputs = kMaxOutputs,
    .fields = kFields,
    .default_params = DefaultParams<PoolParams>,
    .build_params = BuildParams<PoolParams>,
    .infer = InferPoolNode,
    .evaluate = EvaluateMaxPool,
    .cost = CostOfPool,
};

constinit const OpDef kAveragePool = {
    .name = "AveragePool",
    .summary =
        "The mean of each window, over its elements inside the input or, with "
        "count_include_pad, inside the input and its padding.",
    .inputs = kInputs,
    .outputs = kOutputs,
    .fields = kFields,
    .default_params = DefaultParams<PoolParams>,
    .build_params = BuildParams<PoolParams>,
    .infer = InferPoolNode,
    .evaluate = EvaluateAveragePool,
    .cost = CostOfPool,
};

constinit const OpDef kGlobalAveragePool = {
    .name = "GlobalAveragePool",
    .summary = "The mean over all spatial axes, which keep size 1.",
    .inputs = kInputs,
    .outputs = kGlobalOutputs,
    .default_params = DefaultParams<NoParams>,
    .build_params = BuildParams<NoParams>,
    .infer = InferGlobalPool,
    .evaluate = EvaluateGlobalAveragePool,
    .cost = CostOfGlobalPool,
};

constinit const OpDef kGlobalMaxPool = {
    .name = "GlobalMaxPool",
    .summary = "The largest element over all spatial axes, which keep size 1.",
    .inputs = kInputs,
    .outputs = kGlobalOutputs,
    .default_params = DefaultParams<NoParams>,
    .build_params = BuildParams<NoParams>,
    .infer = InferGlobalPool,
    .evaluate = EvaluateGlobalMaxPool,
    .cost = CostOfGlobalPool,
};

}  // namespace op
}  // namespace sula
