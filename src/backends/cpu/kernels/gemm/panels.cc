#include "backends/cpu/kernels/gemm/panels.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "backends/cpu/kernels/copy/strided_copy.h"
#include "base/status.h"
#include "base/thread_pool.h"

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
  const int64_t rows = shape.taps * shape.k;
  float* const out = packed + panel.offset;
  CopyRegion region;
  region.AddAxis(shape.taps, {shape.k * width, w.tap_stride});
  region.AddAxis(shape.k, {width, w.k_stride});
  region.AddAxis(valid, {1, w.column_stride});
  RunCopy(Simplify(region), w.data + panel.column * w.column_stride, out, sizeof(float),
          Parallel(1));
  if (scale != 1)
    for (int64_t q = 0; q < rows; ++q)
      for (int64_t i = 0; i < valid; ++i) out[q * width + i] *= scale;
  if (valid < width)
    for (int64_t q = 0; q < rows; ++q) std::fill_n(out + q * width + valid, width - valid, 0.f);
}

Pack PackBias(const float* bias, int64_t n, int64_t floats, const Machine& machine) {
  return MakePack<float>(machine.packs, StrCat("bias ", n, " ", floats), floats, [&](float* to) {
    if (bias) std::memcpy(to, bias, static_cast<size_t>(n) * sizeof(float));
  });
}

PackedWeights PackArranged(FunctionRef<WeightView()> arrange, const float* bias,
                           const WeightShape& shape, const PanelOptions& options,
                           const Machine& machine, std::string_view part) {
  PackedWeights p;
  p.shape = shape;
  p.panels = SplitColumns(shape, options.lanes, options.registers);
  // At least one float, so that a null pointer always means a lack of memory.
  const int64_t floats = std::max<int64_t>(1, PackedFloats(p.panels, shape, options.lanes));
  const std::string recipe = StrCat("panels ", shape.n, " ", shape.taps, " ", shape.k, " ",
                                    shape.groups, " ", options.lanes, " ", options.registers, " ",
                                    std::bit_cast<uint32_t>(options.scale), " ", part);
  p.data = MakePack<float>(machine.packs, recipe, floats, [&](float* to) {
    const WeightView w = arrange();
    Parallel(machine.threads).For(static_cast<int64_t>(p.panels.size()), [&](int64_t i, int) {
      PackPanel(w, p.panels[static_cast<size_t>(i)], shape, options.lanes, options.scale, to);
    });
  });
  p.bias = PackBias(bias, shape.n, BiasFloats(p.panels, options.lanes), machine);
  return p;
}

PackedWeights PackWeights(const WeightView& w, const float* bias, const WeightShape& shape,
                          const PanelOptions& options, const Machine& machine,
                          std::string_view part) {
  const std::string strided =
      StrCat(w.column_stride, " ", w.tap_stride, " ", w.k_stride, " ", part);
  return PackArranged([&] { return w; }, bias, shape, options, machine, strided);
}

}  // namespace sula::cpu
