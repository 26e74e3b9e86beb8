#include "optimizer/match_affine.h"

#include <algorithm>
#include <cmath>

#include "ops/elementwise.h"
#include "ops/norm.h"
#include "optimizer/match.h"

namespace sula {
namespace {

constexpr int64_t kMaxChannels = 1 << 20;

std::optional<Affine> BatchNormAsAffine(const Graph& g, const Node& node, int64_t channels) {
  const Tensor* p[4];
  for (int i = 0; i < 4; ++i) {
    p[i] = ConstantInput(g, node, i + 1);
    if (!p[i] || p[i]->num_elements() != channels) return std::nullopt;
  }
  const double epsilon = node.As<NormParams>().epsilon;
  Affine a;
  for (int64_t c = 0; c < channels; ++c) {
    const double s = p[0]->AsDouble(c) / std::sqrt(p[3]->AsDouble(c) + epsilon);
    a.scale.push_back(s);
    a.shift.push_back(p[1]->AsDouble(c) - p[2]->AsDouble(c) * s);
  }
  return a;
}

}  // namespace

std::optional<Affine> AsAffine(const Graph& g, const Node& node, ValueId x, int axis) {
  const Shape* shape = ShapeOf(g, x);
  if (!shape || axis < 0 || axis >= shape->rank()) return std::nullopt;
  const std::optional<int64_t> channels = (*shape)[axis].TryValue();
  if (!channels || *channels < 1 || *channels > kMaxChannels) return std::nullopt;
  if (!IsFoldableFloat(g.value(x).type.dtype) || !SameShape(g, x, node.outputs[0]))
    return std::nullopt;
  Affine a;
  if (node.Is(op::kBatchNormalization)) {
    if (axis != 1 || node.inputs[0] != x) return std::nullopt;
    std::optional<Affine> batch_norm = BatchNormAsAffine(g, node, *channels);
    if (!batch_norm) return std::nullopt;
    a = *std::move(batch_norm);
  } else if (node.Is(op::kNeg)) {
    a = {std::vector<double>(*channels, -1), std::vector<double>(*channels, 0), {}};
  } else {
    if (node.inputs[0] == node.inputs[1]) return std::nullopt;
    const int other = node.inputs[0] == x ? 1 : 0;
    const Tensor* constant = ConstantInput(g, node, other);
    if (!constant) return std::nullopt;
    std::optional<std::vector<double>> c = PerAxis(*constant, shape->rank(), axis, *channels);
    if (!c) return std::nullopt;
    a.activation = node.As<BinaryParams>().Fused();
    const std::vector<double> zeros(*channels, 0), ones(*channels, 1);
    if (node.Is(op::kMul)) {
      a.scale = *std::move(c), a.shift = zeros;
    } else if (node.Is(op::kAdd)) {
      a.scale = ones, a.shift = *std::move(c);
    } else if (node.Is(op::kSub)) {
      const double sign = other == 1 ? 1 : -1;  // x - c, or c - x
      for (double& v : *c) v *= -sign;
      a.scale.assign(*channels, sign), a.shift = *std::move(c);
    } else {  // Div
      if (other == 0) return std::nullopt;
      for (double& v : *c) v = 1 / v;
      a.scale = *std::move(c), a.shift = zeros;
    }
  }
  const auto finite = [](double v) { return std::isfinite(v); };
  if (!std::ranges::all_of(a.scale, finite) || !std::ranges::all_of(a.shift, finite))
    return std::nullopt;
  return a;
}

std::optional<AffineOf> AsAffineOfAny(const Graph& g, const Node& node, int axis) {
  if (std::ranges::count(kAffineOps, node.op) == 0) return std::nullopt;
  const size_t operands = node.Is(op::kBatchNormalization) || node.Is(op::kNeg) ? 1 : 2;
  for (size_t i = 0; i < operands; ++i)
    if (std::optional<Affine> affine = AsAffine(g, node, node.inputs[i], axis))
      return AffineOf{node.inputs[i], *std::move(affine)};
  return std::nullopt;
}

}  // namespace sula
