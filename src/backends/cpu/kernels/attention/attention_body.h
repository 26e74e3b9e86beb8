// The loops of attention.h for one vector type V. Include from one .cc per instruction set.
#pragma once

#include <limits>

#include "backends/cpu/kernels/attention/attention.h"
#include "backends/cpu/simd/math.h"

namespace sula::cpu {

inline constexpr float kLog2E = 1.44269504f;
inline constexpr int kMostLanes = 16;
// The least of these from kMostLanes - n on and of n scores keeps the scores, and makes what lies
// behind them -infinity, were it a NaN. (A NaN among the scores becomes +infinity, which makes NaNs
// of all weights as well.)
struct TailTable {
  float v[2 * kMostLanes];
  constexpr TailTable() : v{} {
    for (int i = 0; i < 2 * kMostLanes; ++i)
      v[i] = (i < kMostLanes ? 1.f : -1.f) * std::numeric_limits<float>::infinity();
  }
};
constexpr TailTable kTail;

// n in [0, kLanes].
template <class V>
int LanesLeft(int64_t n) {
  return n < 0 ? 0 : n < V::kLanes ? static_cast<int>(n) : V::kLanes;
}

// Finishes the scores of one row and returns their maximum; behind the last of `visible`, to the
// end of its vector, they become -infinity.
template <class V, bool kMasked, bool kCapped>
float FinishScores(const ScoreRow& row) {
  const float lowest = -std::numeric_limits<float>::infinity();
  const V cap = V::Set(row.cap), log2e = V::Set(kLog2E);
  const auto finish = [&](V s, V mask) {
    if constexpr (kCapped) s = cap * simd::Tanh(s);
    if constexpr (kMasked) s = Fma(mask, log2e, s);
    return s;
  };
  const auto mask = [&](int64_t i) {
    return row.mask_step == 0 ? V::Set(row.mask[0]) : V::Load(row.mask + i);
  };
  V max[2] = {V::Set(lowest), V::Set(lowest)};
  int64_t i = 0;
  for (; i + 2 * V::kLanes <= row.visible; i += 2 * V::kLanes) {
#pragma GCC unroll 2
    for (int u = 0; u < 2; ++u) {
      const int64_t at = i + u * V::kLanes;
      V s = V::Load(row.scores + at);
      if constexpr (kMasked || kCapped) {
        s = finish(s, kMasked ? mask(at) : V::Zero());
        s.Store(row.scores + at);
      }
      max[u] = Max(max[u], s);
    }
  }
  for (; i < row.visible; i += V::kLanes) {
    const int rest = LanesLeft<V>(row.visible - i);
    V s = V::Load(row.scores + i);
    if constexpr (kMasked || kCapped) {
      V m = V::Zero();
      if constexpr (kMasked)
        m = row.mask_step == 0 ? V::Set(row.mask[0]) : V::LoadN(row.mask + i, rest);
      s = finish(s, m);
    }
    s = Min(s, V::Load(kTail.v + kMostLanes - rest));
    s.Store(row.scores + i);
    max[0] = Max(max[0], s);
  }
  return ReduceMax(Max(max[0], max[1]));
}

// 2^x for x <= 0; relative error 2^-22, and 0 below 2^-126.5. A NaN stays one. 2^x = 2^n 2^f with
// |f| <= 1/2; at n = -127 the exponent's bits are those of 0.
template <class V>
[[gnu::always_inline]] inline V Exp2Negative(V x) {
  constexpr float kP[] = {1.00000012f,   0.693146944f,   0.240221202f,
                          0.0555071309f, 0.00967554189f, 0.00132764725f};
  x = Max(V::Set(-127.f), x);
  const V n = Round(x);
  return simd::Polynomial(x - n, kP) * simd::PowerOfTwo<V>(ToInt(n));
}

template <class V>
float SoftmaxScores(const ScoreRow& row) {
  const float lowest = -std::numeric_limits<float>::infinity();
  float max = lowest;
  if (row.cap > 0) {
    max = row.mask ? FinishScores<V, true, true>(row) : FinishScores<V, false, true>(row);
  } else {
    max = row.mask ? FinishScores<V, true, false>(row) : FinishScores<V, false, false>(row);
  }
  if (max == lowest) {
    // A NaN is never a maximum.
    bool nan = false;
    for (int64_t i = 0; i < row.visible; ++i) nan |= row.scores[i] != row.scores[i];
    if (!nan) {
      for (int64_t i = 0; i < row.columns; i += V::kLanes) V::Zero().Store(row.scores + i);
      return 0;
    }
  }
  const V m = V::Set(max);
  V sum[2] = {V::Zero(), V::Zero()};
  int64_t i = 0;
  for (; i + V::kLanes < row.visible; i += 2 * V::kLanes) {
#pragma GCC unroll 2
    for (int u = 0; u < 2; ++u) {
      const V e = Exp2Negative(V::Load(row.scores + i + u * V::kLanes) - m);
      e.Store(row.scores + i + u * V::kLanes);
      sum[u] += e;
    }
  }
  if (i < row.visible) {
    const V e = Exp2Negative(V::Load(row.scores + i) - m);
    e.Store(row.scores + i);
    sum[0] += e;
    i += V::kLanes;
  }
  for (; i < row.columns; i += V::kLanes) V::Zero().Store(row.scores + i);
  return 1 / ReduceAdd(sum[0] + sum[1]);
}

template <class V>
void ScaleRow(float* y, int64_t n, float factor) {
  const V f = V::Set(factor);
  int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) (V::Load(y + i) * f).Store(y + i);
  if (const int rest = static_cast<int>(n - i); rest > 0)
    (V::LoadN(y + i, rest) * f).StoreN(y + i, rest);
}

template <class V>
void PackHead(const float* from, int64_t stride, bool by_column, const Panel& panel, int64_t depth,
              float factor, float* packed) {
  const int64_t width = static_cast<int64_t>(panel.vectors) * V::kLanes;
  const V f = V::Set(factor);
  for (int vector = 0; vector < panel.vectors; ++vector) {
    const int64_t column = panel.column + vector * V::kLanes;
    const int columns = LanesLeft<V>(panel.column + panel.columns - column);
    float* out = packed + panel.offset + vector * V::kLanes;
    if (!by_column) {
      for (int64_t k = 0; k < depth; ++k, out += width)
        (V::LoadN(from + k * stride + column, columns) * f).Store(out);
      continue;
    }
    for (int64_t k = 0; k < depth; k += V::kLanes) {
      const int rest = LanesLeft<V>(depth - k);
      V r[V::kLanes];
      for (int j = 0; j < V::kLanes; ++j) {
        const float* p = from + (column + j) * stride + k;
        r[j] = j >= columns ? V::Zero() : rest == V::kLanes ? V::Load(p) : V::LoadN(p, rest);
      }
      Transpose(r);
      for (int q = 0; q < rest; ++q, out += width) (r[q] * f).Store(out);
    }
  }
}

template <class V>
constexpr AttentionLoops MakeAttentionLoops() {
  return {SoftmaxScores<V>, ScaleRow<V>, PackHead<V>};
}

}  // namespace sula::cpu
