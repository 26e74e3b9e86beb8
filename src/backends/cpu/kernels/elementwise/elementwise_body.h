// The functions of elementwise.h for any vector type V; included by one file per instruction set.
#pragma once

#include <limits>
#include <utility>

#include "backends/cpu/kernels/elementwise/elementwise.h"
#include "backends/cpu/simd/math.h"

namespace sula::cpu {

// log(1 + e) for e >= 0, precise for small e: e log(u) / (u - 1) with u = 1 + e rounded (Kahan).
template <class V>
[[gnu::always_inline]] inline V Log1p(V e) {
  const V u = e + V::Set(1.f), d = u - V::Set(1.f);
  return Select(d == V::Zero(), e, Select(u == e, Log(u), e * (Log(u) / d)));
}

// e^x - 1, precise for small x: (u - 1) x / log(u) with u = e^x rounded (Kahan).
template <class V>
[[gnu::always_inline]] inline V Expm1(V x) {
  const V u = Exp(x), d = u - V::Set(1.f);
  const V small = Select(d == V::Zero(), x, d * x / Log(u));
  return Select(Abs(x) < V::Set(1.f), small, d);
}

template <class V>
[[gnu::always_inline]] inline V MaxZero(V x) {
  return Max(V::Zero(), x);
}

template <Unary kFn, class V>
[[gnu::always_inline]] inline V ApplyUnary(V x, V a, V b) {
  const V zero = V::Zero(), one = V::Set(1.f);
  if constexpr (kFn == Unary::kRelu) return MaxZero(x);
  if constexpr (kFn == Unary::kLeakyRelu) return Select(x < zero, a * x, x);
  if constexpr (kFn == Unary::kClip) return Min(b, Max(a, x));
  if constexpr (kFn == Unary::kSigmoid) return simd::Sigmoid(x);
  if constexpr (kFn == Unary::kTanh) return simd::Tanh(x);
  if constexpr (kFn == Unary::kHardSigmoid) return simd::HardSigmoid(x, a, b);
  if constexpr (kFn == Unary::kHardSwish) return simd::HardSwish(x);
  if constexpr (kFn == Unary::kSwish) return x * simd::Sigmoid(a * x);
  if constexpr (kFn == Unary::kGelu) return simd::Gelu(x);
  if constexpr (kFn == Unary::kGeluTanh) {
    const V inner = V::Set(0.79788456f) * Fma(V::Set(0.044715f) * x * x, x, x);
    return V::Set(0.5f) * x * (one + simd::Tanh(inner));
  }
  if constexpr (kFn == Unary::kElu) return Select(x < zero, a * Expm1(x), x);
  if constexpr (kFn == Unary::kSelu) return b * Select(x < zero, a * Expm1(x), x);
  if constexpr (kFn == Unary::kCelu) return Select(x < zero, a * Expm1(x / a), x);
  if constexpr (kFn == Unary::kSoftplus) return MaxZero(x) + Log1p(simd::Exp(-Abs(x)));
  if constexpr (kFn == Unary::kSoftsign) return x / (one + Abs(x));
  if constexpr (kFn == Unary::kMish) {
    // tanh(log(1 + e)) = (e^2 + 2e) / (e^2 + 2e + 2); from x = 20 on the quotient is 1 in float.
    const V e = simd::Exp(Min(V::Set(20.f), x)), t = e * (e + V::Set(2.f));
    return x * (t / (t + V::Set(2.f)));
  }
  if constexpr (kFn == Unary::kThresholdedRelu) return Select(x > a, x, zero);
  if constexpr (kFn == Unary::kErf) return simd::Erf(x);
  if constexpr (kFn == Unary::kNeg) return -x;
  if constexpr (kFn == Unary::kAbs) return Abs(x);
  if constexpr (kFn == Unary::kExp) return simd::Exp(x);
  if constexpr (kFn == Unary::kLog) return simd::Log(x);
  if constexpr (kFn == Unary::kSqrt) return Sqrt(x);
  if constexpr (kFn == Unary::kReciprocal) return one / x;
  if constexpr (kFn == Unary::kFloor) return Floor(x);
  if constexpr (kFn == Unary::kCeil) return Ceil(x);
  if constexpr (kFn == Unary::kRound) return Round(x);
  if constexpr (kFn == Unary::kSign) {
    return Select(x > zero, one, Select(x < zero, -one, x));
  }
}

template <Binary kFn, class V>
[[gnu::always_inline]] inline V ApplyBinary(V a, V b) {
  if constexpr (kFn == Binary::kAdd) return a + b;
  if constexpr (kFn == Binary::kSub) return a - b;
  if constexpr (kFn == Binary::kMul) return a * b;
  if constexpr (kFn == Binary::kDiv) return a / b;
  if constexpr (kFn == Binary::kMax) return Select(IsNaN(a), a, Max(a, b));
  if constexpr (kFn == Binary::kMin) return Select(IsNaN(a), a, Min(a, b));
  if constexpr (kFn == Binary::kPRelu) return Select(a < V::Zero(), a * b, a);
}

template <Fold kFn, class V>
[[gnu::always_inline]] inline V ApplyFold(V acc, V x) {
  if constexpr (kFn == Fold::kSum) return acc + x;
  if constexpr (kFn == Fold::kMax) return Select(IsNaN(acc), acc, Max(acc, x));
  if constexpr (kFn == Fold::kMin) return Select(IsNaN(acc), acc, Min(acc, x));
  if constexpr (kFn == Fold::kProduct) return acc * x;
  if constexpr (kFn == Fold::kSumSquares) return Fma(x, x, acc);
  if constexpr (kFn == Fold::kSumAbs) return acc + Abs(x);
}
consteval float NeutralOf(Fold f) {
  if (f == Fold::kMax) return -std::numeric_limits<float>::infinity();
  if (f == Fold::kMin) return std::numeric_limits<float>::infinity();
  return f == Fold::kProduct ? 1.f : 0.f;
}
// How partial results of one fold combine: sums of squares are summed, not squared again.
consteval Fold Combine(Fold f) {
  return f == Fold::kSumSquares || f == Fold::kSumAbs ? Fold::kSum : f;
}

template <class V, Unary kFn>
void UnaryLoop(const float* x, float* y, int64_t n, float fa, float fb) {
  const V a = V::Set(fa), b = V::Set(fb);
  int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) ApplyUnary<kFn>(V::Load(x + i), a, b).Store(y + i);
  if (const int rest = static_cast<int>(n - i); rest > 0) {
    ApplyUnary<kFn>(V::LoadN(x + i, rest), a, b).StoreN(y + i, rest);
  }
}

template <class V, Binary kFn>
void BinaryLoop(const float* a, int sa, const float* b, int sb, float* y, int64_t n) {
  const auto run = [&](auto load_a, auto load_b) {
    int64_t i = 0;
    for (; i + V::kLanes <= n; i += V::kLanes) {
      ApplyBinary<kFn>(load_a(i, V::kLanes), load_b(i, V::kLanes)).Store(y + i);
    }
    if (const int rest = static_cast<int>(n - i); rest > 0) {
      ApplyBinary<kFn>(load_a(i, rest), load_b(i, rest)).StoreN(y + i, rest);
    }
  };
  if (n == 0) return;
  const auto row = [](const float* p) {
    return [p](int64_t i, int count) {
      return count == V::kLanes ? V::Load(p + i) : V::LoadN(p + i, count);
    };
  };
  const auto same = [](V v) { return [v](int64_t, int) { return v; }; };
  if (sa == 1 && sb == 1) {
    run(row(a), row(b));
  } else if (sa == 1) {
    run(row(a), same(V::Set(*b)));
  } else if (sb == 1) {
    run(same(V::Set(*a)), row(b));
  } else {
    run(same(V::Set(*a)), same(V::Set(*b)));
  }
}

template <class V, Fold kFn>
float FoldRow(const float* x, int64_t n) {
  constexpr int kParts = 4;  // independent chains hide the latency of an addition
  constexpr Fold kMerge = Combine(kFn);
  V acc[kParts];
  for (V& v : acc) v = V::Set(NeutralOf(kFn));
  int64_t i = 0;
  for (; i + kParts * V::kLanes <= n; i += kParts * V::kLanes) {
    for (int p = 0; p < kParts; ++p) {
      acc[p] = ApplyFold<kFn>(acc[p], V::Load(x + i + p * V::kLanes));
    }
  }
  for (; i + V::kLanes <= n; i += V::kLanes) acc[0] = ApplyFold<kFn>(acc[0], V::Load(x + i));
  float lanes[V::kLanes];
  if (i < n) {
    for (int k = 0; k < V::kLanes; ++k) lanes[k] = i + k < n ? x[i + k] : NeutralOf(kFn);
    acc[1] = ApplyFold<kFn>(acc[1], V::Load(lanes));
  }
  ApplyFold<kMerge>(ApplyFold<kMerge>(acc[0], acc[1]), ApplyFold<kMerge>(acc[2], acc[3]))
      .Store(lanes);
  for (int half = V::kLanes / 2; half > 0; half /= 2) {
    ApplyFold<kMerge>(V::LoadN(lanes, half), V::LoadN(lanes + half, half)).StoreN(lanes, half);
  }
  return lanes[0];
}

template <class V, Fold kFn>
void FoldIntoRow(const float* x, float* acc, int64_t n) {
  int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    ApplyFold<kFn>(V::Load(acc + i), V::Load(x + i)).Store(acc + i);
  }
  if (const int rest = static_cast<int>(n - i); rest > 0) {
    ApplyFold<kFn>(V::LoadN(acc + i, rest), V::LoadN(x + i, rest)).StoreN(acc + i, rest);
  }
}

// y[i] = e^(x[i] - max), or x[i] - max; returns the sum of the exponentials.
template <class V>
float ExpShifted(const float* x, float* y, int64_t n, float max, bool keep_shifted) {
  const V m = V::Set(max);
  V sum = V::Zero();
  int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    const V d = V::Load(x + i) - m, e = simd::Exp(d);
    sum += e;
    (keep_shifted ? d : e).Store(y + i);
  }
  float total = ReduceAdd(sum);
  if (const int rest = static_cast<int>(n - i); rest > 0) {
    const V d = V::LoadN(x + i, rest) - m, e = simd::Exp(d);
    float lanes[V::kLanes];
    e.Store(lanes);
    for (int k = 0; k < rest; ++k) total += lanes[k];
    (keep_shifted ? d : e).StoreN(y + i, rest);
  }
  return total;
}

template <class V>
void SoftmaxRow(const float* x, float* y, int64_t n, bool log) {
  const float max = FoldRow<V, Fold::kMax>(x, n);
  const float sum = ExpShifted<V>(x, y, n, max, log);
  float scale = 1 / sum, log_sum;
  if (log) {
    UnaryLoop<V, Unary::kLog>(&sum, &log_sum, 1, 0, 0);
    BinaryLoop<V, Binary::kSub>(y, 1, &log_sum, 0, y, n);
  } else {
    BinaryLoop<V, Binary::kMul>(y, 1, &scale, 0, y, n);
  }
}

template <class V>
void SoftmaxColumns(const float* x, float* y, int64_t rows, int64_t stride, int64_t n, bool log,
                    float* scratch) {
  float *max = scratch, *sum = scratch + n;
  for (int64_t i = 0; i < n; ++i) max[i] = NeutralOf(Fold::kMax), sum[i] = 0;
  for (int64_t r = 0; r < rows; ++r) FoldIntoRow<V, Fold::kMax>(x + r * stride, max, n);
  const auto each = [&](auto body) {
    for (int64_t i = 0; i < n; i += V::kLanes) {
      body(i, static_cast<int>(n - i < V::kLanes ? n - i : V::kLanes));
    }
  };
  for (int64_t r = 0; r < rows; ++r) {
    each([&](int64_t i, int count) {
      const V d = V::LoadN(x + r * stride + i, count) - V::LoadN(max + i, count);
      const V e = simd::Exp(d);
      (V::LoadN(sum + i, count) + e).StoreN(sum + i, count);
      (log ? d : e).StoreN(y + r * stride + i, count);
    });
  }
  each([&](int64_t i, int count) {
    const V s = V::LoadN(sum + i, count);
    (log ? simd::Log(s) : V::Set(1.f) / s).StoreN(sum + i, count);
  });
  for (int64_t r = 0; r < rows; ++r) {
    float* row = y + r * stride;
    if (log) {
      BinaryLoop<V, Binary::kSub>(row, 1, sum, 1, row, n);
    } else {
      BinaryLoop<V, Binary::kMul>(row, 1, sum, 1, row, n);
    }
  }
}

// What the lanes of the last vector of a row are multiplied by, from entry 16 - rest on.
struct LaneTable {
  float v[32];
  constexpr LaneTable() : v{} {
    for (int i = 0; i < 16; ++i) v[i] = 1;
  }
};
constexpr LaneTable kFirstLanes;

// The sum over i of f(x[i]), in lanes. f may give anything behind the row's end.
template <class V, class F>
[[gnu::always_inline]] inline float SumOf(const float* x, int64_t n, F f) {
  constexpr int kParts = 4;  // independent chains hide the latency of an addition
  V sum[kParts] = {V::Zero(), V::Zero(), V::Zero(), V::Zero()};
  int64_t i = 0;
  for (; i + kParts * V::kLanes <= n; i += kParts * V::kLanes) {
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) sum[p] += f(V::Load(x + i + p * V::kLanes));
  }
  for (; i + V::kLanes <= n; i += V::kLanes) sum[0] += f(V::Load(x + i));
  if (const int rest = static_cast<int>(n - i); rest > 0)
    sum[1] += f(V::LoadN(x + i, rest)) * V::Load(kFirstLanes.v + 16 - rest);
  return ReduceAdd((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

// The mean first, then the squares of what is left: the difference of their means would cancel.
template <class V>
void Normalise(const NormRow& row) {
  const float n = static_cast<float>(row.n);
  const float mean_of_row = row.centre ? SumOf<V>(row.x, row.n, [](V x) { return x; }) / n : 0.f;
  const V mean = V::Set(mean_of_row);
  const float squares = SumOf<V>(row.x, row.n, [=](V x) { return (x - mean) * (x - mean); });
  const V inverse = V::Set(1.f) / Sqrt(V::Set(squares / n + row.epsilon));
  const auto write = [&](int64_t i, int count) {
    const bool whole = count == V::kLanes;
    const auto number = [&](const float* p) {
      return row.scale_step == 0 ? V::Set(*p) : whole ? V::Load(p + i) : V::LoadN(p + i, count);
    };
    V y = ((whole ? V::Load(row.x + i) : V::LoadN(row.x + i, count)) - mean) * inverse;
    y = row.shift ? Fma(y, number(row.scale), number(row.shift)) : y * number(row.scale);
    if (whole) {
      y.Store(row.y + i);
    } else {
      y.StoreN(row.y + i, count);
    }
  };
  int64_t i = 0;
  for (; i + V::kLanes <= row.n; i += V::kLanes) write(i, V::kLanes);
  if (i < row.n) write(i, static_cast<int>(row.n - i));
}

template <class V>
void WeightedSum(const float* const* x, const float* weight, int count, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    V sum = V::Zero();
    for (int t = 0; t < count; ++t) sum = Fma(V::Set(weight[t]), V::Load(x[t] + i), sum);
    sum.Store(y + i);
  }
  if (const int rest = static_cast<int>(n - i); rest > 0) {
    V sum = V::Zero();
    for (int t = 0; t < count; ++t) sum = Fma(V::Set(weight[t]), V::LoadN(x[t] + i, rest), sum);
    sum.StoreN(y + i, rest);
  }
}

template <class V>
consteval ElementwiseKernels MakeElementwise() {
  ElementwiseKernels k{};
  [&]<size_t... kI>(std::index_sequence<kI...>) {
    ((k.unary[kI] = UnaryLoop<V, static_cast<Unary>(kI)>), ...);
  }
  (std::make_index_sequence<static_cast<size_t>(Unary::kCount)>());
  [&]<size_t... kI>(std::index_sequence<kI...>) {
    ((k.binary[kI] = BinaryLoop<V, static_cast<Binary>(kI)>), ...);
  }
  (std::make_index_sequence<static_cast<size_t>(Binary::kCount)>());
  [&]<size_t... kI>(std::index_sequence<kI...>) {
    ((k.fold[kI] = FoldRow<V, static_cast<Fold>(kI)>), ...);
    ((k.fold_into[kI] = FoldIntoRow<V, static_cast<Fold>(kI)>), ...);
  }
  (std::make_index_sequence<static_cast<size_t>(Fold::kCount)>());
  k.softmax = SoftmaxRow<V>;
  k.normalise = Normalise<V>;
  k.weighted_sum = WeightedSum<V>;
  k.softmax_columns = SoftmaxColumns<V>;
  return k;
}

}  // namespace sula::cpu
