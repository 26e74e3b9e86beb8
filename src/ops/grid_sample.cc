#include <algorithm>
#include <array>
#include <cmath>

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/numbers.h"
#include "ops/resize.h"

namespace sula {
namespace {

constexpr int kMaxAxes = 3;
constexpr double kCubicA = -0.75;

Status Infer(InferContext& ctx) {
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Shape grid, ctx.InputShape(1));
  const int axes = x.rank() - 2;
  if (axes < 1 || axes > kMaxAxes)
    return Unsupported("x has shape ", x.ToString(), "; expected [N, C, ...] with 1 to ", kMaxAxes,
                       " more axes");
  if (grid.rank() != x.rank() || !MayEqual(grid[0], x[0]) || !MayEqual(grid[axes + 1], axes))
    return InvalidModel("grid has shape ", grid.ToString(), ", which does not fit x of shape ",
                        x.ToString(), "; expected [", x[0].ToString(), ", ", axes, " sizes, ", axes,
                        "]");
  Shape y = x;
  for (int i = 0; i < axes; ++i) y[2 + i] = grid[1 + i];
  ctx.SetOutput(0, {ctx.InputType(0), y});
  return {};
}

// x mirrored at low and high until it lies between them; low if they coincide.
double Reflect(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  const double beyond = std::fmod(std::abs(x - low), 2 * range);
  return low + (beyond > range ? 2 * range - beyond : beyond);
}

// One axis of the input.
struct Axis {
  double size;
  double low, high;  // the borders that coordinates are reflected at
};

// What one output element reads along one axis: up to 4 elements, -1 for a zero.
struct Taps {
  int count = 0;
  std::array<int64_t, 4> index;
  std::array<double, 4> weight;
};

int64_t ElementAt(GridPadding padding, const Axis& axis, double i) {
  if (padding == GridPadding::kZeros && !(i >= 0 && i < axis.size)) return -1;
  if (padding == GridPadding::kReflection) i = Reflect(i, axis.low, axis.high);
  // NaN falls on the first element.
  return i >= 0 ? static_cast<int64_t>(std::min(i, axis.size - 1)) : 0;
}

Taps MakeTaps(const GridSampleParams& p, const Axis& axis, double normalised) {
  double x = p.align_corners ? (normalised + 1) / 2 * (axis.size - 1)
                             : ((normalised + 1) * axis.size - 1) / 2;
  if (p.mode == ResizeMode::kNearest) x = std::nearbyint(x);
  if (x < axis.low || x > axis.high) {
    if (p.padding == GridPadding::kBorder) x = std::clamp(x, 0.0, axis.size - 1);
    if (p.padding == GridPadding::kReflection) x = Reflect(x, axis.low, axis.high);
  }
  Taps taps;
  const auto add = [&](double i, double weight) {
    taps.index[taps.count] = ElementAt(p.padding, axis, i);
    taps.weight[taps.count++] = weight;
  };
  const double base = std::floor(x), t = x - base;
  switch (p.mode) {
    case ResizeMode::kNearest: add(x, 1); break;
    case ResizeMode::kLinear:
      add(base, 1 - t);
      add(base + 1, t);
      break;
    case ResizeMode::kCubic:
      for (int i = -1; i <= 2; ++i) add(base + i, CubicKernel(t - i, kCubicA));
      break;
  }
  return taps;
}

// One element of the input that an output element reads.
struct Sample {
  int64_t offset;
  double weight;
};

// The outer product of the axes' taps, without zeros.
void Combine(std::span<const Taps> axes, std::span<const int64_t> strides,
             std::vector<Sample>& samples) {
  samples.assign(1, {0, 1});
  std::vector<Sample> next;
  for (size_t a = 0; a < axes.size(); ++a) {
    next.clear();
    for (const Sample& s : samples)
      for (int t = 0; t < axes[a].count; ++t)
        if (axes[a].index[t] >= 0)
          next.push_back({s.offset + axes[a].index[t] * strides[a], s.weight * axes[a].weight[t]});
    samples.swap(next);
  }
}

Status Evaluate(EvalContext& ctx) {
  const auto& p = ctx.params<GridSampleParams>();
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  if (y->num_elements() == 0) return {};
  const Tensor& x = ctx.input(0);
  const Dims in(x.dims().begin() + 2, x.dims().end());
  const int rank = static_cast<int>(in.size());
  const int64_t planes = x.dim(1), in_size = NumElements(in);
  if (in_size == 0)
    return InvalidModel("x of shape ", ToString(x.dims()), " has no elements to sample");
  const int64_t out_size = y->num_elements() / (x.dim(0) * planes);
  const Dims strides = RowMajorStrides(in);
  std::vector<Axis> axes(rank);
  for (int a = 0; a < rank; ++a) {
    const double size = static_cast<double>(in[a]);
    axes[a] = p.align_corners ? Axis{size, 0, size - 1} : Axis{size, -0.5, size - 0.5};
  }
  const std::vector<double> values = LoadAs<double>(x), grid = LoadAs<double>(ctx.input(1));
  std::vector<double> result(y->num_elements(), 0.0);
  std::vector<Taps> taps(rank);
  std::vector<Sample> samples;
  for (int64_t n = 0; n < x.dim(0); ++n) {
    for (int64_t o = 0; o < out_size; ++o) {
      const double* point = grid.data() + (n * out_size + o) * rank;
      // A point lists the last axis first.
      for (int a = 0; a < rank; ++a) taps[a] = MakeTaps(p, axes[a], point[rank - 1 - a]);
      Combine(taps, strides, samples);
      for (int64_t c = 0; c < planes; ++c) {
        const double* plane = values.data() + (n * planes + c) * in_size;
        double& sum = result[(n * planes + c) * out_size + o];
        for (const Sample& s : samples) sum += s.weight * plane[s.offset];
      }
    }
  }
  StoreAs<double>(result, *y);
  return {};
}

// Weights and sums of all taps.
Cost CostOfGridSample(const Node& node, std::span<const TensorType> inputs,
                      std::span<const TensorType> outputs) {
  const ResizeMode mode = node.As<GridSampleParams>().mode;
  const double taps = mode == ResizeMode::kNearest ? 1 : mode == ResizeMode::kLinear ? 2 : 4;
  const int rank = inputs[0].shape ? inputs[0].shape->rank() - 2 : 0;
  return Traffic(inputs, outputs, 2 * std::pow(taps, rank) * Elements(outputs[0]));
}

constexpr Field kFields[] = {
    MakeField<&GridSampleParams::mode>("mode", "interpolation"),
    MakeField<&GridSampleParams::padding>("padding", "what lies outside the input"),
    MakeField<&GridSampleParams::align_corners>("align_corners",
                                                "-1 and 1 are the centres of border elements"),
};
constexpr Port kInputs[] = {
    {"x", "[N, C, D1..Dr], r from 1 to 3", kNumbers},
    {"grid", "[N, O1..Or, r], coordinates in [-1, 1], the last axis first", kFloats},
};
constexpr Port kOutputs[] = {{"y", "[N, C, O1..Or]", kNumbers}};

}  // namespace

namespace op {

constinit const OpDef kGridSample = {
    .name = "GridSample",
    .summary = "Reads x at the points that grid lists, interpolated.",
    .inputs = kInputs,
    .outputs = kOutputs,
    .fields = kFields,
    .default_params = DefaultParams<GridSampleParams>,
    .build_params = BuildParams<GridSampleParams>,
    .infer = Infer,
    .evaluate = Evaluate,
    .cost = CostOfGridSample,
};

}  // namespace op
}  // namespace sula
