// The element-wise part of a step of a recurrent layer, for some units of one sequence.
#pragma once

#include <optional>

#include "backends/cpu/kernels/elementwise/elementwise.h"

namespace sula::cpu {

enum class CellKind : uint8_t { kRnn, kGru, kLstm };
constexpr int GatesOf(CellKind kind) {
  return kind == CellKind::kLstm ? 4 : kind == CellKind::kGru ? 3 : 1;
}

// The function of a gate: scale * fn(in_scale * x; a, b) + shift; without fn the identity.
struct GateCurve {
  std::optional<Unary> fn;
  float a = 0, b = 0;
  float in_scale = 1, scale = 1, shift = 0;
};

struct CellSpec {
  CellKind kind = CellKind::kRnn;
  bool linear_before_reset = false;  // Gru
  bool input_forget = false;         // Lstm: the forget gate is 1 - the input gate
  float clip = 0;                    // bound of what goes into the functions; 0: none
  GateCurve curves[3];               // f, g, h
};

// Pointers to the values of the units that are computed; n of each. Arrays don't overlap.
struct CellRow {
  int64_t n = 0;
  float* gates[4] = {};            // sums of w x, r h and bias; changed
  const float* h = nullptr;        // the state before
  float* h_next = nullptr;         // the state after
  float* c = nullptr;              // Lstm: the cell, in and out
  const float* peephole[3] = {};   // Lstm: of i, o and f; null: none
  float* kept = nullptr;           // Gru, not linear before reset: r * h
  const float* carried = nullptr;  // Gru, linear before reset: r h + bias of the candidate
  float* scratch = nullptr;        // any values
};

class Cell {
 public:
  Cell(const CellSpec& spec, Target target) : spec_(spec), kernels_(&GetElementwise(target)) {}
  // From gates to h_next. Gru that is not linear before reset: from the candidate's gate, for which
  // Reset has been called before.
  void Finish(const CellRow& row) const;
  // Gru: applies the update and the reset gate and writes kept.
  void Reset(const CellRow& row) const;
  // x *= factor
  void Scale(float* x, float factor, int64_t n) const;

 private:
  void Activate(int curve, const float* x, float* y, int64_t n) const;
  void Combine(Binary fn, const float* a, const float* b, float* y, int64_t n) const;
  void AddPeephole(const CellRow& row, int which, float* gate) const;
  void FinishGru(const CellRow& row) const;
  void FinishLstm(const CellRow& row) const;

  CellSpec spec_;
  const ElementwiseKernels* kernels_;
};

}  // namespace sula::cpu
