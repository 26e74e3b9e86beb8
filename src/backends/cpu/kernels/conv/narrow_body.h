// The loops of narrow.h for one vector type V. Include from one .cc per instruction set.
#pragma once

#include "backends/cpu/kernels/conv/narrow.h"
#include "backends/cpu/kernels/epilogue_body.h"

namespace sula::cpu {

// Vectors of pixels of a tile: its accumulators, one broadcast weight and the vectors themselves,
// each loaded once per tap, fit the registers.
template <class V>
constexpr int NarrowVectors(int outputs) {
  int vectors = 8;
  while (vectors > 1 && (outputs + 1) * vectors + 1 >= V::kRegisters) --vectors;
  return vectors;
}

// All outputs of kVectors vectors of pixels, `x` pixels into the row.
template <class V, int kOutputs>
[[gnu::noinline]] void RunNarrowTile(const NarrowCall& call, int64_t x) {
  constexpr int kVectors = NarrowVectors<V>(kOutputs);
  V acc[kOutputs][kVectors];
#pragma GCC unroll 4
  for (int n = 0; n < kOutputs; ++n) {
    const V start = V::Set(call.bias[n]);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) acc[n][v] = start;
  }
  const int64_t columns = call.columns, column_step = call.column_step;
  for (int64_t c = 0; c < call.channels; ++c) {
    const float* w = call.weights + c * call.weight_step;
    const float* strip = call.strips + c * call.channel_step + x;
    for (int64_t r = 0; r < call.rows; ++r, strip += call.row_step) {
      const float* p = strip;
      for (int64_t k = 0; k < columns; ++k, p += column_step, w += kOutputs) {
        V in[kVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          in[v] = V::Load(p + v * V::kLanes);
          in[v].Pin();  // in a register, not an operand that is loaded once per output
        }
#pragma GCC unroll 4
        for (int n = 0; n < kOutputs; ++n) {
          const V weight = V::Set(w[n]);
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) acc[n][v].AddProduct(weight, in[v]);
        }
      }
    }
  }
  float* row = call.row + x;
#pragma GCC unroll 4
  for (int n = 0; n < kOutputs; ++n)
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) acc[n][v].Store(row + n * call.row_floats + v * V::kLanes);
}

// The epilogue on the planar row, then its pixels: a few values each, which nothing else can hold.
template <class V, int kOutputs>
void FinishNarrowRow(const NarrowCall& call) {
  const int64_t pixels = call.pixels;
  const V lo = V::Set(call.epilogue.lo), hi = V::Set(call.epilogue.hi);
  for (int n = 0; n < kOutputs; ++n) {
    float* row = call.row + n * call.row_floats;
    if (call.residual)
      for (int64_t x = 0; x < pixels; ++x) row[x] += call.residual[x * call.residual_stride + n];
    MapRow<V>(row, pixels, [=](V y) { return Min(hi, Max(lo, y)); });
    if (call.epilogue.curve != Curve::kNone) ApplyCurve<V>(row, pixels, call.epilogue);
    for (int64_t x = 0; x < pixels; ++x) call.out[x * call.out_stride + n] = row[x];
  }
}

template <class V, int kOutputs>
void RunNarrowRow(const NarrowCall& call) {
  for (int64_t x = 0; x < call.pixels; x += NarrowVectors<V>(kOutputs) * V::kLanes)
    RunNarrowTile<V, kOutputs>(call, x);
  FinishNarrowRow<V, kOutputs>(call);
}

template <class V>
void RunNarrow(const NarrowCall& call) {
  static_assert(kMaxNarrowOutputs == 4);
  switch (call.outputs) {
    case 1: return RunNarrowRow<V, 1>(call);
    case 2: return RunNarrowRow<V, 2>(call);
    case 3: return RunNarrowRow<V, 3>(call);
    default: return RunNarrowRow<V, 4>(call);
  }
}

template <class V>
[[gnu::always_inline]] inline void FillZeros(float* p, int64_t n) {
  for (; n >= V::kLanes; n -= V::kLanes, p += V::kLanes) V::Zero().Store(p);
  if (n > 0) V::Zero().StoreN(p, static_cast<int>(n));
}

template <class V>
void CopyStrips(const float* from, int64_t stride, int64_t channels, const NarrowStrip& strip,
                float* to, int64_t channel_step) {
  constexpr int kLanes = V::kLanes;
  for (int64_t c = 0; c < channels; c += kLanes) {
    const int wide = static_cast<int>(channels - c < kLanes ? channels - c : kLanes);
    for (int i = 0; i < wide; ++i) {
      float* p = to + (c + i) * channel_step;
      FillZeros<V>(p, strip.left);
      FillZeros<V>(p + strip.left + strip.pixels, strip.right);
    }
    for (int64_t x = 0; x < strip.pixels; x += kLanes) {
      const float* in = from + x * stride + c;
      float* out = to + c * channel_step + strip.left + x;
      V block[kLanes];
      if (wide == kLanes && x + kLanes <= strip.pixels) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) block[i] = V::Load(in + i * stride);
        Transpose(block);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) block[i].Store(out + i * channel_step);
        continue;
      }
      const int high = static_cast<int>(strip.pixels - x < kLanes ? strip.pixels - x : kLanes);
      for (int i = 0; i < kLanes; ++i)
        block[i] = i < high ? V::LoadN(in + i * stride, wide) : V::Zero();
      Transpose(block);
      for (int i = 0; i < wide; ++i) block[i].StoreN(out + i * channel_step, high);
    }
  }
}

template <class V>
constexpr NarrowKernels MakeNarrowKernels() {
  constexpr int kLanes = V::kLanes;
  return {kLanes,
          {0, NarrowVectors<V>(1) * kLanes, NarrowVectors<V>(2) * kLanes,
           NarrowVectors<V>(3) * kLanes, NarrowVectors<V>(4) * kLanes},
          RunNarrow<V>,
          CopyStrips<V>};
}

}  // namespace sula::cpu
