#include "backends/cpu/kernels/recurrent/row_product.h"

#include <algorithm>

#include "backends/cpu/kernels/recurrent/row_targets.h"

namespace sula::cpu {

const RowKernels& RowKernelsFor(Target target) {
  static constexpr Variants<RowKernels> kVariants = {
      &kRowScalar,
      &kRowScalar16,
#ifdef SULA_CPU_SIMD
      &kRowAvx2,
      &kRowAvx512,
#endif
  };
  return Pick(kVariants, target);
}

void AppendPanels(Target target, int64_t rows, int64_t k, int64_t begin, int64_t end,
                  std::vector<Panel>& panels) {
  const GemmKernels& gemm = GemmFor(target);
  const int64_t lanes = gemm.lanes;
  int64_t offset = 0;
  if (!panels.empty()) offset = panels.back().offset + k * panels.back().vectors * lanes;
  if (rows > 1) {
    for (Panel panel : SplitColumns({end - begin, 1, k, 1}, gemm.lanes, gemm.registers)) {
      panel.offset += offset, panel.column += begin;
      panels.push_back(panel);
    }
    return;
  }
  // Of nearly equal width: the more accumulators, the better their latency is hidden.
  const int64_t vectors = (end - begin + lanes - 1) / lanes;
  const int64_t count = (vectors + kMaxRowVectors - 1) / kMaxRowVectors;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t v0 = vectors * i / count, v1 = vectors * (i + 1) / count;
    Panel panel;
    panel.offset = offset;
    panel.column = begin + v0 * lanes;
    panel.columns = static_cast<int32_t>(std::min(end, begin + v1 * lanes) - panel.column);
    panel.vectors = static_cast<int32_t>(v1 - v0);
    panels.push_back(panel);
    offset += k * panel.vectors * lanes;
  }
}

void RunRowProduct(const RowProduct& p, int64_t row_begin, int64_t row_end, int panel_begin,
                   int panel_end) {
  if (p.rows == 1) {
    const RowKernels& kernels = RowKernelsFor(p.target);
    const float* init = p.residual ? p.residual : p.bias;
    for (int j = panel_begin; j < panel_end; ++j) {
      const Panel& panel = p.panels[j];
      kernels.run(p.a_rows ? p.a_rows[0] : p.a, p.k, panel, p.packed + panel.offset,
                  init + panel.column, p.c + panel.column);
    }
    return;
  }
  GemmCall call;
  call.access = p.a_rows ? RowAccess::kPointers : RowAccess::kStrided;
  call.a = p.a, call.a_stride = p.a_stride;
  call.pointers = p.a_rows, call.pointer_stride = p.rows;
  call.panels = p.panels, call.b = p.packed, call.bias = p.bias, call.k = p.k;
  call.prefetch = true;
  call.c = p.c, call.c_stride = p.stride;
  call.residual = p.residual, call.residual_stride = p.stride;
  GemmFor(p.target).run(call, row_begin, row_end, panel_begin, panel_end);
}

}  // namespace sula::cpu
