#include "backends/cpu/kernels/attention/attention.h"

#include <algorithm>
#include <numbers>

#include "backends/cpu/kernels/attention/attention_targets.h"

namespace sula::cpu {
namespace {

int64_t RoundUp(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

const float* At(const float* data, const HeadStrides& s, int64_t batch, int64_t head,
                int64_t position) {
  return data + batch * s.batch + head * s.head + position * s.position;
}

}  // namespace

const AttentionLoops& AttentionFor(Target target) {
  static constexpr Variants<AttentionLoops> kVariants = {
      &kAttentionScalar,
      &kAttentionScalar16,
#ifdef SULA_CPU_SIMD
      &kAttentionAvx2,
      &kAttentionAvx512,
#endif
  };
  return Pick(kVariants, target);
}

int64_t AttentionSpec::Visible(int64_t i) const {
  return causal ? std::clamp<int64_t>(i + causal_offset + 1, 0, keys) : keys;
}

Result<Attention> Attention::Make(const AttentionSpec& spec, const Machine& machine) {
  const GemmKernels& gemm = GemmFor(machine.target);
  Attention r;
  r.spec_ = spec, r.machine_ = machine;
  const WeightShape keys = {spec.keys, 1, spec.size, 1},
                    values = {spec.value_size, 1, spec.keys, 1};
  r.key_panels_ = SplitColumns(keys, gemm.lanes, gemm.registers);
  r.value_panels_ = SplitColumns(values, gemm.lanes, gemm.registers);
  r.score_panels_ = r.key_panels_;
  for (Panel& p : r.score_panels_) p.columns = p.vectors * gemm.lanes;
  // Packed heads begin on cache lines; rows are odd numbers of them apart, so that they don't all
  // lie in few sets of L1.
  r.key_floats_ = RoundUp(PackedFloats(r.key_panels_, keys, gemm.lanes), 16);
  r.packed_floats_ = r.key_floats_ + RoundUp(PackedFloats(r.value_panels_, values, gemm.lanes), 16);
  const int64_t bias =
      std::max(BiasFloats(r.key_panels_, gemm.lanes), BiasFloats(r.value_panels_, gemm.lanes));
  r.row_floats_ = PackedRowStride(BiasFloats(r.key_panels_, gemm.lanes));
  r.query_floats_ = spec.q.element == 1 ? 0 : PackedRowStride(spec.size);
  r.zeros_ = AlignedBuffer(static_cast<size_t>(bias) * sizeof(float));
  if (!r.zeros_.data()) return ResourceExhausted("no memory for the bias of an attention");

  // The scores of a block take an eighth of L2, beside the packed head (measured best on 512 KiB
  // with heads that fit and with such that don't); at least two tiles.
  const int64_t tile = gemm.tile_rows[r.key_panels_.front().vectors];
  const int64_t cached = static_cast<int64_t>(machine.l2_bytes) / 8 / 4 / r.row_floats_;
  int64_t blocks = (spec.queries + std::max(cached, 2 * tile) - 1) / std::max(cached, 2 * tile);
  // Whole heads are tasks where threads share them evenly: then each is packed by whom it serves.
  const int64_t heads = spec.batch * spec.kv_heads;
  r.own_packs_ = heads % machine.threads == 0 || heads >= 8 * machine.threads;
  const int64_t wanted = 4 * machine.threads;
  if (!r.own_packs_)
    blocks = std::max(blocks, (wanted + spec.batch * spec.heads - 1) / (spec.batch * spec.heads));
  r.block_ = std::min(spec.queries, RoundUp((spec.queries + blocks - 1) / blocks, tile));
  return r;
}

size_t Attention::workspace_bytes() const {
  const int64_t packs = own_packs_ ? machine_.threads : spec_.batch * spec_.kv_heads;
  return static_cast<size_t>(packs * packed_floats_ + machine_.threads * scratch_floats()) *
         sizeof(float);
}

void Attention::Pack(const AttentionArgs& args, int64_t kv_head, bool keys, float* packed) const {
  const AttentionLoops& loops = AttentionFor(machine_.target);
  const HeadStrides& s = keys ? spec_.k : spec_.v;
  const float* from =
      At(keys ? args.k : args.v, s, kv_head / spec_.kv_heads, kv_head % spec_.kv_heads, 0);
  // Scores come in units of ln 2, or as arguments of tanh.
  const float unit = spec_.softcap > 0 ? 1 / spec_.softcap : std::numbers::log2e_v<float>;
  const float factor = keys ? spec_.scale * unit : 1;
  const int64_t column = keys ? s.position : s.element, depth = keys ? s.element : s.position;
  const WeightShape shape = keys ? WeightShape{spec_.keys, 1, spec_.size, 1}
                                 : WeightShape{spec_.value_size, 1, spec_.keys, 1};
  if (!keys) packed += key_floats_;
  for (const Panel& panel : keys ? key_panels_ : value_panels_) {
    if (column == 1 || depth == 1) {
      loops.pack(from, column == 1 ? depth : column, column != 1, panel, shape.k, factor, packed);
    } else {
      PackPanel({from, column, 0, depth}, panel, shape, GemmFor(machine_.target).lanes, factor,
                packed);
    }
  }
}

void Attention::RunBlock(const AttentionArgs& args, int64_t head, int64_t block,
                         const float* packed, float* scratch) const {
  const GemmKernels& gemm = GemmFor(machine_.target);
  const AttentionLoops& loops = AttentionFor(machine_.target);
  const int64_t b = head / spec_.heads, h = head % spec_.heads;
  const int64_t begin = block * block_, rows = std::min(block_, spec_.queries - begin);
  float* y = args.y + b * spec_.y.batch + h * spec_.y.head + begin * spec_.y.position;
  const int64_t columns = spec_.Visible(begin + rows - 1);  // that any row sees
  if (columns == 0) {
    for (int64_t i = 0; i < rows; ++i) std::fill_n(y + i * spec_.y.position, spec_.value_size, 0.f);
    return;
  }

  GemmCall call;
  call.a = At(args.q, spec_.q, b, h, begin), call.a_stride = spec_.q.position;
  if (spec_.q.element != 1) {
    float* copy = scratch + block_ * row_floats_;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t k = 0; k < spec_.size; ++k)
        copy[i * query_floats_ + k] = call.a[i * spec_.q.position + k * spec_.q.element];
    call.a = copy, call.a_stride = query_floats_;
  }
  const auto panel = std::find_if(score_panels_.begin(), score_panels_.end(),
                                  [&](const Panel& p) { return p.column >= columns; });
  call.panels = score_panels_.data();
  call.b = packed, call.bias = zeros_.as<float>();
  call.k = spec_.size;
  call.c = scratch, call.c_stride = row_floats_;
  gemm.run(call, 0, rows, 0, static_cast<int>(panel - score_panels_.begin()));

  // The row of weights is scaled when it has been summed up with the values, which are fewer.
  float* inverse = scratch + block_ * (row_floats_ + query_floats_);
  ScoreRow row;
  row.columns = columns;
  row.mask_step = spec_.mask[3];
  row.cap = spec_.softcap * std::numbers::log2e_v<float>;
  for (int64_t i = 0; i < rows; ++i) {
    row.scores = scratch + i * row_floats_;
    row.visible = spec_.Visible(begin + i);
    if (spec_.masked)
      row.mask = args.mask + b * spec_.mask[0] + h * spec_.mask[1] + (begin + i) * spec_.mask[2];
    inverse[i] = loops.softmax(row);
  }

  call.a = scratch, call.a_stride = row_floats_;
  call.panels = value_panels_.data();
  call.b = packed + key_floats_;
  call.k = columns;
  call.c = y, call.c_stride = spec_.y.position;
  gemm.run(call, 0, rows, 0, static_cast<int>(value_panels_.size()));
  for (int64_t i = 0; i < rows; ++i)
    loops.scale(y + i * spec_.y.position, spec_.value_size, inverse[i]);
}

void Attention::Run(const AttentionArgs& args, const Parallel& parallel) const {
  auto* work = static_cast<float*>(args.workspace);
  const int64_t kv_heads = spec_.batch * spec_.kv_heads, group = spec_.heads / spec_.kv_heads;
  if (own_packs_) {
    parallel.For(kv_heads, [&](int64_t task, int worker) {
      float* packed = work + worker * (packed_floats_ + scratch_floats());
      Pack(args, task, true, packed);
      Pack(args, task, false, packed);
      for (int64_t i = 0; i < group * blocks(); ++i)
        RunBlock(args, task * group + i / blocks(), i % blocks(), packed, packed + packed_floats_);
    });
    return;
  }
  parallel.For(2 * kv_heads, [&](int64_t task, int) {
    Pack(args, task / 2, task % 2 == 0, work + task / 2 * packed_floats_);
  });
  float* scratch = work + kv_heads * packed_floats_;
  parallel.For(kv_heads * group * blocks(), [&](int64_t task, int worker) {
    const int64_t head = task / blocks();
    RunBlock(args, head, task % blocks(), work + head / group * packed_floats_,
             scratch + worker * scratch_floats());
  });
}

}  // namespace sula::cpu
