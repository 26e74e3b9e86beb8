// Products by Strassen's algorithm against plain ones, of the sizes in the paper's table (Jiang et
// al., MLSys 2020, table 3) or of those given: least times of interleaved runs, what is saved and
// what the cost model expects to be saved, the share of the peak of the plain product, what is
// chosen, and the largest errors relative to the largest output.
//   strassen [SECONDS for each size and number of threads, default 2 [MxKxN...]]
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "backends/cpu/cost.h"
#include "backends/cpu/kernel_table.h"
#include "base/aligned_buffer.h"
#include "ir/text.h"
#include "ops/catalogue.h"

namespace sula::cpu {
namespace {

using Clock = std::chrono::steady_clock;

struct Size {
  int64_t m, k, n;
};
constexpr Size kSizes[] = {
    {256, 256, 256}, {512, 512, 512}, {512, 512, 1024}, {1024, 1024, 1024}, {2048, 2048, 2048}};
// Where pages of memory lie in a cache makes some percent: so many times anew.
constexpr int kPlacements = 4;
constexpr std::array<std::string_view, 3> kNames = {"packed_gemm", "strassen_1", "strassen_2"};

Tensor Random(int64_t rows, int64_t columns) {
  static std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  Tensor t(DType::kFloat32, {rows, columns});
  for (float& x : t.mutable_data<float>()) x = normal(rng);
  return t;
}

// Of some rows, against sums in double.
double LargestError(const Size& s, const Tensor& a, const Tensor& b, const float* c) {
  double largest = 0, error = 0;
  for (int64_t i = 0; i < s.m; i += std::max<int64_t>(1, s.m / 16)) {
    std::vector<double> row(static_cast<size_t>(s.n));
    for (int64_t q = 0; q < s.k; ++q)
      for (int64_t j = 0; j < s.n; ++j)
        row[static_cast<size_t>(j)] += double{a.data<float>()[static_cast<size_t>(i * s.k + q)]} *
                                       double{b.data<float>()[static_cast<size_t>(q * s.n + j)]};
    for (int64_t j = 0; j < s.n; ++j) {
      largest = std::max(largest, std::abs(row[static_cast<size_t>(j)]));
      error = std::max(error, std::abs(double{c[i * s.n + j]} - row[static_cast<size_t>(j)]));
    }
  }
  return error / largest;
}

struct Candidate {
  const KernelEntry* entry = nullptr;
  double estimate = 0, error = 0, least = 1e9;
  std::unique_ptr<Kernel> kernel;
  AlignedBuffer workspace;
};

Status Measure(const Size& s, int threads, double seconds) {
  const Tensor a = Random(s.m, s.k), b = Random(s.k, s.n);
  ASSIGN_OR_RETURN(
      const Graph graph,
      ParseGraph(StrCat("graph \"product\" { input %a: float32[", s.m, ",", s.k,
                        "] input %b: float32[", s.k, ",", s.n, "] %y = MatMul(%a, %b) output %y }"),
                 AllOps()));
  const Node& node = graph.node(graph.TopologicalOrder().at(0));
  const TensorDesc inputs[] = {DenseDesc(DType::kFloat32, {s.m, s.k}),
                               DenseDesc(DType::kFloat32, {s.k, s.n})};
  const TensorDesc outputs[] = {DenseDesc(DType::kFloat32, {s.m, s.n})};
  const Tensor* const constants[] = {nullptr, &b};
  const KernelRequest request{&node, inputs, outputs, constants, threads};
  std::array<Candidate, kNames.size()> candidates;
  size_t chosen = 0;
  for (size_t i = 0; i < kNames.size(); ++i) {
    Candidate& candidate = candidates[i];
    const std::span<const KernelEntry> entries = CpuKernels(*node.op);
    candidate.entry = &*std::ranges::find(entries, kNames[i], &KernelEntry::name);
    candidate.estimate = candidate.entry->estimate(request);
    if (candidate.entry->accept(request) && candidate.estimate < candidates[chosen].estimate)
      chosen = i;
  }
  const Parallel parallel(threads);
  for (int placement = 0; placement < kPlacements; ++placement) {
    const Tensor input = a.Clone();
    AlignedBuffer c(static_cast<size_t>(s.m * s.n) * sizeof(float));
    const auto run = [&](const Candidate& candidate) {
      Status status;
      const void* in[] = {input.data<float>().data(), nullptr};
      void* out[] = {c.data()};
      const Clock::time_point start = Clock::now();
      candidate.kernel->Run({in, out, candidate.workspace.data(), parallel, &status});
      return std::chrono::duration<double>(Clock::now() - start).count();
    };
    for (Candidate& candidate : candidates) {
      ASSIGN_OR_RETURN(candidate.kernel, candidate.entry->create(request));
      candidate.workspace = AlignedBuffer(candidate.kernel->workspace_bytes());
      run(candidate);
      if (placement == 0) candidate.error = LargestError(s, a, b, c.as<float>());
    }
    const Clock::time_point start = Clock::now();
    do {
      for (Candidate& candidate : candidates)
        candidate.least = std::min(candidate.least, run(candidate));
    } while (std::chrono::duration<double>(Clock::now() - start).count() < seconds / kPlacements);
  }

  const double flops = 2.0 * static_cast<double>(s.m * s.k) * static_cast<double>(s.n);
  const Candidate& plain = candidates[0];
  std::printf("| %ld x %ld x %ld | %d | %.3f (%.0f %%)", static_cast<long>(s.m),
              static_cast<long>(s.k), static_cast<long>(s.n), threads, plain.least * 1e3,
              100 * flops / plain.least / (PeakFlops(BestTarget()) * threads));
  for (size_t i = 1; i < candidates.size(); ++i) {
    const Candidate& fast = candidates[i];
    std::printf(" | %.3f (%+.1f %%, %+.1f %%)", fast.least * 1e3,
                100 * (1 - fast.least / plain.least), 100 * (1 - fast.estimate / plain.estimate));
  }
  std::printf(" | %s", chosen == 0 ? "plain" : chosen == 1 ? "one" : "two");
  for (const Candidate& candidate : candidates) std::printf(" | %.1e", candidate.error);
  std::printf(" |\n");
  std::fflush(stdout);
  return {};
}

Status Main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 2;
  std::vector<Size> sizes;
  for (int i = 2; i < argc; ++i) {
    long m = 0, k = 0, n = 0;
    if (std::sscanf(argv[i], "%ldx%ldx%ld", &m, &k, &n) != 3 || m < 4 || k < 4 || n < 4)
      return InvalidArgument(StrCat("not a size MxKxN of at least 4: ", argv[i]));
    sizes.push_back({m, k, n});
  }
  if (sizes.empty()) sizes.assign(std::begin(kSizes), std::end(kSizes));
  std::printf(
      "| m x k x n | threads | plain, ms (of peak) | one level, ms (saved, expected) | two levels, "
      "ms (saved, expected) | chosen | error, plain | one | two |\n"
      "|---|---:|---:|---:|---:|---|---:|---:|---:|\n");
  for (int threads : {1, 2})
    for (const Size& size : sizes) RETURN_IF_ERROR(Measure(size, threads, seconds));
  return {};
}

}  // namespace
}  // namespace sula::cpu

int main(int argc, char** argv) {
  const sula::Status status = sula::cpu::Main(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "error: %s\n", status.ToString().c_str());
  return 1;
}
