// The loops of channel_norm.h for one vector type V. Include from one .cc per instruction set.
#pragma once

#include "backends/cpu/kernels/norm/channel_norm.h"

namespace sula::cpu {

template <class V>
[[gnu::always_inline]] inline V LoadSome(const float* p, int lanes) {
  return lanes == V::kLanes ? V::Load(p) : V::LoadN(p, lanes);
}
template <class V>
[[gnu::always_inline]] inline void StoreSome(V v, float* p, int lanes) {
  if (lanes == V::kLanes) {
    v.Store(p);
  } else {
    v.StoreN(p, lanes);
  }
}

// kVectors neighbouring vectors of channels; `lanes` valid ones in each (all but for one vector).
template <class V, int kVectors>
[[gnu::noinline]] void MomentsOf(const float* in, int64_t stride, int64_t pixels, int lanes,
                                 float* mean, float* squares) {
  V sum[kVectors], square[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) sum[v] = square[v] = V::Zero();
  const float* p = in;
  for (int64_t i = 0; i < pixels; ++i, p += stride) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[v] += LoadSome<V>(p + v * V::kLanes, lanes);
  }
  const V scale = V::Set(1.f / static_cast<float>(pixels));
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) sum[v] *= scale;
  p = in;
  for (int64_t i = 0; i < pixels; ++i, p += stride) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const V d = LoadSome<V>(p + v * V::kLanes, lanes) - sum[v];
      square[v] = Fma(d, d, square[v]);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    StoreSome(sum[v], mean + v * V::kLanes, lanes);
    StoreSome(square[v], squares + v * V::kLanes, lanes);
  }
}

template <class V>
void Moments(const float* in, int64_t stride, int64_t pixels, int64_t channels, float* mean,
             float* squares) {
  int64_t c = 0;
  for (; c + 4 * V::kLanes <= channels; c += 4 * V::kLanes)
    MomentsOf<V, 4>(in + c, stride, pixels, V::kLanes, mean + c, squares + c);
  for (; c + V::kLanes <= channels; c += V::kLanes)
    MomentsOf<V, 1>(in + c, stride, pixels, V::kLanes, mean + c, squares + c);
  if (c < channels)
    MomentsOf<V, 1>(in + c, stride, pixels, static_cast<int>(channels - c), mean + c, squares + c);
}

template <class V>
[[gnu::always_inline]] inline void ApplyOne(const float* in, const float* mean, const float* factor,
                                            const float* shift, float* out, int lanes) {
  const V d = LoadSome<V>(in, lanes) - LoadSome<V>(mean, lanes);
  StoreSome(Fma(d, LoadSome<V>(factor, lanes), LoadSome<V>(shift, lanes)), out, lanes);
}

template <class V>
void Apply(const float* in, int64_t in_stride, int64_t pixels, int64_t channels, const float* mean,
           const float* factor, const float* shift, float* out, int64_t out_stride) {
  for (int64_t i = 0; i < pixels; ++i, in += in_stride, out += out_stride) {
    int64_t c = 0;
    for (; c + V::kLanes <= channels; c += V::kLanes)
      ApplyOne<V>(in + c, mean + c, factor + c, shift + c, out + c, V::kLanes);
    if (c < channels)
      ApplyOne<V>(in + c, mean + c, factor + c, shift + c, out + c, static_cast<int>(channels - c));
  }
}

template <class V>
constexpr ChannelNormKernels MakeChannelNormKernels() {
  return {V::kLanes, Moments<V>, Apply<V>};
}

}  // namespace sula::cpu
