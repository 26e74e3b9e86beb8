// The speed loops over a vector type V (simd/portable.h).
#pragma once

#include "backends/cpu/kernels/speed/speed.h"

namespace sula::cpu {

// Sums in flight: x86 needs 10 (latency of 5 cycles on the slowest, two units) and has room for 12
// besides two factors in 16 registers.
inline constexpr int kSums = 12;

template <class V>
float MultiplyAdd(int rounds) {
  // Tends to 2 from any start, so no number ever becomes denormal or infinite.
  const V half = V::Set(0.5f), one = V::Set(1);
  V sums[kSums];
  for (int i = 0; i < kSums; ++i) sums[i] = V::Set(static_cast<float>(i));
  for (int r = 0; r < rounds; ++r)
    for (int i = 0; i < kSums; ++i) sums[i] = Fma(sums[i], half, one);
  for (int i = 1; i < kSums; ++i) sums[0] = sums[0] + sums[i];
  return ReduceAdd(sums[0]);
}

template <class V>
float Read(const float* data, int64_t n) {
  constexpr int kStreams = 8;
  V sums[kStreams];
  for (V& sum : sums) sum = V::Zero();
  for (int64_t i = 0; i < n; i += kStreams * V::kLanes)
    for (int k = 0; k < kStreams; ++k) sums[k] = sums[k] + V::Load(data + i + k * V::kLanes);
  for (int k = 1; k < kStreams; ++k) sums[0] = sums[0] + sums[k];
  return ReduceAdd(sums[0]);
}

template <class V>
void Copy(const float* src, float* dst, int64_t n) {
  constexpr int kStreams = 8;
  for (int64_t i = 0; i < n; i += kStreams * V::kLanes)
    for (int k = 0; k < kStreams; ++k)
      V::Load(src + i + k * V::kLanes).Store(dst + i + k * V::kLanes);
}

template <class V>
constexpr SpeedKernels MakeSpeedKernels() {
  return {2 * kSums * V::kLanes, MultiplyAdd<V>, Read<V>, Copy<V>};
}

}  // namespace sula::cpu
