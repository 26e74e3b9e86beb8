#include "backends/cpu/kernels/strassen/strassen.h"

#include <algorithm>

#include "backends/cpu/kernels/strassen/strassen_targets.h"
#include "backends/cpu/kernels/strassen/table.h"

namespace sula::cpu {
namespace {

std::span<const StrassenProduct> ProductsOf(int levels) {
  if (levels == 1) return kStrassenOne.products;
  return kStrassenTwo.products;
}

WeightShape BlockShape(const StrassenPlan& plan) { return {plan.block_n, 1, plan.block_k, 1}; }

// Elements of block `index` of a size that is cut into pieces of `block`.
int64_t Valid(int64_t size, int64_t block, int64_t index) {
  return std::clamp<int64_t>(size - index * block, 0, block);
}

}  // namespace

const StrassenKernels& StrassenFor(Target target) {
  static constexpr Variants<StrassenKernels> kVariants = {
      &kStrassenScalar,
      &kStrassenScalar16,
#ifdef SULA_CPU_SIMD
      &kStrassenAvx2,
      &kStrassenAvx512,
#endif
  };
  return Pick(kVariants, target);
}

StrassenPlan PlanStrassen(const StrassenSpec& spec, const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  StrassenPlan plan;
  plan.grid = 1 << spec.levels;
  plan.products = static_cast<int>(ProductsOf(spec.levels).size());
  for (const StrassenProduct& p : ProductsOf(spec.levels))
    plan.a_terms += p.a.count, plan.c_terms += p.c.count;
  const auto part = [&](int64_t size) { return (size + plan.grid - 1) / plan.grid; };
  plan.block_m = part(spec.m), plan.block_n = part(spec.n), plan.block_k = part(spec.k);
  plan.panels = SplitColumns(BlockShape(plan), kernels.lanes, kernels.registers);
  // What all products of a block of rows read and write (its rows of each block of a and c, a sum
  // and a product) takes 3/4 of L2; but at least four tiles, for each of which the weights come
  // from L3. Three blocks for each thread, as far as that leaves whole tiles.
  const int64_t tile = kernels.tile_rows[plan.panels.front().vectors];
  const int64_t tiles = (plan.block_m + tile - 1) / tile;
  const int64_t row_bytes = (plan.grid * (spec.k + spec.n) + PackedRowStride(plan.block_k) +
                             PackedRowStride(plan.block_n)) *
                            static_cast<int64_t>(sizeof(float));
  const int64_t cached =
      std::max<int64_t>(4, static_cast<int64_t>(machine.l2_bytes) * 3 / 4 / row_bytes / tile);
  int64_t blocks = (tiles + cached - 1) / cached;
  if (machine.threads > 1) blocks = std::max<int64_t>(blocks, 3 * machine.threads);
  blocks = std::min(blocks, tiles);
  plan.blocks.rows = (tiles + blocks - 1) / blocks * tile;
  plan.blocks.row_blocks = (plan.block_m + plan.blocks.rows - 1) / plan.blocks.rows;
  plan.blocks.panels = static_cast<int>(plan.panels.size());
  plan.blocks.panel_groups = 1;
  return plan;
}

Result<Strassen> Strassen::Make(const StrassenSpec& spec, const WeightView& weights, float scale,
                                const float* bias, const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  Strassen r;
  r.spec_ = spec, r.machine_ = machine;
  r.plan_ = PlanStrassen(spec, machine);
  r.packed_floats_ = static_cast<int64_t>(AlignUp(
      static_cast<size_t>(PackedFloats(r.plan_.panels, BlockShape(r.plan_), kernels.lanes)), 16));
  const std::string recipe =
      StrCat("strassen ", spec.levels, " ", spec.n, " ", spec.k, " ", weights.column_stride, " ",
             weights.k_stride, " ", scale, " ", kernels.lanes, " ", kernels.registers);
  r.packed_ = MakePack<float>(machine.packs, recipe, r.packed_floats_ * r.plan_.products,
                              [&](float* to) { r.PackSums(weights, scale, to); });
  // Updates read whole vectors of it, from the first column of any block on.
  r.bias_ = PackBias(bias, spec.n, spec.n + 4 * kernels.lanes, machine);
  r.zeros_ = AlignedBuffer(static_cast<size_t>(BiasFloats(r.plan_.panels, kernels.lanes)) * 4);
  if (!r.packed_.data() || !r.bias_.data() || !r.zeros_.data())
    return ResourceExhausted("no memory for the packed weights of a product by Strassen");
  return r;
}

void Strassen::PackSums(const WeightView& weights, float scale, float* to) const {
  const int lanes = GemmFor(machine_.target).lanes;
  const int64_t nb = plan_.block_n, kb = plan_.block_k;
  const auto products = ProductsOf(spec_.levels);
  Parallel(machine_.threads).For(plan_.products, [&](int64_t p, int) {
    // In double: a sum of four rounds once.
    std::vector<double> sums(static_cast<size_t>(nb * kb));
    const StrassenSum& b = products[static_cast<size_t>(p)].b;
    for (int t = 0; t < b.count; ++t) {
      const StrassenTerm term = b.terms[static_cast<size_t>(t)];
      const int64_t row = term.block / plan_.grid, column = term.block % plan_.grid;
      const int64_t rows = Valid(spec_.k, kb, row), columns = Valid(spec_.n, nb, column);
      const float* from =
          weights.data + row * kb * weights.k_stride + column * nb * weights.column_stride;
      for (int64_t q = 0; q < rows; ++q)
        for (int64_t j = 0; j < columns; ++j)
          sums[static_cast<size_t>(q * nb + j)] +=
              term.sign * double{from[q * weights.k_stride + j * weights.column_stride]};
    }
    std::vector<float> plane(sums.begin(), sums.end());
    for (const Panel& panel : plan_.panels)
      PackPanel({plane.data(), 1, 0, nb}, panel, BlockShape(plan_), lanes, scale,
                to + p * packed_floats_);
  });
}

int64_t Strassen::sums_floats() const {
  return std::min(plan_.blocks.rows, plan_.block_m) * PackedRowStride(plan_.block_k);
}

int64_t Strassen::tile_floats() const {
  return std::min(plan_.blocks.rows, plan_.block_m) * PackedRowStride(plan_.block_n);
}

size_t Strassen::workspace_bytes() const {
  return (AlignUp(static_cast<size_t>(sums_floats()) * 4) +
          AlignUp(static_cast<size_t>(tile_floats()) * 4)) *
         static_cast<size_t>(machine_.threads);
}

// The sum of blocks of a: rows [begin, begin + rows) of each. Where it is one block as it lies, it
// is not copied.
Strassen::Rows Strassen::SumRows(const ConvArgs& args, const StrassenSum& a, int64_t begin,
                                 int64_t rows, float* sums) const {
  const StrassenKernels& kernels = StrassenFor(machine_.target);
  const int64_t kb = plan_.block_k, stride = PackedRowStride(kb);
  const auto count = static_cast<size_t>(a.count);
  std::array<const float*, StrassenSum::kMax> from;
  std::array<float, StrassenSum::kMax> signs;
  std::array<int64_t, StrassenSum::kMax> columns, valid_rows;
  bool whole = true;
  for (size_t t = 0; t < count; ++t) {
    const int64_t row = a.terms[t].block / plan_.grid * plan_.block_m + begin;
    const int64_t column = a.terms[t].block % plan_.grid;
    signs[t] = static_cast<float>(a.terms[t].sign);
    from[t] = args.in + row * args.in_stride + column * kb;
    columns[t] = Valid(spec_.k, kb, column);
    valid_rows[t] = std::clamp<int64_t>(spec_.m - row, 0, rows);
    whole &= columns[t] == kb && valid_rows[t] == rows;
  }
  const int height = GemmFor(machine_.target).tile_rows[plan_.panels.front().vectors];
  if (whole && count == 1 && signs[0] == 1 && !RowsCollide(args.in_stride, height))
    return {from[0], args.in_stride};
  for (int64_t i = 0; i < rows; ++i) {
    float* to = sums + i * stride;
    if (whole) {
      kernels.sum(from.data(), signs.data(), a.count, kb, to);
    } else {
      std::fill_n(to, kb, 0.f);
      for (size_t t = 0; t < count; ++t) {
        const float* both[] = {to, from[t]};
        const float both_signs[] = {1, signs[t]};
        if (i < valid_rows[t] && columns[t] > 0) kernels.sum(both, both_signs, 2, columns[t], to);
      }
    }
    for (size_t t = 0; t < count; ++t) from[t] += args.in_stride;
  }
  return {sums, stride};
}

// Rows [begin, begin + rows) of every block of rows.
void Strassen::RunBlock(const ConvArgs& args, int64_t begin, int64_t rows, float* sums,
                        float* tile) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr int64_t kUpdateRows = 8;  // of the product, which stay in L1 for all of its blocks of c
  const int64_t nb = plan_.block_n;
  const auto products = ProductsOf(spec_.levels);
  GemmCall call;
  call.panels = plan_.panels.data();
  call.bias = zeros_.as<float>();
  call.k = plan_.block_k;
  call.prefetch = true;
  call.c = tile, call.c_stride = PackedRowStride(nb);
  for (size_t p = 0; p < products.size(); ++p) {
    const StrassenProduct& product = products[p];
    const Rows a = SumRows(args, product.a, begin, rows, sums);
    call.a = a.data, call.a_stride = a.stride;
    call.b = packed_.as<float>() + static_cast<int64_t>(p) * packed_floats_;
    GemmFor(machine_.target).run(call, 0, rows, 0, static_cast<int>(plan_.panels.size()));
    for (int64_t i = 0; i < rows; i += kUpdateRows) {
      for (size_t t = 0; t < static_cast<size_t>(product.c.count); ++t) {
        const StrassenTerm term = product.c.terms[t];
        const int64_t row = term.block / plan_.grid * plan_.block_m + begin + i;
        const int64_t column = term.block % plan_.grid * nb;
        StrassenUpdate u;
        u.t = tile + i * call.c_stride, u.t_stride = call.c_stride;
        u.rows = std::clamp<int64_t>(spec_.m - row, 0, std::min(kUpdateRows, rows - i));
        u.columns = Valid(spec_.n, nb, term.block % plan_.grid);
        if (u.rows == 0 || u.columns == 0) continue;
        u.sign = static_cast<float>(term.sign);
        u.c = args.out + row * args.out_stride + column, u.c_stride = args.out_stride;
        if (product.first[t]) {
          u.bias = bias_.as<float>() + column;
          if (args.residual) u.residual = args.residual + row * args.residual_stride + column;
          u.residual_stride = args.residual_stride;
        }
        u.lo = product.last[t] ? spec_.epilogue.lo : -kInfinity;
        u.hi = product.last[t] ? spec_.epilogue.hi : kInfinity;
        StrassenFor(machine_.target).update(u);
      }
    }
  }
}

void Strassen::Run(const ConvArgs& args, const Parallel& parallel) const {
  const size_t per_worker = workspace_bytes() / static_cast<size_t>(machine_.threads);
  parallel.For(plan_.blocks.row_blocks, [&](int64_t task, int worker) {
    auto* mine = static_cast<std::byte*>(args.workspace) + static_cast<size_t>(worker) * per_worker;
    auto* sums = reinterpret_cast<float*>(mine);
    auto* tile = reinterpret_cast<float*>(mine + AlignUp(static_cast<size_t>(sums_floats()) * 4));
    const int64_t begin = task * plan_.blocks.rows;
    RunBlock(args, begin, std::min(plan_.blocks.rows, plan_.block_m - begin), sums, tile);
  });
}

}  // namespace sula::cpu
