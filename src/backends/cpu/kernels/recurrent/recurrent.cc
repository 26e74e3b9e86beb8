#include "backends/cpu/kernels/recurrent/recurrent.h"

#include <algorithm>
#include <cstring>

#include "base/lockstep.h"

namespace sula::cpu {
namespace {

constexpr int kCandidate = 2;  // the gate of a GRU that its reset gate acts on

// Rows of inputs projected at a time: enough to read w seldom, few enough that the projections of a
// long sequence take no more memory than this.
constexpr int64_t kChunkBytes = int64_t{1} << 20, kMinChunkRows = 32;

// How many threads share a step. Meeting the others costs some 300 ns, so a piece takes at least
// 1000. Weights come at some 80 bytes per nanosecond and thread, from L2 or L3 alike, and floating-
// point operations, of several rows, go at about as many.
int ChoosePieces(const RecurrentSpec& spec, int64_t r_floats, int threads, size_t l2_bytes,
                 int lanes) {
  const int64_t bytes = r_floats * 4, flops = r_floats * 2 * spec.batch;
  const int64_t nanoseconds = std::max(bytes, flops) / 80;
  // Two directions run side by side, unless it is better to hold half of each in every L2.
  if (spec.directions == 2 && (static_cast<size_t>(bytes) <= l2_bytes || threads > 2)) threads /= 2;
  const int64_t vectors = (spec.units + lanes - 1) / lanes;
  const int64_t most = std::min<int64_t>({threads, vectors, kMaxLockstepPieces});
  return static_cast<int>(std::clamp<int64_t>(nanoseconds / 1000, 1, std::max<int64_t>(1, most)));
}

int64_t AlignFloats(int64_t n) {
  return static_cast<int64_t>(AlignUp(static_cast<size_t>(n), kAlignment / sizeof(float)));
}

}  // namespace

struct Recurrent::Memory {
  const float* packed;          // by direction
  float* gates[2];              // [chunk step][batch][columns]
  const float** input_rows[2];  // [chunk step][batch]
  float* states[2][2];          // [batch][units], of even and of odd steps
  float *cells[2], *kept[2];    // [batch][units]
  float* carried[2];            // [batch][columns]: the candidate's columns only
  float* scratch[2];            // [units]
};

Result<Recurrent> Recurrent::Make(const RecurrentSpec& spec, const RecurrentWeights* weights,
                                  const Machine& machine) {
  const GemmKernels& gemm = GemmFor(machine.target);
  Recurrent r;
  r.spec_ = spec, r.machine_ = machine;
  for (int d = 0; d < spec.directions; ++d) r.cells_.emplace_back(spec.cells[d], machine.target);
  const int64_t row_bytes = spec.batch * r.columns() * 4;
  const int64_t most = std::max(kChunkBytes / row_bytes, kMinChunkRows / spec.batch);
  const int64_t chunks = (spec.steps + std::max<int64_t>(1, most) - 1) / std::max<int64_t>(1, most);
  r.chunk_steps_ = (spec.steps + chunks - 1) / chunks;

  const int64_t rows = r.chunk_steps_ * spec.batch;
  AppendPanels(machine.target, rows, spec.inputs, 0, r.columns(), r.w_panels_);
  const int64_t vectors = (spec.units + gemm.lanes - 1) / gemm.lanes;
  const int pieces =
      ChoosePieces(spec, r.columns() * spec.units, machine.threads, machine.l2_bytes, gemm.lanes);
  const bool apart = r.two_phases() || r.linear_before_reset();  // the candidate's product
  for (int p = 0; p <= pieces; ++p) {
    const int64_t begin = vectors * p / pieces * gemm.lanes;
    const int64_t end = std::min(spec.units, vectors * (p + 1) / pieces * gemm.lanes);
    Piece piece{std::min(begin, spec.units), static_cast<int>(r.r_panels_.size()), 0};
    const auto append = [&](int gate) {
      AppendPanels(machine.target, spec.batch, spec.units, gate * spec.units + begin,
                   gate * spec.units + end, r.r_panels_);
    };
    if (p < pieces)
      for (int g = 0; g < r.num_gates(); ++g)
        if (!apart || g != kCandidate) append(g);
    piece.candidate = static_cast<int>(r.r_panels_.size());
    if (p < pieces && apart) append(kCandidate);
    r.pieces_.push_back(piece);
  }
  const auto floats = [&](const std::vector<Panel>& panels, int64_t k) {
    return AlignFloats(PackedFloats(panels, {0, 1, k, 1}, gemm.lanes));
  };
  r.w_floats_ = floats(r.w_panels_, spec.inputs);
  r.r_floats_ = floats(r.r_panels_, spec.units);
  r.bias_floats_ = AlignFloats(
      std::max(BiasFloats(r.w_panels_, gemm.lanes), BiasFloats(r.r_panels_, gemm.lanes)));
  r.blocks_ = ChooseGemmBlocks(rows, r.columns(), 1, spec.inputs, spec.inputs * 4,
                               static_cast<int>(r.w_panels_.size()),
                               rows > 1 ? gemm.tile_rows[r.w_panels_.front().vectors] : 1,
                               machine.threads, machine.l2_bytes);
  r.zeros_ = AlignedBuffer(static_cast<size_t>(r.bias_floats_) * 4);
  if (!r.zeros_.data()) return ResourceExhausted("no memory for the bias of a recurrent layer");
  if (weights) {
    r.packed_ =
        MakePack<float>(machine.packs, r.Recipe(), r.direction_floats() * spec.directions,
                        [&](float* to) { r.PackPanels(*weights, to, Parallel(machine.threads)); });
    if (!r.packed_.data())
      return ResourceExhausted("no memory for the packed weights of a recurrent layer");
  }
  return r;
}

// ---- memory

Recurrent::Memory Recurrent::Resolve(void* workspace, size_t* bytes) const {
  Memory m{};
  size_t at = 0;
  const auto take = [&](auto*& pointer, int64_t count) {
    using T = std::remove_reference_t<decltype(*pointer)>;
    if (workspace) pointer = reinterpret_cast<T*>(static_cast<std::byte*>(workspace) + at);
    at += AlignUp(static_cast<size_t>(count) * sizeof(T));
  };
  const int64_t rows = chunk_steps_ * spec_.batch, state = spec_.batch * spec_.units;
  for (int d = 0; d < spec_.directions; ++d) {
    take(m.gates[d], rows * columns());
    take(m.input_rows[d], rows);
    for (float*& s : m.states[d]) take(s, state);
    take(m.scratch[d], spec_.units);
    if (spec_.cells[0].kind == CellKind::kLstm) take(m.cells[d], state);
    if (two_phases()) take(m.kept[d], state);
    if (linear_before_reset()) take(m.carried[d], spec_.batch * columns());
  }
  m.packed = packed_.as<float>();
  if (!m.packed) take(m.packed, direction_floats() * spec_.directions);
  if (bytes) *bytes = at;
  return m;
}

size_t Recurrent::workspace_bytes() const {
  size_t bytes = 0;
  Resolve(nullptr, &bytes);
  return bytes;
}

std::string Recurrent::Recipe() const {
  std::string recipe =
      StrCat("recurrent ", spec_.directions, " ", columns(), " ", spec_.inputs, " ", spec_.units,
             " ", linear_before_reset(), " ", bias_floats_, " ", GemmFor(machine_.target).lanes);
  // Their cut depends on rows, threads and caches, in ways that often give the same.
  for (const std::vector<Panel>* panels : {&w_panels_, &r_panels_}) {
    recipe += ";";
    for (const Panel& p : *panels) recipe += StrCat(" ", p.column, " ", p.columns, " ", p.vectors);
  }
  return recipe;
}

void Recurrent::PackPanels(const RecurrentWeights& weights, float* packed,
                           const Parallel& parallel) const {
  const int lanes = GemmFor(machine_.target).lanes;
  const int64_t w_count = static_cast<int64_t>(w_panels_.size()),
                r_count = static_cast<int64_t>(r_panels_.size()), per_direction = w_count + r_count;
  for (int d = 0; d < spec_.directions; ++d) {
    float* bias = packed + d * direction_floats() + w_floats_ + r_floats_;
    std::fill_n(bias, 2 * bias_floats_, 0.f);
    if (!weights.bias) continue;
    const float *of_w = weights.bias + d * 2 * columns(), *of_r = of_w + columns();
    for (int64_t i = 0; i < columns(); ++i) {
      const bool carried = linear_before_reset() && i >= kCandidate * spec_.units;
      bias[i] = carried ? of_w[i] : of_w[i] + of_r[i];
      if (carried) bias[bias_floats_ + i] = of_r[i];
    }
  }
  parallel.For(spec_.directions * per_direction, [&](int64_t task, int) {
    const int64_t d = task / per_direction, i = task % per_direction;
    float* to = packed + d * direction_floats();
    if (i < w_count) {
      PackPanel({weights.w + d * columns() * spec_.inputs, spec_.inputs, 0, 1},
                w_panels_[static_cast<size_t>(i)], {columns(), 1, spec_.inputs, 1}, lanes, 1, to);
    } else {
      PackPanel({weights.r + d * columns() * spec_.units, spec_.units, 0, 1},
                r_panels_[static_cast<size_t>(i - w_count)], {columns(), 1, spec_.units, 1}, lanes,
                1, to + w_floats_);
    }
  });
}

// ---- a run

Status Recurrent::Run(const RecurrentArgs& args, const Parallel& parallel) const {
  int64_t longest = args.lens ? 0 : spec_.steps;
  for (int64_t n = 0; args.lens && n < spec_.batch; ++n) {
    if (args.lens[n] < 0 || args.lens[n] > spec_.steps)
      return InvalidArgument("lens holds ", args.lens[n], ", but there are ", spec_.steps,
                             " steps");
    longest = std::max<int64_t>(longest, args.lens[n]);
  }
  const Memory memory = Resolve(args.workspace, nullptr);
  if (!packed_.data()) PackPanels(args.weights, const_cast<float*>(memory.packed), parallel);
  Begin(args, memory);
  const int phases = two_phases() ? 2 : 1;
  for (int64_t step = 0; step < longest; step += chunk_steps_) {
    const int64_t steps = std::min(chunk_steps_, longest - step);
    ProjectInputs(args, memory, step, steps, parallel);
    RunLockstep(parallel, spec_.directions, pieces(), steps * phases,
                [&](int direction, int64_t at, int piece) {
                  RunPiece(args, memory, direction, at / phases, step + at / phases,
                           static_cast<int>(at % phases), piece);
                });
  }
  return {};
}

// The states before the first step, the last states of sequences without a step, and the zeros of y
// behind the ends of sequences.
void Recurrent::Begin(const RecurrentArgs& args, const Memory& memory) const {
  const int64_t units = spec_.units;
  for (int d = 0; d < spec_.directions; ++d) {
    // Sequences that have ended go through the products like the others.
    std::fill_n(memory.states[d][1], spec_.batch * units, 0.f);
    if (memory.kept[d]) std::fill_n(memory.kept[d], spec_.batch * units, 0.f);
    for (int64_t n = 0; n < spec_.batch; ++n) {
      const int64_t length = args.lens ? args.lens[n] : spec_.steps, row = StateRow(d, n);
      const auto begin = [&](const float* from, float* state, float* last) {
        if (from) {
          std::copy_n(from + row * units, units, state);
        } else {
          std::fill_n(state, units, 0.f);
        }
        if (length == 0) {
          if (last) std::copy_n(state, units, last + row * units);
        } else if (args.keep) {
          cells_[static_cast<size_t>(d)].Scale(state, args.keep[InputRow(n, TimeOf(d, 0, length))],
                                               units);
        }
      };
      begin(args.h0, memory.states[d][0] + n * units, args.h);
      if (memory.cells[d]) begin(args.c0, memory.cells[d] + n * units, args.c);
      for (int64_t t = length; args.y && t < spec_.steps; ++t)
        std::fill_n(args.y + OutputRow(d, n, t) * units, units, 0.f);
    }
  }
}

void Recurrent::ProjectInputs(const RecurrentArgs& args, const Memory& memory, int64_t step,
                              int64_t steps, const Parallel& parallel) const {
  // Rows in the order of the steps. Sequences that have ended get any row of the input.
  for (int d = 0; d < spec_.directions; ++d) {
    for (int64_t s = 0; s < steps; ++s) {
      for (int64_t n = 0; n < spec_.batch; ++n) {
        const int64_t length = args.lens ? args.lens[n] : spec_.steps;
        const int64_t t = step + s < length ? TimeOf(d, step + s, length) : 0;
        memory.input_rows[d][s * spec_.batch + n] = args.x + InputRow(n, t) * spec_.inputs;
      }
    }
  }
  const int64_t rows = steps * spec_.batch, num_panels = static_cast<int64_t>(w_panels_.size());
  const int64_t row_blocks = (rows + blocks_.rows - 1) / blocks_.rows;
  const int64_t tasks = row_blocks * blocks_.panel_groups;
  parallel.For(spec_.directions * tasks, [&](int64_t task, int) {
    const int64_t d = task / tasks, block = task % tasks;
    const int64_t row = block / blocks_.panel_groups * blocks_.rows;
    const int64_t panel = block % blocks_.panel_groups * blocks_.panels;
    RowProduct p;
    p.target = machine_.target;
    p.rows = chunk_steps_ * spec_.batch, p.k = spec_.inputs;
    p.a_rows = memory.input_rows[d];
    p.panels = w_panels_.data();
    p.packed = memory.packed + d * direction_floats();
    p.bias = p.packed + w_floats_ + r_floats_;
    p.c = memory.gates[d], p.stride = columns();
    RunRowProduct(p, row, std::min(row + blocks_.rows, rows), static_cast<int>(panel),
                  static_cast<int>(std::min(panel + blocks_.panels, num_panels)));
  });
}

void Recurrent::RunPiece(const RecurrentArgs& args, const Memory& memory, int direction,
                         int64_t chunk_step, int64_t step, int phase, int piece) const {
  const size_t d = static_cast<size_t>(direction), index = static_cast<size_t>(piece);
  const int64_t units = spec_.units;
  const Piece &here = pieces_[index], &next = pieces_[index + 1];
  const float* before = memory.states[d][step % 2];
  RowProduct p;
  p.target = machine_.target;
  p.rows = spec_.batch, p.k = units;
  p.a = phase == 0 ? before : memory.kept[d], p.a_stride = units;
  p.panels = r_panels_.data();
  p.packed = memory.packed + direction * direction_floats() + w_floats_;
  p.bias = zeros_.as<float>();
  p.c = memory.gates[d] + chunk_step * spec_.batch * columns(), p.stride = columns();
  p.residual = p.c;
  RowProduct carried = p;
  carried.bias = p.packed + r_floats_ + bias_floats_;
  carried.c = memory.carried[d], carried.residual = nullptr;
  const auto run = [&](int panel) {
    const bool apart = linear_before_reset() && panel >= here.candidate;
    RunRowProduct(apart ? carried : p, 0, spec_.batch, panel, panel + 1);
  };
  // Forwards and backwards in turn: what was read last is still in the cache.
  const int begin = phase == 0 ? here.gates : here.candidate;
  const int end = two_phases() && phase == 0 ? here.candidate : next.gates;
  if (step % 2 == 0) {
    for (int i = begin; i < end; ++i) run(i);
  } else {
    for (int i = end; i-- > begin;) run(i);
  }

  for (int64_t n = 0; n < spec_.batch; ++n) {
    const int64_t length = args.lens ? args.lens[n] : spec_.steps;
    if (step >= length) continue;
    const int64_t at = n * units + here.unit;
    CellRow row;
    row.n = next.unit - here.unit;
    for (int g = 0; g < num_gates(); ++g)
      row.gates[g] = p.c + n * columns() + g * units + here.unit;
    row.h = before + at, row.h_next = memory.states[d][(step + 1) % 2] + at;
    if (memory.cells[d]) row.c = memory.cells[d] + at;
    for (int i = 0; args.peephole && i < 3; ++i)
      row.peephole[i] = args.peephole + (direction * 3 + i) * units + here.unit;
    if (memory.kept[d]) row.kept = memory.kept[d] + at;
    if (memory.carried[d])
      row.carried = memory.carried[d] + n * columns() + kCandidate * units + here.unit;
    row.scratch = memory.scratch[d] + here.unit;
    if (two_phases() && phase == 0) {
      cells_[d].Reset(row);
    } else {
      FinishRow(args, direction, step, n, length, row, here.unit);
    }
  }
}

void Recurrent::FinishRow(const RecurrentArgs& args, int direction, int64_t step, int64_t n,
                          int64_t length, const CellRow& row, int64_t unit) const {
  const Cell& cell = cells_[static_cast<size_t>(direction)];
  cell.Finish(row);
  const int64_t t = TimeOf(direction, step, length);
  if (args.y)
    std::copy_n(row.h_next, row.n, args.y + OutputRow(direction, n, t) * spec_.units + unit);
  if (step + 1 == length) {
    const int64_t to = StateRow(direction, n) * spec_.units + unit;
    if (args.h) std::copy_n(row.h_next, row.n, args.h + to);
    if (args.c && row.c) std::copy_n(row.c, row.n, args.c + to);
  } else if (args.keep) {
    const float keep = args.keep[InputRow(n, TimeOf(direction, step + 1, length))];
    cell.Scale(row.h_next, keep, row.n);
    if (row.c) cell.Scale(row.c, keep, row.n);
  }
}

}  // namespace sula::cpu
