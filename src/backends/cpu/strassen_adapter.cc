#include "backends/cpu/strassen_adapter.h"

#include <cmath>
#include <utility>

#include "backends/cpu/cost.h"

namespace sula::cpu {
namespace {

constexpr double kFloat = sizeof(float);

// Vector operations for each vector of a sum of blocks of a, and for each that is added to a tile
// or stored besides c.
constexpr double kSumOperations = 4, kTileOperations = 3;

// What is added to an estimate for what it may be wrong by (more on several threads, where the
// slowest counts), and for each time the weights of a plain product that the packed ones take
// besides.
constexpr double kDoubt = 0.03, kDoubtOfThreads = 0.06, kPriceOfWeights = 0.02;

// Vector operations of all sums for each row of a block.
double SumOperations(const StrassenPlan& plan, Target target) {
  return (kSumOperations * static_cast<double>(plan.a_sums * plan.block_k) +
          kTileOperations * static_cast<double>(plan.c_sums * plan.block_n)) /
         GemmFor(target).lanes;
}

// The plain product.
Work PlainWork(const StrassenSpec& spec, const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  const std::vector<Panel> panels =
      SplitColumns({spec.n, 1, spec.k, 1}, kernels.lanes, kernels.registers);
  const GemmBlocks blocks =
      ChooseGemmBlocks(spec.m, spec.n, 1, spec.k, spec.k * static_cast<int64_t>(sizeof(float)),
                       static_cast<int>(panels.size()), kernels.tile_rows[panels.front().vectors],
                       machine.threads, machine.l2_bytes);
  return ProductWork(machine.target, panels, blocks, spec.m, 1, spec.k,
                     static_cast<double>(spec.k) * kFloat);
}

StrassenSpec SpecOf(const StrassenProduct& product, int levels) {
  StrassenSpec spec = product.spec;
  spec.levels = levels;
  return spec;
}

}  // namespace

Verdict AcceptStrassen(const KernelRequest& request, const StrassenProduct& product, int levels) {
  const StrassenSpec spec = SpecOf(product, levels);
  if (spec.epilogue.curve != Curve::kNone) return Verdict::No("an activation other than a clamp");
  if (const double error = StrassenError(levels); error > request.max_error) {
    return Verdict::No(StrCat("an error of ", error,
                              " of the largest output is to be expected, max_error is ",
                              request.max_error));
  }
  const std::string size = StrCat(spec.m, " x ", spec.n, " x ", spec.k);
  const GemmKernels& kernels = GemmFor(product.machine.target);
  const int64_t grid = int64_t{1} << levels;
  if (spec.m < grid * kernels.tile_rows[2] || spec.n < grid * kernels.lanes || spec.k < grid)
    return Verdict::No(StrCat("blocks smaller than a tile: ", size));
  const StrassenPlan plan = PlanStrassen(spec, product.machine);
  const double saved = static_cast<double>((grid * grid * grid - plan.products) * plan.block_n) *
                       static_cast<double>(plan.block_k) / kernels.lanes;
  if (SumOperations(plan, product.machine.target) >= saved)
    return Verdict::No(StrCat("sums take longer than the products they save: ", size));
  return Verdict::Yes();
}

double EstimateStrassen(const StrassenProduct& product, int levels) {
  const StrassenSpec spec = SpecOf(product, levels);
  const Machine& machine = product.machine;
  const StrassenPlan plan = PlanStrassen(spec, machine);
  const GemmKernels& kernels = GemmFor(machine.target);
  const auto rows = static_cast<double>(plan.block_m), depth = static_cast<double>(plan.block_k);
  const auto products = static_cast<double>(plan.products);
  const Work one = ProductWork(machine.target, plan.panels, plan.blocks, plan.block_m, 1,
                               plan.block_k, depth * kFloat);
  // What a plain product waits for besides its arithmetic is saved in proportion, and no more: if
  // shorter panels wait less, that is not for having fewer products.
  const Work plain = PlainWork(spec, machine);
  Work work = plain;
  const double share = products * rows * depth * static_cast<double>(plan.block_n) /
                       (static_cast<double>(spec.m * spec.k) * static_cast<double>(spec.n));
  for (Work::Stream& stream : work.streams) stream.bytes *= share;
  // The weights of all products are gone through for a block of rows, before they come round.
  const double weights = products * one.streams[0].bytes;
  work.streams[0] = ColdStream(weights);
  work.streams[1] = {weights * static_cast<double>(plan.blocks.row_blocks - 1), weights};
  work.seconds = products * one.seconds +
                 VectorSeconds(machine.target, rows * SumOperations(plan, machine.target)) +
                 GemmSeconds(machine.target, plan.rest, spec.m, spec.k);
  // Sums of a read two values for each that they write, a copy one.
  const double values =
      3 * static_cast<double>(plan.a_sums) + (plan.copies ? 2.0 * plan.grid * plan.grid : 0);
  work.streams[4] = {values * rows * depth * kFloat,
                     static_cast<double>(plan.grid * plan.blocks.rows * (spec.k + spec.n)) * kFloat,
                     true};
  work.bytes = product.activation_bytes;
  // Blocks differ by a tile, no more.
  const int64_t tile = kernels.tile_rows[plan.panels.front().vectors];
  work.tasks = std::ceil(rows / static_cast<double>(tile));
  const double doubt = machine.threads > 1 ? kDoubtOfThreads : kDoubt;
  const double again = weights / plain.streams[0].bytes - 1;
  return (1 + doubt + kPriceOfWeights * again) * Seconds(work, machine.target, machine.threads);
}

Result<std::unique_ptr<Kernel>> CreateStrassen(const KernelRequest& request,
                                               const StrassenProduct& product, int levels) {
  const StrassenSpec spec = SpecOf(product, levels);
  ASSIGN_OR_RETURN(Strassen impl, Strassen::Make(spec, product.weights, product.scale,
                                                 ConstantData(request, kBias), product.machine));
  const StrassenPlan plan = PlanStrassen(spec, product.machine);
  std::string detail = StrCat(Name(product.machine.target), ", ", levels, " level",
                              levels == 1 ? "" : "s", ", ", plan.blocks.rows, " rows a block");
  return std::unique_ptr<Kernel>(
      std::make_unique<ConvKernel<Strassen>>(std::move(impl), product.strides, std::move(detail)));
}

}  // namespace sula::cpu
