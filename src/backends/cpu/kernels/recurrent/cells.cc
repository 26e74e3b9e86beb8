#include "backends/cpu/kernels/recurrent/cells.h"

#include <algorithm>

namespace sula::cpu {

void Cell::Combine(Binary fn, const float* a, const float* b, float* y, int64_t n) const {
  kernels_->binary[static_cast<size_t>(fn)](a, 1, b, 1, y, n);
}

void Cell::Scale(float* x, float factor, int64_t n) const {
  kernels_->binary[static_cast<size_t>(Binary::kMul)](x, 1, &factor, 0, x, n);
}

void Cell::Activate(int curve, const float* x, float* y, int64_t n) const {
  const auto unary = [&](Unary fn, float a, float b) {
    kernels_->unary[static_cast<size_t>(fn)](x, y, n, a, b);
    x = y;
  };
  const GateCurve& f = spec_.curves[curve];
  if (spec_.clip > 0) unary(Unary::kClip, -spec_.clip, spec_.clip);
  if (f.in_scale != 1) {
    kernels_->binary[static_cast<size_t>(Binary::kMul)](x, 1, &f.in_scale, 0, y, n);
    x = y;
  }
  if (f.fn) unary(*f.fn, f.a, f.b);
  if (x != y) std::copy_n(x, n, y);
  if (f.scale != 1) Scale(y, f.scale, n);
  if (f.shift != 0) kernels_->binary[static_cast<size_t>(Binary::kAdd)](y, 1, &f.shift, 0, y, n);
}

void Cell::Finish(const CellRow& row) const {
  switch (spec_.kind) {
    case CellKind::kRnn: return Activate(0, row.gates[0], row.h_next, row.n);
    case CellKind::kGru: return FinishGru(row);
    case CellKind::kLstm: return FinishLstm(row);
  }
}

void Cell::Reset(const CellRow& row) const {
  Activate(0, row.gates[0], row.gates[0], row.n);
  Activate(0, row.gates[1], row.gates[1], row.n);
  if (row.kept) Combine(Binary::kMul, row.gates[1], row.h, row.kept, row.n);
}

void Cell::FinishGru(const CellRow& row) const {
  const int64_t n = row.n;
  float* const candidate = row.gates[2];
  if (spec_.linear_before_reset) {
    Reset(row);
    Combine(Binary::kMul, row.gates[1], row.carried, row.scratch, n);
    Combine(Binary::kAdd, candidate, row.scratch, candidate, n);
  }
  Activate(1, candidate, candidate, n);
  // (1 - z) g + z h = g + z (h - g)
  Combine(Binary::kSub, row.h, candidate, row.scratch, n);
  Combine(Binary::kMul, row.gates[0], row.scratch, row.scratch, n);
  Combine(Binary::kAdd, candidate, row.scratch, row.h_next, n);
}

// gate += peephole * c
void Cell::AddPeephole(const CellRow& row, int which, float* gate) const {
  if (!row.peephole[which]) return;
  Combine(Binary::kMul, row.peephole[which], row.c, row.scratch, row.n);
  Combine(Binary::kAdd, gate, row.scratch, gate, row.n);
}

void Cell::FinishLstm(const CellRow& row) const {
  const int64_t n = row.n;
  float *const input = row.gates[0], *const output = row.gates[1], *const forget = row.gates[2],
               *const candidate = row.gates[3];
  AddPeephole(row, 0, input);
  Activate(0, input, input, n);
  if (spec_.input_forget) {
    const float one = 1;
    kernels_->binary[static_cast<size_t>(Binary::kSub)](&one, 0, input, 1, forget, n);
  } else {
    AddPeephole(row, 2, forget);
    Activate(0, forget, forget, n);
  }
  Activate(1, candidate, candidate, n);
  Combine(Binary::kMul, forget, row.c, row.c, n);
  Combine(Binary::kMul, input, candidate, input, n);
  Combine(Binary::kAdd, row.c, input, row.c, n);
  AddPeephole(row, 1, output);
  Activate(0, output, output, n);
  Activate(2, row.c, candidate, n);
  Combine(Binary::kMul, output, candidate, row.h_next, n);
}

}  // namespace sula::cpu
