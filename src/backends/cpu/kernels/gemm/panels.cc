#include "backends/cpu/kernels/gemm/panels.h"

#include <algorithm>
#include <cstring>

namespace sula::cpu {

std::vector<Panel> SplitColumns(const WeightShape& shape, int lanes, int registers) {
  const int64_t per_group = shape.n / shape.groups, depth = shape.taps * shape.k;
  std::vector<Panel> r;
  int64_t offset = 0;
  for (int64_t g = 0; g < shape.groups; ++g) {
    int64_t vectors = (per_group + lanes - 1) / lanes, column = g * per_group;
    auto add = [&](int width) {
      const int64_t left = (g + 1) * per_group - column;
      const int64_t columns = std::min<int64_t>(width * lanes, left);
      r.push_back({offset, column, g * shape.k, static_cast<int32_t>(columns), width});
      offset += depth * width * lanes;
      column += columns;
      vectors -= width;
    };
    if (registers == 16 && (vectors % 3 == 0 || depth <= 128))
      while (vectors >= 3 && vectors != 4) add(3);
    if (vectors % 2 == 1 && vectors > 1) add(3);
    while (vectors >= 2) add(2);
    if (vectors == 1) add(1);
  }
  return r;
}

int64_t PackedFloats(const std::vector<Panel>& panels, const WeightShape& shape, int lanes) {
  if (panels.empty()) return 0;
  return panels.back().offset + shape.taps * shape.k * panels.back().vectors * lanes;
}

int64_t BiasFloats(const std::vector<Panel>& panels, int lanes) {
  int64_t end = 0;
  for (const Panel& p : panels) end = std::max(end, p.column + p.vectors * lanes);
  return end;
}

void PackPanel(const WeightView& w, const Panel& panel, const WeightShape& shape, int lanes,
               float scale, float* packed) {
  const int64_t width = panel.vectors * lanes, valid = panel.columns;
  float* out = packed + panel.offset;
  for (int64_t tap = 0; tap < shape.taps; ++tap) {
    const float* from = w.data + panel.column * w.column_stride + tap * w.tap_stride;
    for (int64_t q = 0; q < shape.k; ++q, from += w.k_stride, out += width) {
      if (w.column_stride == 1 && scale == 1) {
        std::memcpy(out, from, static_cast<size_t>(valid) * sizeof(float));
      } else {
        for (int64_t i = 0; i < valid; ++i) out[i] = from[i * w.column_stride] * scale;
      }
      std::fill(out + valid, out + width, 0.f);
    }
  }
}

PackedWeights PackWeights(const WeightView& w, const float* bias, const WeightShape& shape,
                          int lanes, int registers, float scale) {
  PackedWeights p;
  p.shape = shape;
  p.panels = SplitColumns(shape, lanes, registers);
  // At least one float, so that a null pointer always means a lack of memory.
  const int64_t floats = std::max<int64_t>(1, PackedFloats(p.panels, shape, lanes));
  p.data = AlignedBuffer(static_cast<size_t>(floats) * sizeof(float));
  p.bias = AlignedBuffer(static_cast<size_t>(BiasFloats(p.panels, lanes)) * 4);
  if (!p.data.data() || !p.bias.data()) return p;
  for (const Panel& panel : p.panels) PackPanel(w, panel, shape, lanes, scale, p.data.as<float>());
  if (bias) std::memcpy(p.bias.data(), bias, static_cast<size_t>(shape.n) * sizeof(float));
  return p;
}

}  // namespace sula::cpu
