// Products by Strassen's algorithm against plain ones, of the sizes in the paper's table (Jiang et
// al., MLSys 2020, table 3): least times of interleaved runs, the gain, the share of the peak of
// the plain product, and the largest errors relative to the largest output.
//   strassen [SECONDS for each size and number of threads, default 2 [M: only sizes of m rows]]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "backends/cpu/cost.h"
#include "backends/cpu/kernels/gemm/matmul.h"
#include "backends/cpu/kernels/strassen/strassen.h"

namespace sula::cpu {
namespace {

using Clock = std::chrono::steady_clock;

struct Size {
  int64_t m, k, n;
};
constexpr Size kSizes[] = {
    {256, 256, 256}, {512, 512, 512}, {512, 512, 1024}, {1024, 1024, 1024}, {2048, 2048, 2048}};

std::vector<float> Random(int64_t count) {
  static std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& x : values) x = normal(rng);
  return values;
}

template <class F>
double Time(F run) {
  const auto start = Clock::now();
  run();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of some rows, against sums in double.
double LargestError(const Size& s, const std::vector<float>& a, const std::vector<float>& b,
                    const std::vector<float>& c) {
  double largest = 0, error = 0;
  for (int64_t i = 0; i < s.m; i += s.m / 16) {
    std::vector<double> row(static_cast<size_t>(s.n));
    for (int64_t q = 0; q < s.k; ++q)
      for (int64_t j = 0; j < s.n; ++j)
        row[static_cast<size_t>(j)] += double{a[static_cast<size_t>(i * s.k + q)]} *
                                       double{b[static_cast<size_t>(q * s.n + j)]};
    for (int64_t j = 0; j < s.n; ++j) {
      largest = std::max(largest, std::abs(row[static_cast<size_t>(j)]));
      error = std::max(error, std::abs(double{c[static_cast<size_t>(i * s.n + j)]} -
                                       row[static_cast<size_t>(j)]));
    }
  }
  return error / largest;
}

Status Measure(const Size& s, int threads, double seconds) {
  const std::vector<float> a = Random(s.m * s.k), b = Random(s.k * s.n);
  std::vector<float> c(static_cast<size_t>(s.m * s.n));
  const Machine machine{BestTarget(), threads, CpuInfo::Get().l2_bytes};
  const Parallel parallel(threads);
  MatMulSpec plain_spec;
  plain_spec.m = s.m, plain_spec.n = s.n, plain_spec.k = s.k;
  plain_spec.a_index = plain_spec.b_index = {0};
  ASSIGN_OR_RETURN(const MatMul plain, MatMul::Make(plain_spec, b.data(), nullptr, machine));
  std::vector<Strassen> fast;
  for (int levels = 1; levels <= kMaxStrassenLevels; ++levels) {
    ASSIGN_OR_RETURN(Strassen made, Strassen::Make({levels, s.m, s.n, s.k, {}},
                                                   {b.data(), 1, 0, s.n}, 1, nullptr, machine));
    fast.push_back(std::move(made));
  }
  size_t workspace_bytes = plain.workspace_bytes();
  for (const Strassen& f : fast) workspace_bytes = std::max(workspace_bytes, f.workspace_bytes());
  AlignedBuffer workspace(workspace_bytes);
  const auto run_plain = [&] {
    MatMulArgs args;
    args.a = a.data(), args.c = c.data(), args.workspace = workspace.data();
    plain.Run(args, parallel);
  };
  const auto run_fast = [&](const Strassen& f) {
    f.Run({a.data(), s.k, c.data(), s.n, nullptr, 0, workspace.data()}, parallel);
  };
  std::vector<double> errors;
  run_plain();
  errors.push_back(LargestError(s, a, b, c));
  for (const Strassen& f : fast) {
    run_fast(f);
    errors.push_back(LargestError(s, a, b, c));
  }
  std::vector<double> least(1 + fast.size(), 1e9);
  const auto start = Clock::now();
  do {
    least[0] = std::min(least[0], Time(run_plain));
    for (size_t i = 0; i < fast.size(); ++i)
      least[i + 1] = std::min(least[i + 1], Time([&] { run_fast(fast[i]); }));
  } while (std::chrono::duration<double>(Clock::now() - start).count() < seconds);

  const double flops = 2.0 * static_cast<double>(s.m * s.k) * static_cast<double>(s.n);
  const double peak = PeakFlops(machine.target) * threads;
  std::printf(
      "| %ld x %ld x %ld | %d | %.3f (%.0f %%) | %.3f (%+.1f %%) | %.3f (%+.1f %%) | %.1e | "
      "%.1e | %.1e |\n",
      static_cast<long>(s.m), static_cast<long>(s.k), static_cast<long>(s.n), threads,
      least[0] * 1e3, 100 * flops / least[0] / peak, least[1] * 1e3,
      100 * (1 - least[1] / least[0]), least[2] * 1e3, 100 * (1 - least[2] / least[0]), errors[0],
      errors[1], errors[2]);
  std::fflush(stdout);
  return {};
}

}  // namespace
}  // namespace sula::cpu

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 2;
  const int64_t rows = argc > 2 ? std::atoll(argv[2]) : 0;
  std::printf(
      "| m x k x n | threads | plain, ms (of peak) | one level, ms (saved) | two levels, ms "
      "(saved) | error, plain | one | two |\n|---|---:|---:|---:|---:|---:|---:|---:|\n");
  for (int threads : {1, 2}) {
    for (const auto& size : sula::cpu::kSizes) {
      if (rows != 0 && size.m != rows) continue;
      if (sula::Status status = sula::cpu::Measure(size, threads, seconds); !status.ok()) {
        std::fprintf(stderr, "error: %s\n", status.ToString().c_str());
        return 1;
      }
    }
  }
}
