#include "backends/cpu/strassen_adapter.h"

#include "backends/cpu/cost.h"

namespace sula::cpu {
namespace {

// Smaller blocks lose to what the sums cost: on one thread 256^3 loses 4 %, 512^3 gains 4 % (Zen
// 3).
// Few rows share the reading of seven sums of weights where a product reads four blocks; at 169
// rows the estimate promised more than the eighth that there is to gain.
constexpr int64_t kLeastRows = 128, kLeastColumns = 64, kLeastDepth = 256;
// Vector operations for each vector of a term of a's sums, of the sum itself, and of a block of c
// that a product is added to: loads and stores that miss L1 in part.
constexpr double kTermOperations = 2, kSumOperations = 2, kUpdateOperations = 5;

}  // namespace

Verdict AcceptStrassen(const KernelRequest& request, const StrassenSpec& spec) {
  const int64_t rows = kLeastRows << spec.levels, columns = kLeastColumns << spec.levels;
  const int64_t depth = kLeastDepth << spec.levels;
  if (spec.m < rows || spec.n < columns || spec.k < depth)
    return Verdict::No(StrCat("fewer than ", rows, " rows, ", columns, " columns or ", depth,
                              " values to sum: ", spec.m, " x ", spec.n, " x ", spec.k));
  if (spec.epilogue.curve != Curve::kNone) return Verdict::No("an activation other than a clamp");
  if (const double error = StrassenError(spec.levels); error > request.max_error) {
    return Verdict::No(StrCat("an error of ", error,
                              " of the largest output is to be expected, "
                              "max_error is ",
                              request.max_error));
  }
  return Verdict::Yes();
}

double EstimateStrassen(const StrassenSpec& spec, double activation_bytes, const Machine& machine) {
  const StrassenPlan plan = PlanStrassen(spec, machine);
  Work work = ProductWork(machine.target, plan.panels, plan.blocks, plan.block_m, 1, plan.block_k,
                          static_cast<double>(plan.block_k) * sizeof(float));
  work.seconds *= plan.products;
  for (Work::Stream& stream : work.streams) stream.bytes *= plan.products;
  const double lanes = GemmFor(machine.target).lanes;
  const auto rows = static_cast<double>(plan.block_m);
  const double a = rows * static_cast<double>(plan.block_k) / lanes;
  const double c = rows * static_cast<double>(plan.block_n) / lanes;
  work.seconds += VectorSeconds(
      machine.target,
      a * (kTermOperations * static_cast<double>(plan.a_terms) + kSumOperations * plan.products) +
          c * kUpdateOperations * static_cast<double>(plan.c_terms));
  work.bytes = activation_bytes;
  return Seconds(work, machine.target, machine.threads);
}

std::string StrassenDetail(const StrassenSpec& spec, const Machine& machine) {
  const StrassenPlan plan = PlanStrassen(spec, machine);
  return StrCat(Name(machine.target), ", ", spec.levels, " level", spec.levels == 1 ? "" : "s",
                ", ", plan.blocks.rows, " rows a block");
}

}  // namespace sula::cpu
