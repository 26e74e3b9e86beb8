// Attention of several heads, y = softmax(cap(scale * q k^T) + mask) v, a block of queries at a
// time: their scores stay in the cache, and there is never a matrix of all scores. Both products
// are done by the GEMM kernels. (Vaswani et al., 2017; blocks of queries with an exact softmax over
// all keys, where Dao et al., "FlashAttention", 2022, also cut the keys.)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/cpu/kernels/gemm/gemm.h"
#include "backends/cpu/kernels/machine.h"
#include "base/aligned_buffer.h"
#include "base/status.h"
#include "base/thread_pool.h"

namespace sula::cpu {

// Floats between neighbours of an operand along its axes; any may be 0 or negative.
struct HeadStrides {
  int64_t batch = 0, head = 0, position = 0, element = 0;
};

struct AttentionSpec {
  int64_t batch = 1, heads = 1, kv_heads = 1;  // heads is a multiple of kv_heads
  int64_t queries = 0, keys = 0;
  int64_t size = 0, value_size = 0;  // of a query or key, and of a value
  float scale = 1;
  float softcap = 0;    // 0: none
  bool causal = false;  // query i sees the keys up to i + causal_offset alone
  int64_t causal_offset = 0;
  bool masked = false;
  HeadStrides q, k, v, y;                      // element stride of y: 1
  std::array<int64_t, 4> mask = {0, 0, 0, 0};  // batch, head, query, key; the last: 0 or 1

  // How many keys, from the first on, query i sees.
  int64_t Visible(int64_t i) const;
};

struct AttentionArgs {
  const float *q = nullptr, *k = nullptr, *v = nullptr;
  const float* mask = nullptr;  // if the spec is masked
  float* y = nullptr;
  void* workspace = nullptr;  // workspace_bytes(), 64-byte aligned
};

// One row of scores, in units of ln 2 (or, capped, as the argument of tanh).
struct ScoreRow {
  float* scores = nullptr;  // becomes the weights; room for whole vectors
  int64_t visible = 0;      // keys that count
  int64_t columns = 0;      // weights from `visible` to here become 0
  const float* mask = nullptr;
  int64_t mask_step = 0;  // 0 or 1
  float cap = 0;          // softcap in units of ln 2; 0: none
};

struct AttentionLoops {
  // Weights that sum to 1 / the result; the result is 0, and all weights are, if all scores are
  // -infinity or none is visible.
  float (*softmax)(const ScoreRow& row);
  // y[0..n) *= factor
  void (*scale)(float* y, int64_t n, float factor);
  // Packs columns as a panel of the GEMM kernels: value k of column j is from[j * stride + k]
  // (by_column) or from[k * stride + j], times `factor`; missing columns become 0.
  void (*pack)(const float* from, int64_t stride, bool by_column, const Panel& panel, int64_t depth,
               float factor, float* packed);
};
// The variant for a target that AvailableTargets() has.
const AttentionLoops& AttentionFor(Target target);

class Attention {
 public:
  // Error: out of memory.
  static Result<Attention> Make(const AttentionSpec& spec, const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const { return zeros_.bytes(); }
  int64_t block_queries() const { return block_; }
  void Run(const AttentionArgs& args, const Parallel& parallel) const;

 private:
  void Pack(const AttentionArgs& args, int64_t kv_head, bool keys, float* packed) const;
  void RunBlock(const AttentionArgs& args, int64_t head, int64_t block, const float* packed,
                float* scratch) const;
  int64_t blocks() const { return (spec_.queries + block_ - 1) / block_; }
  // Of one thread: scores, copied queries, and a factor for each row.
  int64_t scratch_floats() const {
    return block_ * (row_floats_ + query_floats_) + (block_ + 15) / 16 * 16;
  }

  AttentionSpec spec_;
  Machine machine_;
  std::vector<Panel> key_panels_, score_panels_;  // of k^T; the latter with whole vectors
  std::vector<Panel> value_panels_;
  int64_t key_floats_ = 0, packed_floats_ = 0;  // of one packed head: keys, keys and values
  int64_t row_floats_ = 0;                      // of a row of scores
  int64_t query_floats_ = 0;                    // of a query where they have to be copied
  int64_t block_ = 1;                           // queries of a block
  bool own_packs_ = true;  // a task is a whole head, which it packs; else all are packed first
  AlignedBuffer zeros_;    // the bias of both products
};

}  // namespace sula::cpu
