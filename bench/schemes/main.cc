// How well the cost model chooses among the kernels of convolutions.
//   schemes paper                 the table of the paper: sliding window, Winograd, chosen
//   schemes sweep                 the layers of common nets; takes some five minutes
//   schemes sweep --slice 1/6     a sixth of it
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/cpu_info.h"
#include "candidates.h"
#include "report.h"

namespace sula {
namespace {

struct Options {
  std::vector<int> threads = {1, 2};
  double seconds = 300;
  std::string filter, slice = "1/1", json, times;
  bool candidates = false;
};

// The part i of n of a sweep, "i/n": every n-th layer, so that all parts are alike.
Result<std::vector<Layer>> Part(std::vector<Layer> layers, const Options& options) {
  int i = 0, n = 0;
  char rest = 0;
  if (std::sscanf(options.slice.c_str(), "%d/%d%c", &i, &n, &rest) != 2 || i < 1 || i > n)
    return InvalidArgument("--slice must be I/N with 1 <= I <= N, not '", options.slice, "'");
  std::vector<Layer> r;
  int number = 0;
  for (Layer& l : layers) {
    if ((l.net + " " + l.Name()).find(options.filter) == std::string::npos) continue;
    if (number++ % n == i - 1) r.push_back(std::move(l));
  }
  if (r.empty()) return NotFound("no layer has '", options.filter, "' in its name");
  return r;
}

Result<std::vector<CaseResult>> Sweep(const Options& options) {
  ASSIGN_OR_RETURN(const std::vector<Layer> layers, Part(NetLayers(), options));
  TimingOptions timing;
  // Making the kernels takes about as long as timing them.
  timing.seconds =
      0.5 * options.seconds / static_cast<double>(layers.size() * options.threads.size());
  std::vector<CaseResult> results;
  for (int threads : options.threads)
    for (const Layer& layer : layers) {
      timing.threads = threads;
      CaseResult r{layer, threads, {}};
      if (options.times.empty()) {
        ASSIGN_OR_RETURN(r.candidates, TimeCandidates(layer, timing));
      } else {
        ASSIGN_OR_RETURN(r.candidates, PredictCandidates(layer, threads));
      }
      results.push_back(std::move(r));
    }
  if (!options.times.empty()) RETURN_IF_ERROR(ReadTimes(options.times, results));
  return results;
}

Status RunSweep(const Options& options) {
  ASSIGN_OR_RETURN(const std::vector<CaseResult> results, Sweep(options));
  if (options.candidates)
    for (const CaseResult& r : results) PrintCandidates(r);
  PrintSweep(results);
  return options.json.empty() ? Status() : WriteResults(options.json, results);
}

// Jiang et al., MNN: A Universal and Efficient Inference Engine (MLSys 2020), table 1.
Status RunPaper(const Options& options) {
  Layer layers[3];
  layers[0].in = 3, layers[0].out = 16, layers[0].size = 224;
  layers[1].in = 512, layers[1].out = 512, layers[1].size = 16;
  layers[2].in = 64, layers[2].out = 64, layers[2].size = 112;
  layers[0].kernel_rows = layers[0].kernel_columns = 2;
  layers[1].kernel_rows = layers[1].kernel_columns = 2;
  layers[2].kernel_rows = layers[2].kernel_columns = 3;
  std::vector<CaseResult> results;
  fmt::print("{:<22}{:>8}{:>18}{:>18}{:>18}{:>18}  {}\n", "kernel, in, out, size", "threads",
             "sliding window ms", "least Winograd", "largest Winograd", "chosen ms", "kernel");
  for (int threads : options.threads)
    for (const Layer& layer : layers) {
      TimingOptions timing;
      timing.threads = threads, timing.seconds = 1.5, timing.hopeless = 1e9;
      CaseResult r{layer, threads, {}};
      ASSIGN_OR_RETURN(r.candidates, TimeCandidates(layer, timing));
      const Timed *direct = nullptr, *least = nullptr, *largest = nullptr;
      for (const Timed& t : r.candidates) {
        if (t.kernel.starts_with("winograd")) {
          if (!least) least = &t;
          largest = &t;
        } else if (!direct || t.measured < direct->measured) {
          direct = &t;
        }
      }
      const Timed& chosen = r.candidates[Chosen(r.candidates)];
      const auto ms = [](const Timed* t) {
        return t ? fmt::format("{:.3f}", 1e3 * t->measured) : std::string("-");
      };
      fmt::print("{:<22}{:>8}{:>18}{:>18}{:>18}{:>18}  {}\n",
                 fmt::format("{}, {}, {}, {}", layer.kernel_rows, layer.in, layer.out, layer.size),
                 threads, ms(direct), ms(least), ms(largest), ms(&chosen), chosen.kernel);
      results.push_back(std::move(r));
    }
  if (options.candidates)
    for (const CaseResult& r : results) PrintCandidates(r);
  return options.json.empty() ? Status() : WriteResults(options.json, results);
}

}  // namespace
}  // namespace sula

int main(int argc, char** argv) {
  using namespace sula;
  Options options;
  CLI::App app("How well the cost model chooses among the kernels of convolutions.");
  app.require_subcommand(1);
  CLI::App* paper = app.add_subcommand("paper", "The table of the MNN paper");
  CLI::App* sweep = app.add_subcommand("sweep", "The layers of common nets");
  for (CLI::App* command : {paper, sweep}) {
    command->add_option("--threads", options.threads, "Thread counts (default 1,2)")
        ->delimiter(',')
        ->check(CLI::Range(1, 256));
    command->add_option("--json", options.json, "Write all predicted and measured times");
    command->add_flag("--candidates", options.candidates, "Print every candidate");
  }
  sweep->add_option("--seconds", options.seconds, "About how long to measure (default 300)")
      ->check(CLI::PositiveNumber);
  sweep->add_option("--filter", options.filter, "Only layers with this in net or name");
  sweep->add_option("--slice", options.slice, "I/N: only every N-th layer, from the I-th");
  sweep->add_option("--times", options.times,
                    "Take measured times from a file of --json instead of measuring");
  CLI11_PARSE(app, argc, argv);
  const Status status = paper->parsed() ? RunPaper(options) : RunSweep(options);
  if (status.ok()) return 0;
  fmt::print(stderr, "schemes: {}\n", status.ToString());
  return 1;
}
