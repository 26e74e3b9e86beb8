// Single layers of convolutional nets on one and two threads (t1, t2). Counters are of the fastest
// run, since other work on the machine only ever slows one down: microseconds, GFLOP/s counted as a
// direct convolution's, and their share of the peak that a product in L1 reaches. Warm single
// layers flatter: inside a net the maps come from L2 or L3. SULA_ISA=avx2 limits the instructions.
//   kernel_bench --benchmark_filter=gemm --benchmark_min_time=0.05
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/adapter.h"
#include "backends/cpu/kernels/conv/conv.h"
#include "backends/cpu/kernels/depthwise/depthwise.h"
#include "backends/cpu/kernels/winograd/winograd.h"

namespace sula::cpu {
namespace {

struct Layer {
  int64_t size, in, out, kernel = 1, stride = 1;
  bool one_row = false;  // the kernel is 1 x kernel
  int64_t rows() const { return one_row ? 1 : kernel; }
  int64_t columns() const { return kernel; }
};

constexpr Layer kPointwise[] = {{112, 32, 16},   {112, 16, 96},   {56, 96, 24},   {56, 24, 144},
                                {28, 144, 32},   {28, 32, 192},   {14, 384, 64},  {14, 64, 384},
                                {14, 96, 576},   {7, 960, 160},   {7, 160, 960},  {7, 320, 1280},
                                {56, 64, 64},    {56, 64, 256},   {28, 512, 128}, {28, 128, 512},
                                {14, 1024, 256}, {14, 256, 1024}, {7, 2048, 512}, {7, 512, 2048},
                                {112, 32, 64},   {14, 512, 512},  {28, 58, 58}};
constexpr Layer kWindows[] = {
    {56, 64, 64, 3, 1},   {28, 128, 128, 3, 1},       {14, 256, 256, 3, 1},
    {7, 512, 512, 3, 1},  {56, 64, 128, 3, 2},        {28, 128, 256, 3, 2},
    {14, 256, 512, 3, 2}, {55, 16, 64, 3, 1},         {256, 32, 32, 3, 1},
    {128, 64, 64, 3, 1},  {13, 64, 256, 3, 1},        {35, 96, 96, 3, 1},
    {35, 48, 64, 5, 1},   {17, 160, 160, 7, 1, true}, {8, 384, 384, 3, 1, true},
    {64, 128, 128, 3, 1}};
constexpr Layer kFirst[] = {
    {224, 3, 32, 3, 2}, {224, 3, 64, 7, 2}, {224, 3, 64, 3, 2}, {224, 3, 64, 3, 1}};
constexpr Layer kDepthwise[] = {{112, 32, 32, 3, 1},  {112, 96, 96, 3, 2},  {56, 144, 144, 3, 1},
                                {56, 144, 144, 3, 2}, {28, 192, 192, 3, 1}, {28, 192, 192, 3, 2},
                                {14, 384, 384, 3, 1}, {14, 576, 576, 3, 1}, {14, 576, 576, 3, 2},
                                {7, 960, 960, 3, 1},  {112, 64, 64, 3, 2},  {56, 128, 128, 3, 1},
                                {14, 512, 512, 3, 1}, {7, 1024, 1024, 3, 1}};

std::vector<float> Random(int64_t n) {
  static std::mt19937 rng(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = uniform(rng);
  return v;
}

// `make` is Impl::Make, perhaps with a choice of its own.
template <class Make>
void Run(benchmark::State& state, const Layer& l, int threads, int64_t groups, Make make) {
  ConvSpec spec{1, l.in, l.out, groups};
  spec.window.in = {1, l.size, l.size}, spec.window.kernel = {1, l.rows(), l.columns()};
  spec.window.stride = {1, l.stride, l.stride};
  spec.window.pad = {0, l.rows() / 2, l.columns() / 2};
  spec.window.out = {1, (l.size - 1) / l.stride + 1, (l.size - 1) / l.stride + 1};
  spec.epilogue.lo = 0, spec.epilogue.hi = 6;
  Machine machine{groups > 1 ? BestTarget() : TargetForColumns(l.out), threads,
                  CpuInfo::Get().l2_bytes};
  const auto weights = Random(l.out * l.in / groups * spec.window.taps()), bias = Random(l.out);
  auto impl = make(spec, weights.data(), bias.data(), machine);
  const auto in = Random(spec.window.in_pixels() * l.in);
  std::vector<float> out(static_cast<size_t>(spec.window.out_pixels() * l.out));
  size_t workspace_bytes = 0;
  if constexpr (requires { impl->workspace_bytes(); }) workspace_bytes = impl->workspace_bytes();
  AlignedBuffer workspace(workspace_bytes);
  const ConvArgs args{in.data(), l.in, out.data(), l.out, nullptr, 0, workspace.data()};
  const Parallel parallel(threads);
  double best = 1e9;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    impl->Run(args, parallel);
    const std::chrono::duration<double> t = std::chrono::steady_clock::now() - start;
    best = std::min(best, t.count());
  }
  const double flops = 2.0 * static_cast<double>(spec.window.out_pixels() * l.out * l.in / groups *
                                                 spec.window.taps());
  state.counters["best_us"] = best * 1e6;
  state.counters["GFLOP/s"] = flops / best * 1e-9;
  state.counters["peak%"] = 100 * flops / best / PeakFlops(machine.target) / threads;
}

template <class Make>
void Register(const std::string& kind, const Layer& l, Make make, bool depthwise = false) {
  for (int threads : {1, 2}) {
    const std::string name = StrCat(kind, "/", l.size, "/", l.in, ">", l.out, "/", l.rows(), "x",
                                    l.columns(), "s", l.stride, "/t", threads);
    benchmark::RegisterBenchmark(
        name.c_str(),
        [=](benchmark::State& state) { Run(state, l, threads, depthwise ? l.in : 1, make); })
        ->Unit(benchmark::kMicrosecond)
        ->UseRealTime();
  }
}

}  // namespace
}  // namespace sula::cpu

int main(int argc, char** argv) {
  using namespace sula::cpu;
  for (const Layer& l : kPointwise) Register("gemm", l, ConvGemm::Make);
  for (const Layer& l : kWindows) Register("gemm", l, ConvGemm::Make);
  for (const Layer& l : kWindows) {
    for (const WinogradForm& form : kWinogradForms) {
      const WinogradAxis &r = form.rows, &c = form.columns;
      if (r.r != l.rows() || c.r != l.columns() || r.stride != l.stride) continue;
      Register(sula::StrCat("winograd", r.n, "x", c.n), l,
               [form, l](const ConvSpec& spec, const float* weights, const float* bias,
                         const Machine& machine) {
                 return Winograd::Make(spec, form, l.in, weights, bias, machine);
               });
    }
  }
  for (const Layer& l : kFirst) Register("planar", l, ConvPlanar::Make);
  for (const Layer& l : kDepthwise) Register("depthwise", l, Depthwise::Make, true);
  for (Target t : AvailableTargets())
    fprintf(stderr, "peak %s %.1f\n", std::string(Name(t)).c_str(), PeakFlops(t) * 1e-9);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
