#include "backends/cpu/kernels/strassen/strassen.h"

#include <algorithm>
#include <bit>

#include "backends/cpu/kernels/strassen/strassen_targets.h"

namespace sula::cpu {
namespace {

// Products of a level; sums of blocks of a; what is added to tiles, and stored of them besides c.
constexpr int kProducts = 7, kSumsOfA = 4, kSumsOfC = 8;

// What each product multiplies blocks of a by: signs of b11, b12, b21, b22, in the order in which
// Multiply takes the products. t4 is negated, so that its product is added like all others.
constexpr int kSumsOfB[kProducts][4] = {
    {1, 0, 0, 0},    // b11
    {0, 0, 1, 0},    // b21
    {-1, 1, 0, 0},   // t1 = b12 - b11
    {1, -1, 0, 1},   // t2 = b22 - t1
    {0, 0, 0, 1},    // b22
    {0, -1, 0, 1},   // t3 = b22 - b12
    {-1, 1, 1, -1},  // -t4 = b21 - t2
};

WeightShape BlockShape(const StrassenPlan& plan) { return {plan.block_n, 1, plan.block_k, 1}; }
WeightShape RestShape(const StrassenPlan& plan, const StrassenSpec& spec) {
  return {spec.n - plan.grid * plan.block_n, 1, spec.k, 1};
}

// Elements of block `index` of a size that is cut into pieces of `block`.
int64_t Valid(int64_t size, int64_t block, int64_t index) {
  return std::clamp<int64_t>(size - index * block, 0, block);
}

// Block (row, column) of the four of a matrix at `level`.
StrassenRows Block(const StrassenRows& m, int level, int row, int column) {
  if (!m.data) return {};
  const int64_t half = int64_t{1} << (level - 1);
  return {m.data + half * (row * m.row_step + column * m.column_step), m.stride, m.row_step,
          m.column_step};
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
  plan.products = 1;
  for (int level = 0; level < spec.levels; ++level) {
    const int64_t blocks = int64_t{1} << 2 * level;  // of one product in a block of this level
    plan.products *= kProducts;
    plan.a_sums = kProducts * plan.a_sums + kSumsOfA * blocks;
    plan.c_sums = kProducts * plan.c_sums + kSumsOfC * blocks;
  }
  const auto part = [&](int64_t size) { return (size + plan.grid - 1) / plan.grid; };
  plan.block_m = part(spec.m), plan.block_n = spec.n / plan.grid, plan.block_k = part(spec.k);
  plan.panels = SplitColumns(BlockShape(plan), kernels.lanes, kernels.registers);
  plan.padded_n = BiasFloats(plan.panels, kernels.lanes);
  if (const WeightShape rest = RestShape(plan, spec); rest.n > 0)
    plan.rest = SplitColumns(rest, kernels.lanes, kernels.registers);
  const int64_t tile = kernels.tile_rows[plan.panels.front().vectors];
  plan.copies = spec.k % plan.grid != 0 || RowsCollide(spec.k, static_cast<int>(tile));
  // What the smallest products of a block of rows read and write (rows of two blocks of a, sums of
  // them, two partial results and c) takes half of L2; but at least four tiles, for each of which
  // the weights come from L3. As many blocks for each thread as for any other, at least two.
  const int64_t tiles = (plan.block_m + tile - 1) / tile;
  const int64_t row_bytes = (3 * plan.block_k + 3 * plan.block_n) * int64_t{sizeof(float)};
  const int64_t cached =
      std::max<int64_t>(4, static_cast<int64_t>(machine.l2_bytes) / 2 / row_bytes / tile);
  int64_t blocks = (tiles + cached - 1) / cached;
  if (machine.threads > 1) {
    blocks = std::max<int64_t>(blocks, 2 * machine.threads);
    blocks = (blocks + machine.threads - 1) / machine.threads * machine.threads;
  }
  plan.blocks.row_blocks = std::min(blocks, tiles);
  plan.blocks.rows = (tiles + plan.blocks.row_blocks - 1) / plan.blocks.row_blocks * tile;
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
             weights.k_stride, " ", std::bit_cast<uint32_t>(scale), " ", kernels.lanes, " ",
             kernels.registers);
  const int64_t floats = r.packed_floats_ * r.plan_.products +
                         PackedFloats(r.plan_.rest, RestShape(r.plan_, spec), kernels.lanes);
  r.packed_ = MakePack<float>(machine.packs, recipe, floats,
                              [&](float* to) { r.PackSums(weights, scale, to); });
  // Whole vectors are read of it, from the first column of any block on.
  r.bias_ = PackBias(bias, spec.n, spec.n + 4 * kernels.lanes, machine);
  r.zeros_ = AlignedBuffer(static_cast<size_t>(BiasFloats(r.plan_.panels, kernels.lanes)) * 4);
  if (!r.packed_.data() || !r.bias_.data() || !r.zeros_.data())
    return ResourceExhausted("no memory for the packed weights of a product by Strassen");
  return r;
}

void Strassen::PackSums(const WeightView& weights, float scale, float* to) const {
  const int lanes = GemmFor(machine_.target).lanes;
  const int64_t nb = plan_.block_n, kb = plan_.block_k;
  // A panel at a time: next to each other lie columns or values of k, as in the weights.
  const bool by_column = weights.k_stride == 1;
  const auto panels = static_cast<int64_t>(plan_.panels.size());
  Parallel(machine_.threads).For(plan_.products * panels, [&](int64_t task, int) {
    const int64_t p = task / panels;
    Panel panel = plan_.panels[static_cast<size_t>(task % panels)];
    const int64_t inner = by_column ? kb : panel.columns;
    // In double: a sum of sixteen rounds once.
    std::vector<double> sums(static_cast<size_t>(panel.columns * kb));
    for (int64_t row = 0; row < plan_.grid; ++row) {
      for (int64_t column = 0; column < plan_.grid; ++column) {
        const double sign = spec_.levels == 1
                                ? kSumsOfB[p][row * 2 + column]
                                : kSumsOfB[p / kProducts][row / 2 * 2 + column / 2] *
                                      kSumsOfB[p % kProducts][row % 2 * 2 + column % 2];
        const int64_t depth = Valid(spec_.k, kb, row);
        if (sign == 0 || depth == 0) continue;
        const float* from = weights.data + row * kb * weights.k_stride +
                            (column * nb + panel.column) * weights.column_stride;
        const int64_t values = by_column ? depth : panel.columns;
        const int64_t lines = by_column ? panel.columns : depth;
        for (int64_t i = 0; i < lines; ++i) {
          const float* line = from + i * (by_column ? weights.column_stride : weights.k_stride);
          double* to = sums.data() + i * inner;
          for (int64_t j = 0; j < values; ++j) to[j] += sign * double{line[j]};
        }
      }
    }
    const std::vector<float> plane(sums.begin(), sums.end());
    const WeightView view =
        by_column ? WeightView{plane.data(), inner, 0, 1} : WeightView{plane.data(), 1, 0, inner};
    panel.column = 0;  // of the plane
    PackPanel(view, panel, BlockShape(plan_), lanes, scale, to + p * packed_floats_);
  });
  WeightView rest = weights;
  rest.data += plan_.grid * nb * weights.column_stride;
  for (const Panel& panel : plan_.rest)
    PackPanel(rest, panel, RestShape(plan_, spec_), lanes, scale,
              to + plan_.products * packed_floats_);
}

struct Strassen::Output {
  struct Sum {
    StrassenRows add, to;
  };
  int64_t last_rows = 0;        // of its last block of rows, that is, half of the lower half ...
  const float* bias = nullptr;  // null: zeros
  int num_sums = 0;
  std::array<Sum, 2 * kMaxStrassenLevels> sums;
  StrassenRows c, residual;
  bool clamp = false;

  // Block (row, column) of this, for a product that is preceded by some sums.
  Output At(int level, int row, int column, int64_t rows, const float* begin,
            std::initializer_list<Sum> before) const {
    Output out;
    out.last_rows = row == 0 ? rows : last_rows;
    out.bias = begin;
    for (const Sum& s : before) out.sums[static_cast<size_t>(out.num_sums++)] = s;
    for (size_t i = 0; i < static_cast<size_t>(num_sums); ++i)
      out.sums[static_cast<size_t>(out.num_sums++)] = {Block(sums[i].add, level, row, column),
                                                       Block(sums[i].to, level, row, column)};
    out.c = Block(c, level, row, column);
    out.residual = Block(residual, level, row, column);
    out.clamp = clamp;
    return out;
  }
};

struct Strassen::Worker {
  int64_t rows = 0;                // of a block
  const float* weights = nullptr;  // of the next product
  struct Level {
    StrassenRows s, t, u;  // of level + 1
  };
  std::array<Level, kMaxStrassenLevels> levels;
};

int64_t Strassen::scratch_floats() const {
  const int64_t rows = std::min(plan_.blocks.rows, plan_.block_m);
  int64_t floats = 0;
  if (plan_.copies || spec_.m % plan_.grid != 0)
    floats += plan_.grid * rows * PackedRowStride(plan_.grid * plan_.block_k);
  for (int level = 1; level <= spec_.levels; ++level) {
    const int64_t half = int64_t{1} << (level - 1);
    floats += half * rows *
              (PackedRowStride(half * plan_.block_k) + 2 * PackedRowStride(half * plan_.padded_n));
  }
  return static_cast<int64_t>(AlignUp(static_cast<size_t>(floats), 16));
}

size_t Strassen::workspace_bytes() const {
  return static_cast<size_t>(scratch_floats() * machine_.threads) * sizeof(float);
}

// out = a x the next product's weights. Level 0 is a plain product.
void Strassen::Multiply(Worker& w, int level, const StrassenRows& a, const Output& out) const {
  const int64_t nb = plan_.block_n, kb = plan_.block_k;
  if (level == 0) {
    GemmCall call;
    call.panels = plan_.panels.data();
    call.k = kb;
    call.prefetch = true;
    call.a = a.data, call.a_stride = a.stride;
    call.b = w.weights;
    w.weights += packed_floats_;
    call.bias = out.bias ? out.bias : zeros_.as<float>();
    std::array<GemmSum, 2 * kMaxStrassenLevels> sums;
    for (size_t i = 0; i < static_cast<size_t>(out.num_sums); ++i) {
      const Output::Sum& s = out.sums[i];
      sums[i] = {s.add.data, s.add.stride, s.to.data, s.to.stride};
    }
    call.sums = sums.data(), call.num_sums = out.num_sums;
    call.c = out.c.data, call.c_stride = out.c.stride;
    call.residual = out.residual.data, call.residual_stride = out.residual.stride;
    if (out.clamp) call.epilogue = spec_.epilogue;
    GemmFor(machine_.target).run(call, 0, out.last_rows, 0, static_cast<int>(plan_.panels.size()));
    return;
  }
  const int64_t half = int64_t{1} << (level - 1);
  const auto& [s, t, u] = w.levels[static_cast<size_t>(level) - 1];
  const auto block_of_a = [&](int row, int column) { return Block(a, level, row, column); };
  const StrassenRows a11 = block_of_a(0, 0), a12 = block_of_a(0, 1), a21 = block_of_a(1, 0),
                     a22 = block_of_a(1, 1);
  const auto sum = [&](const StrassenRows& x, float sign, const StrassenRows& y) {
    for (int64_t i = 0; i < half; ++i) {
      const auto rows = [&](StrassenRows m) {
        m.data += i * m.row_step;
        return m;
      };
      StrassenFor(machine_.target).sum(rows(x), rows(y), sign, w.rows, half * kb, rows(s));
    }
  };
  // A product that only later ones use.
  const auto part = [&](const StrassenRows& to, const StrassenRows& add, const float* bias) {
    Output o;
    o.last_rows = w.rows;
    o.bias = bias;
    o.c = to, o.residual = add;
    return o;
  };
  const auto block = [&](int row, int column, const float* bias,
                         std::initializer_list<Output::Sum> before) {
    return out.At(level, row, column, w.rows, bias, before);
  };
  const float* right_bias = out.bias ? out.bias + half * nb : nullptr;
  Multiply(w, level - 1, a11, part(t, {}, nullptr));
  Multiply(w, level - 1, a12, block(0, 0, out.bias, {{t, {}}}));
  sum(a21, 1, a22);  // s1
  Multiply(w, level - 1, s, part(u, {}, right_bias));
  sum(s, -1, a11);  // s2
  Multiply(w, level - 1, s, part(t, t, nullptr));
  sum(a12, -1, s);  // s4
  Multiply(w, level - 1, s, block(0, 1, nullptr, {{t, {}}, {u, {}}}));
  sum(a11, -1, a21);  // s3
  Multiply(w, level - 1, s, block(1, 1, nullptr, {{t, t}, {u, {}}}));
  Multiply(w, level - 1, a22, block(1, 0, out.bias, {{t, {}}}));
}

// Rows [begin, begin + rows) of every block of rows.
void Strassen::RunBlock(const ConvArgs& args, int64_t begin, int64_t rows, float* scratch) const {
  const int64_t nb = plan_.block_n, kb = plan_.block_k, grid = plan_.grid;
  const int64_t last_rows =
      std::clamp<int64_t>(spec_.m - (grid - 1) * plan_.block_m - begin, 0, rows);
  Worker w;
  w.rows = rows;
  w.weights = packed_.as<float>();
  for (int level = 1; level <= spec_.levels; ++level) {
    const int64_t half = int64_t{1} << (level - 1);
    const auto take = [&](int64_t columns) {
      const int64_t stride = PackedRowStride(half * columns);
      float* data = scratch;
      scratch += half * rows * stride;
      return StrassenRows{data, stride, rows * stride, columns};
    };
    w.levels[static_cast<size_t>(level) - 1] = {take(kb), take(plan_.padded_n),
                                                take(plan_.padded_n)};
  }
  // Read only.
  StrassenRows a = {const_cast<float*>(args.in) + begin * args.in_stride, args.in_stride,
                    plan_.block_m * args.in_stride, kb};
  if (plan_.copies || last_rows < rows) {
    const StrassenRows from = a;
    const int64_t stride = PackedRowStride(grid * kb);
    a = {scratch, stride, rows * stride, kb};
    for (int64_t block = 0; block < grid; ++block) {
      for (int64_t i = 0; i < rows; ++i) {
        const bool valid = block + 1 < grid || i < last_rows;
        float* to = a.data + block * a.row_step + i * stride;
        if (valid) std::copy_n(from.data + block * from.row_step + i * from.stride, spec_.k, to);
        const int64_t values = valid ? spec_.k : 0;
        std::fill_n(to + values, grid * kb - values, 0.f);
      }
    }
  }
  Output out;
  out.last_rows = last_rows;
  out.bias = bias_.as<float>();
  out.c = {args.out + begin * args.out_stride, args.out_stride, plan_.block_m * args.out_stride,
           nb};
  if (args.residual)
    out.residual = {const_cast<float*>(args.residual) + begin * args.residual_stride,
                    args.residual_stride, plan_.block_m * args.residual_stride, nb};
  out.clamp = true;
  Multiply(w, spec_.levels, a, out);
  if (plan_.rest.empty()) return;
  GemmCall call;
  call.panels = plan_.rest.data();
  call.b = w.weights;
  call.bias = bias_.as<float>() + grid * nb;
  call.k = spec_.k;
  call.a_stride = a.stride, call.c_stride = out.c.stride;
  call.residual_stride = out.residual.stride;
  call.epilogue = spec_.epilogue;
  for (int64_t block = 0; block < grid; ++block) {
    call.a = a.data + block * a.row_step;
    call.c = out.c.data + block * out.c.row_step + grid * nb;
    if (args.residual)
      call.residual = out.residual.data + block * out.residual.row_step + grid * nb;
    GemmFor(machine_.target)
        .run(call, 0, block + 1 < grid ? rows : last_rows, 0, static_cast<int>(plan_.rest.size()));
  }
}

void Strassen::Run(const ConvArgs& args, const Parallel& parallel) const {
  // Blocks of nearly equal height, in whole tiles.
  const int64_t tile = GemmFor(machine_.target).tile_rows[plan_.panels.front().vectors];
  const int64_t tiles = (plan_.block_m + tile - 1) / tile, blocks = plan_.blocks.row_blocks;
  parallel.For(blocks, [&](int64_t task, int worker) {
    const int64_t begin = task * tiles / blocks * tile;
    const int64_t end = std::min((task + 1) * tiles / blocks * tile, plan_.block_m);
    RunBlock(args, begin, end - begin,
             static_cast<float*>(args.workspace) + worker * scratch_floats());
  });
}

}  // namespace sula::cpu
