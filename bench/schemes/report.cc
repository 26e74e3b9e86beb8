#include "report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/cpu_info.h"

namespace sula {
namespace {

// p in [0, 1]; values are sorted.
double Percentile(const std::vector<double>& sorted, double p) {
  if (sorted.empty()) return 0;
  const double at = p * static_cast<double>(sorted.size() - 1);
  const auto i = static_cast<size_t>(at);
  const double next = sorted[std::min(i + 1, sorted.size() - 1)];
  return sorted[i] + (at - static_cast<double>(i)) * (next - sorted[i]);
}

std::vector<double> Ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t i = 0; i < order.size(); ++i) ranks[order[i]] = static_cast<double>(i);
  return ranks;
}

// Spearman's rank correlation of predicted and measured times.
double RankCorrelation(const std::vector<Timed>& candidates) {
  std::vector<double> predicted, measured;
  for (const Timed& t : candidates)
    predicted.push_back(t.predicted), measured.push_back(t.measured);
  const std::vector<double> a = Ranks(predicted), b = Ranks(measured);
  const auto n = static_cast<double>(a.size());
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  return 1 - 6 * squares / (n * (n * n - 1));
}

void PrintLosses(const char* what, const std::vector<const CaseResult*>& results) {
  std::vector<double> losses, correlations;
  int best = 0;
  for (const CaseResult* r : results) {
    losses.push_back(100 * r->loss());
    best += r->loss() <= 0;
    if (r->candidates.size() >= 3) correlations.push_back(RankCorrelation(r->candidates));
  }
  if (losses.empty()) return;
  std::sort(losses.begin(), losses.end());
  double sum = 0;
  for (double c : correlations) sum += c;
  fmt::print("{:<22}{:>5}{:>9.1f} %{:>8.1f} %{:>8.1f} %{:>8.1f} %{:>10.0f} %{:>9.2f}\n", what,
             losses.size(), Percentile(losses, 0.5), Percentile(losses, 0.9),
             Percentile(losses, 0.95), losses.back(),
             100.0 * best / static_cast<double>(losses.size()),
             correlations.empty() ? 1 : sum / static_cast<double>(correlations.size()));
}

void PrintBias(const std::vector<CaseResult>& results) {
  std::map<std::pair<std::string, int>, std::vector<double>> ratios;
  for (const CaseResult& r : results)
    for (const Timed& t : r.candidates)
      ratios[{t.kernel, r.threads}].push_back(t.predicted / t.measured);
  fmt::print("\npredicted / measured {:>12}{:>8}{:>8}{:>8}{:>8}\n", "threads", "count", "10 %",
             "50 %", "90 %");
  for (auto& [key, values] : ratios) {
    std::sort(values.begin(), values.end());
    fmt::print("  {:<24}{:>7}{:>8}{:>8.2f}{:>8.2f}{:>8.2f}\n", key.first, key.second, values.size(),
               Percentile(values, 0.1), Percentile(values, 0.5), Percentile(values, 0.9));
  }
}

}  // namespace

std::string CaseResult::Key() const { return fmt::format("{} t{}", layer.Name(), threads); }

double CaseResult::loss() const {
  return candidates[Chosen(candidates)].measured / candidates[Fastest(candidates)].measured - 1;
}

void PrintSweep(const std::vector<CaseResult>& results) {
  // A single candidate is no choice.
  std::vector<const CaseResult*> open;
  for (const CaseResult& r : results)
    if (r.candidates.size() >= 2) open.push_back(&r);
  fmt::print("{} layers, {} of them with a choice\n\n", results.size(), open.size());
  fmt::print("{:<22}{:>5}{:>11}{:>10}{:>10}{:>10}{:>12}{:>9}\n", "loss of the choice", "count",
             "median", "90 %", "95 %", "worst", "best taken", "rank cor.");
  PrintLosses("all", open);
  for (int threads : {1, 2, 4, 8, 16, 32, 64}) {
    std::vector<const CaseResult*> some;
    for (const CaseResult* r : open)
      if (r->threads == threads) some.push_back(r);
    PrintLosses(fmt::format("{} thread{}", threads, threads > 1 ? "s" : "").c_str(), some);
  }
  std::sort(open.begin(), open.end(),
            [](const CaseResult* a, const CaseResult* b) { return a->loss() > b->loss(); });
  fmt::print("\n{:<36}{:<32}{:<32}{:>7}\n", "the worst", "chosen: predicted, measured us",
             "best: predicted, measured us", "loss");
  for (size_t i = 0; i < std::min<size_t>(10, open.size()); ++i) {
    const CaseResult& r = *open[i];
    const Timed &c = r.candidates[Chosen(r.candidates)], &b = r.candidates[Fastest(r.candidates)];
    const auto text = [](const Timed& t) {
      return fmt::format("{} {:.0f}, {:.0f}", t.kernel, 1e6 * t.predicted, 1e6 * t.measured);
    };
    fmt::print("{:<36}{:<32}{:<32}{:>5.1f} %\n", r.Key(), text(c), text(b), 100 * r.loss());
  }
  PrintBias(results);
}

void PrintCandidates(const CaseResult& r) {
  const double best = r.candidates[Fastest(r.candidates)].measured;
  fmt::print("{:<36}{:>9.1f} MFLOP\n", r.Key(), 1e-6 * r.layer.flops());
  for (size_t i = 0; i < r.candidates.size(); ++i) {
    const Timed& t = r.candidates[i];
    fmt::print("  {:<24}{:>10.1f} us predicted{:>10.1f} us measured{:>8.2f} x best{}\n", t.kernel,
               1e6 * t.predicted, 1e6 * t.measured, t.measured / best,
               i == Chosen(r.candidates) ? "  chosen" : "");
  }
}

Status WriteResults(const std::string& path, const std::vector<CaseResult>& results) {
  using Json = nlohmann::ordered_json;
  Json all;
  all["processor"] = CpuInfo::Get().model;
  all["instruction_set"] = Name(CpuInfo::Get().best_isa);
  for (const CaseResult& r : results) {
    Json one = {{"layer", r.layer.Name()},
                {"net", r.layer.net},
                {"threads", r.threads},
                {"flops", r.layer.flops()}};
    for (const Timed& t : r.candidates)
      one["candidates"].push_back(
          {{"kernel", t.kernel}, {"predicted", t.predicted}, {"measured", t.measured}});
    all["results"].push_back(std::move(one));
  }
  std::ofstream file(path);
  file << all.dump(1) << "\n";
  file.flush();
  return file ? Status() : IoError("cannot write '", path, "'");
}

Status ReadTimes(const std::string& path, std::vector<CaseResult>& results) {
  std::ifstream file(path);
  if (!file) return NotFound("no file '", path, "'");
  const auto all = nlohmann::json::parse(file, nullptr, false);
  if (all.is_discarded() || !all.contains("results"))
    return InvalidArgument("'", path, "' was not written by --json");
  std::map<std::string, double> times;
  for (const auto& r : all["results"])
    for (const auto& c : r["candidates"])
      times[fmt::format("{} t{} {}", r["layer"].get<std::string>(), r["threads"].get<int>(),
                        c["kernel"].get<std::string>())] = c["measured"].get<double>();
  for (CaseResult& r : results) {
    std::erase_if(r.candidates, [&](Timed& t) {
      const auto found = times.find(r.Key() + " " + t.kernel);
      if (found != times.end()) t.measured = found->second;
      return found == times.end();
    });
  }
  std::erase_if(results, [](const CaseResult& r) { return r.candidates.empty(); });
  return {};
}

}  // namespace sula
