#include "backends/cpu/kernels/gemm/matmul.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "backends/cpu/kernels/conv/plan.h"

namespace sula::cpu {
namespace {

// out[m][k] = in[k][m] in squares that fit L1.
void Transpose(const float* in, int64_t k, int64_t m, float* out) {
  constexpr int64_t kSquare = 16;
  for (int64_t i0 = 0; i0 < m; i0 += kSquare)
    for (int64_t q0 = 0; q0 < k; q0 += kSquare)
      for (int64_t i = i0; i < std::min(i0 + kSquare, m); ++i)
        for (int64_t q = q0; q < std::min(q0 + kSquare, k); ++q) out[i * k + q] = in[q * m + i];
}

}  // namespace

WeightView MatMul::View(const float* b, int64_t index) const {
  b += index * spec_.k * spec_.n;
  if (spec_.trans_b) return {b, spec_.k, 0, 1};
  return {b, 1, 0, spec_.n};
}

MatMulPlan PlanMatMul(const MatMulSpec& spec, const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  MatMulPlan r;
  r.panels = SplitColumns({spec.n, 1, spec.k, 1}, kernels.lanes, kernels.registers);
  r.products = static_cast<int64_t>(spec.a_index.size());
  r.rows = spec.m;
  // Batches of a, each with its own rows and all with the one b, are one tall product.
  bool tall = spec.b_count == 1 && !spec.trans_a && r.products > 1;
  for (int64_t i = 0; i < r.products; ++i) tall &= spec.a_index[static_cast<size_t>(i)] == i;
  if (tall) r.rows *= r.products, r.products = 1;
  const int threads =
      r.products >= 4 * machine.threads ? 1 : machine.threads;  // else batches are tasks enough
  r.blocks =
      ChooseGemmBlocks(r.rows, spec.n, 1, spec.k, spec.k * 4, static_cast<int>(r.panels.size()),
                       kernels.tile_rows[r.panels.front().vectors], threads, machine.l2_bytes);
  return r;
}

Result<MatMul> MatMul::Make(const MatMulSpec& spec, const float* b, const float* bias,
                            const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  MatMul r;
  r.spec_ = spec, r.machine_ = machine;
  r.shape_ = {spec.n, 1, spec.k, 1};
  r.panels_ = SplitColumns(r.shape_, kernels.lanes, kernels.registers);
  // Panels of every matrix begin on a cache line.
  r.packed_floats_ = static_cast<int64_t>(
      AlignUp(static_cast<size_t>(PackedFloats(r.panels_, r.shape_, kernels.lanes)), 16));
  r.bias_ = PackBias(bias, spec.n, BiasFloats(r.panels_, kernels.lanes), machine);
  if (!r.bias_.data()) return ResourceExhausted("no memory for the bias of a matrix product");
  if (b) {
    const std::string recipe =
        StrCat("matmul ", spec.b_count, " ", spec.n, " ", spec.k, " ", spec.trans_b, " ",
               std::bit_cast<uint32_t>(spec.alpha), " ", kernels.lanes, " ", kernels.registers);
    const auto panels = static_cast<int64_t>(r.panels_.size());
    r.packed_ =
        MakePack<float>(machine.packs, recipe, r.packed_floats_ * spec.b_count, [&](float* to) {
          Parallel(machine.threads).For(spec.b_count * panels, [&](int64_t task, int) {
            const int64_t i = task / panels;
            PackPanel(r.View(b, i), r.panels_[static_cast<size_t>(task % panels)], r.shape_,
                      kernels.lanes, spec.alpha, to + i * r.packed_floats_);
          });
        });
    if (!r.packed_.data())
      return ResourceExhausted("no memory for the packed operand of a matrix product");
  }
  const MatMulPlan plan = PlanMatMul(spec, machine);
  r.products_ = plan.products, r.rows_ = plan.rows, r.blocks_ = plan.blocks;
  const bool collide = RowsCollide(spec.k, kernels.tile_rows[r.panels_.front().vectors]);
  r.row_stride_ = collide ? PackedRowStride(spec.k) : spec.k;
  return r;
}

size_t MatMul::workspace_bytes() const {
  size_t bytes = AlignUp(bias_.bytes());
  if (!packed_.data()) bytes += AlignUp(static_cast<size_t>(packed_floats_ * spec_.b_count) * 4);
  if (row_stride_ != spec_.k)
    bytes += AlignUp(static_cast<size_t>(std::min(blocks_.rows, rows_) * row_stride_) * 4) *
             static_cast<size_t>(machine_.threads);
  if (spec_.trans_a) bytes += static_cast<size_t>(spec_.a_count * spec_.m * spec_.k) * 4;
  return bytes;
}

void MatMul::Run(const MatMulArgs& args, const Parallel& parallel) const {
  const GemmKernels& kernels = GemmFor(machine_.target);
  auto* work = static_cast<std::byte*>(args.workspace);
  const float* bias = bias_.as<float>();
  if (args.bias) {
    auto* copy = reinterpret_cast<float*>(work);
    std::memcpy(copy, args.bias, static_cast<size_t>(spec_.n) * sizeof(float));
    std::memset(copy + spec_.n, 0, bias_.bytes() - static_cast<size_t>(spec_.n) * sizeof(float));
    bias = copy;
  }
  work += AlignUp(bias_.bytes());
  const float* packed = packed_.as<float>();
  const int64_t num_panels = static_cast<int64_t>(panels_.size());
  if (!packed) {
    auto* to = reinterpret_cast<float*>(work);
    parallel.For(spec_.b_count * num_panels, [&](int64_t task, int) {
      const int64_t matrix = task / num_panels;
      PackPanel(View(args.b, matrix), panels_[static_cast<size_t>(task % num_panels)], shape_,
                kernels.lanes, spec_.alpha, to + matrix * packed_floats_);
    });
    packed = to;
    work += AlignUp(static_cast<size_t>(packed_floats_ * spec_.b_count) * 4);
  }
  std::byte* row_work = work;
  const size_t row_bytes =
      AlignUp(static_cast<size_t>(std::min(blocks_.rows, rows_) * row_stride_) * 4);
  if (row_stride_ != spec_.k) work += row_bytes * static_cast<size_t>(machine_.threads);
  const float* a = args.a;
  if (spec_.trans_a) {
    auto* to = reinterpret_cast<float*>(work);
    parallel.For(spec_.a_count, [&](int64_t i, int) {
      Transpose(a + i * spec_.m * spec_.k, spec_.k, spec_.m, to + i * spec_.m * spec_.k);
    });
    a = to;
  }

  GemmCall base;
  base.access = RowAccess::kStrided;
  base.a_stride = row_stride_;
  base.panels = panels_.data();
  base.bias = bias;
  base.k = spec_.k;
  base.prefetch = PrefetchPays(static_cast<size_t>(packed_floats_) * 4,
                               std::min(blocks_.rows, rows_), machine_);
  base.c_stride = base.residual_stride = spec_.n;
  base.epilogue = spec_.epilogue;
  parallel.For(products_ * blocks_.tasks(), [&](int64_t task, int worker) {
    const int64_t product = task / blocks_.tasks(), block = task % blocks_.tasks();
    const int64_t begin = block / blocks_.panel_groups * blocks_.rows;
    const int64_t end = std::min(begin + blocks_.rows, rows_);
    const int64_t p0 = block % blocks_.panel_groups * blocks_.panels;
    const int64_t p1 = std::min(p0 + blocks_.panels, num_panels);
    GemmCall call = base;
    call.a = a + spec_.a_index[static_cast<size_t>(product)] * spec_.m * spec_.k + begin * spec_.k;
    if (row_stride_ != spec_.k) {
      auto* rows = reinterpret_cast<float*>(row_work + static_cast<size_t>(worker) * row_bytes);
      for (int64_t i = 0; i < end - begin; ++i)
        std::memcpy(rows + i * row_stride_, call.a + i * spec_.k,
                    static_cast<size_t>(spec_.k) * sizeof(float));
      call.a = rows;
    }
    call.b = packed + spec_.b_index[static_cast<size_t>(product)] * packed_floats_;
    const int64_t at = (product * rows_ + begin) * spec_.n;
    call.c = args.c + at;
    call.residual = args.residual ? args.residual + at : nullptr;
    kernels.run(call, 0, end - begin, static_cast<int>(p0), static_cast<int>(p1));
  });
}

}  // namespace sula::cpu
