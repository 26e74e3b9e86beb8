#include "optimizer/verify/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "ops/catalogue.h"

namespace sula {
namespace {

constexpr double kAllowedRoundings = 256;
// Below this numbers are on their way to the denormal ones, which have no relative precision.
constexpr double kNothing = 1e-30;

// The relative error of one rounding to the type.
double UnitRoundoff(DType t) {
  switch (t) {
    case DType::kFloat16: return std::ldexp(1.0, -11);
    case DType::kBFloat16: return std::ldexp(1.0, -8);
    case DType::kFloat64: return std::ldexp(1.0, -53);
    default: return std::ldexp(1.0, -24);
  }
}

Tensor Moved(const Tensor& t, std::mt19937_64& random) {
  if (!IsFloat(t.dtype())) return t;
  Tensor moved = t.Clone();
  const double ulp = 2 * UnitRoundoff(t.dtype());
  DispatchDType(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    uint64_t bits = 0;
    int left = 0;
    for (T& x : moved.mutable_data<T>()) {
      if (left == 0) bits = random(), left = 64;
      const double y = static_cast<double>(x);
      x = static_cast<T>(y + (bits & 1 ? ulp : -ulp) * y);
      bits >>= 1;
      --left;
    }
  });
  return moved;
}

}  // namespace

Difference Compare(const Tensor& a, const Tensor& b) {
  Difference d;
  d.same_type = a.dtype() == b.dtype() && a.dims() == b.dims();
  if (!d.same_type) return d;
  if (a.bytes() > 0 && a.raw() == b.raw()) return d;
  DispatchDType(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::span<const T> p = a.data<T>(), q = b.data<T>();
    for (size_t i = 0; i < p.size(); ++i) {
      double gap = 0;
      if constexpr (std::is_integral_v<T>) {  // int64 has more digits than double
        if (p[i] != q[i]) gap = std::max(1.0, std::abs(static_cast<double>(p[i]) - q[i]));
      } else {
        const double u = static_cast<double>(p[i]), v = static_cast<double>(q[i]);
        if (std::isfinite(u)) d.scale = std::max(d.scale, std::abs(u));
        if (u == v || (std::isnan(u) && std::isnan(v))) continue;
        gap = std::isfinite(u) && std::isfinite(v) ? std::abs(u - v)
                                                   : std::numeric_limits<double>::infinity();
      }
      if (gap > d.largest) {
        d.largest = gap;
        d.at = static_cast<int64_t>(i);
      }
    }
  });
  return d;
}

double AlwaysAllowed(const Tensor& a, double scale) {
  if (!IsFloat(a.dtype())) return 0;
  return kAllowedRoundings * UnitRoundoff(a.dtype()) * scale + kNothing;
}

Result<std::vector<Tensor>> RunMoved(std::span<const Node> nodes, const Graph& constants,
                                     const ValueSource& outside, std::span<const ValueId> wanted,
                                     uint64_t seed) {
  std::mt19937_64 random(seed);
  std::map<ValueId, int> readers;
  for (const Node& node : nodes)
    for (ValueId v : node.inputs) ++readers[v];
  for (ValueId v : wanted) ++readers[v];
  std::map<ValueId, Tensor> live;
  const auto fetch = [&](ValueId v) -> Status {
    if (v == kNoValue || constants.Constant(v) || live.contains(v)) return {};
    ASSIGN_OR_RETURN(const Tensor tensor, outside(v));
    live.emplace(v, Moved(tensor, random));
    return {};
  };
  for (const Node& node : nodes) {
    std::vector<const Tensor*> inputs;
    for (ValueId v : node.inputs) {
      RETURN_IF_ERROR(fetch(v));
      const Tensor* constant = constants.Constant(v);
      inputs.push_back(constant ? constant : v == kNoValue ? nullptr : &live.at(v));
    }
    ASSIGN_OR_RETURN(const std::vector<Tensor> outputs, EvaluateNode(node, inputs));
    for (ValueId v : node.inputs)
      if (--readers[v] == 0) live.erase(v);
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.HasOutput(i) && readers.contains(node.outputs[i]))
        live.insert_or_assign(node.outputs[i], Moved(outputs[i], random));
  }
  std::vector<Tensor> results;
  for (ValueId v : wanted) {
    RETURN_IF_ERROR(fetch(v));
    results.push_back(constants.Constant(v) ? *constants.Constant(v) : live.at(v));
  }
  return results;
}

}  // namespace sula
