// Recurrent layers (plain, GRU, LSTM) on float32. The products of all steps with the input are one
// GEMM; a step then reads the recurrent weights once, in the order in which they were packed.
#pragma once

#include <span>
#include <vector>

#include "backends/cpu/kernels/conv/conv.h"
#include "backends/cpu/kernels/recurrent/cells.h"
#include "backends/cpu/kernels/recurrent/row_product.h"

namespace sula::cpu {

struct RecurrentSpec {
  int64_t steps = 0, batch = 0, inputs = 0, units = 0;  // each at least 1
  int directions = 1;
  bool reversed[2] = {false, true};  // by direction
  bool batch_first = false;
  CellSpec cells[2];  // by direction; they differ in their curves only
};

// Tensors in the forms of ops/recurrent.h: dense, any alignment. Null: absent, where that
// header says so.
struct RecurrentWeights {
  const float *w = nullptr, *r = nullptr, *bias = nullptr;
};
struct RecurrentArgs {
  const float* x = nullptr;
  RecurrentWeights weights;  // read only if Make had none
  const int32_t* lens = nullptr;
  const float *h0 = nullptr, *c0 = nullptr, *peephole = nullptr, *keep = nullptr;
  float *y = nullptr, *h = nullptr, *c = nullptr;
  void* workspace = nullptr;  // workspace_bytes(), 64-byte aligned
};

class Recurrent {
 public:
  // `weights`: constant ones, packed here; null where they come with each run and are packed then.
  // Error: out of memory.
  static Result<Recurrent> Make(const RecurrentSpec& spec, const RecurrentWeights* weights,
                                const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const { return packed_.bytes() + zeros_.bytes(); }
  int pieces() const { return static_cast<int>(pieces_.size()) - 1; }
  int64_t chunk_steps() const { return chunk_steps_; }
  // Error: lens holds a number that is negative or larger than steps.
  Status Run(const RecurrentArgs& args, const Parallel& parallel) const;

 private:
  // Where the units of a piece and the panels of their recurrent weights begin: `gates` those that
  // a step computes first, `candidate` the ones of a GRU's candidate, which follow.
  struct Piece {
    int64_t unit;
    int gates, candidate;
  };
  // A run's memory, resolved.
  struct Memory;

  int num_gates() const { return GatesOf(spec_.cells[0].kind); }
  // Packed: w, r, the bias of both, the bias that is carried.
  int64_t direction_floats() const { return w_floats_ + r_floats_ + 2 * bias_floats_; }
  int64_t columns() const { return num_gates() * spec_.units; }
  bool two_phases() const {
    return spec_.cells[0].kind == CellKind::kGru && !spec_.cells[0].linear_before_reset;
  }
  bool linear_before_reset() const {
    return spec_.cells[0].kind == CellKind::kGru && spec_.cells[0].linear_before_reset;
  }
  int64_t TimeOf(int direction, int64_t step, int64_t length) const {
    return spec_.reversed[direction] ? length - 1 - step : step;
  }
  int64_t StateRow(int direction, int64_t n) const {
    return spec_.batch_first ? n * spec_.directions + direction : direction * spec_.batch + n;
  }
  int64_t InputRow(int64_t n, int64_t t) const {
    return spec_.batch_first ? n * spec_.steps + t : t * spec_.batch + n;
  }
  int64_t OutputRow(int direction, int64_t n, int64_t t) const {
    return spec_.batch_first ? (n * spec_.steps + t) * spec_.directions + direction
                             : (t * spec_.directions + direction) * spec_.batch + n;
  }

  // All that the packed weights depend on besides the weights.
  std::string Recipe() const;
  void PackPanels(const RecurrentWeights& weights, float* packed, const Parallel& parallel) const;
  Memory Resolve(void* workspace, size_t* bytes) const;
  void Begin(const RecurrentArgs& args, const Memory& memory) const;
  void ProjectInputs(const RecurrentArgs& args, const Memory& memory, int64_t step, int64_t steps,
                     const Parallel& parallel) const;
  void RunPiece(const RecurrentArgs& args, const Memory& memory, int direction, int64_t chunk_step,
                int64_t step, int phase, int piece) const;
  void FinishRow(const RecurrentArgs& args, int direction, int64_t step, int64_t n, int64_t length,
                 const CellRow& row, int64_t unit) const;

  RecurrentSpec spec_;
  Machine machine_;
  std::vector<Cell> cells_;                 // by direction
  std::vector<Panel> w_panels_, r_panels_;  // of one direction; both count columns by gate and unit
  std::vector<Piece> pieces_;               // and one entry for their end
  int64_t chunk_steps_ = 0;                 // whose inputs are projected at a time
  GemmBlocks blocks_;                       // of a chunk's projection
  int64_t w_floats_ = 0, r_floats_ = 0, bias_floats_ = 0;  // of one direction
  Pack packed_;                                            // by direction
  AlignedBuffer zeros_;                                    // bias_floats_
};

}  // namespace sula::cpu
