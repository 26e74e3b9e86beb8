#include "profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>

#include "terminal.h"

namespace sula::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kSlowest = 20;  // nodes in the second table

double Median(std::vector<float>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// "12.3" in units of 1e9 per second.
std::string Rate(double amount, double seconds) {
  return amount > 0 && seconds > 0 ? fmt::format("{:.1f}", 1e-9 * amount / seconds) : "-";
}

std::string ShareOfPeak(double flops, double seconds, double peak) {
  return flops > 0 && seconds > 0 && peak > 0
             ? fmt::format("{:.0f} %", 100 * flops / seconds / peak)
             : "-";
}

// What the commands of one operator and kernel come to.
struct Sum {
  int commands = 0;
  double min = 0, median = 0, flops = 0, bytes = 0;
};

void PrintOperators(const Profile& profile, const MachineSpeed& machine) {
  std::map<std::pair<std::string, std::string>, Sum> by_kernel;
  Sum all;
  for (size_t i = 0; i < profile.commands.size(); ++i) {
    const NodeReport& n = profile.report.nodes[i];
    const CommandStatistics& c = profile.commands[i];
    for (Sum* sum : {&by_kernel[{n.op, KernelName(n)}], &all}) {
      ++sum->commands;
      sum->min += c.min, sum->median += c.median, sum->flops += n.flops, sum->bytes += n.bytes;
    }
  }
  std::vector<std::pair<std::pair<std::string, std::string>, Sum>> rows(by_kernel.begin(),
                                                                        by_kernel.end());
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.second.median > b.second.median; });
  rows.push_back({{"all", ""}, all});
  Table table({{"operator", Align::kLeft, 20},
               {"kernel", Align::kLeft, 22},
               {"calls", Align::kRight},
               {"ms", Align::kRight},
               {"least", Align::kRight},
               {"share", Align::kRight},
               {"GFLOP/s", Align::kRight},
               {"of peak", Align::kRight},
               {"GB/s", Align::kRight}});
  for (const auto& [name, sum] : rows)
    table.Row({name.first, name.second, fmt::format("{}", sum.commands),
               FormatMilliseconds(sum.median), FormatMilliseconds(sum.min),
               FormatPercent(sum.median, all.median), Rate(sum.flops, sum.median),
               ShareOfPeak(sum.flops, sum.median, machine.flops_per_second),
               Rate(sum.bytes, sum.median)});
  table.Print();
}

bool PassesPeak(const Profile& profile, const MachineSpeed& machine) {
  for (size_t i = 0; i < profile.commands.size(); ++i)
    if (profile.report.nodes[i].flops > profile.commands[i].median * machine.flops_per_second)
      return machine.flops_per_second > 0;
  return false;
}

void PrintSlowest(const Profile& profile, const MachineSpeed& machine) {
  std::vector<size_t> order(profile.commands.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return profile.commands[a].median > profile.commands[b].median;
  });
  if (order.size() > kSlowest) order.resize(kSlowest);
  fmt::print("\n");
  Table table({{"slowest nodes", Align::kLeft, 28},
               {"operator", Align::kLeft, 16},
               {"output", Align::kLeft, 26},
               {"kernel", Align::kLeft, 34},
               {"ms", Align::kRight},
               {"least", Align::kRight},
               {"estimate", Align::kRight},
               {"GFLOP/s", Align::kRight},
               {"of peak", Align::kRight},
               {"GB/s", Align::kRight}});
  for (size_t i : order) {
    const NodeReport& n = profile.report.nodes[i];
    const CommandStatistics& c = profile.commands[i];
    std::string output = n.outputs.empty() ? "" : n.outputs[0];
    output.resize(std::min(output.find(' '), output.size()));
    table.Row({NodeNames(n), n.op, output, n.detail.empty() ? n.kernel : n.kernel + "  " + n.detail,
               FormatMilliseconds(c.median), FormatMilliseconds(c.min),
               FormatMilliseconds(n.seconds), Rate(n.flops, c.median),
               ShareOfPeak(n.flops, c.median, machine.flops_per_second), Rate(n.bytes, c.median)});
  }
  table.Print();
}

}  // namespace

double Profile::TotalMedian() const {
  double total = 0;
  for (const CommandStatistics& c : commands) total += c.median;
  return total;
}

Result<Profile> ProfileRuns(Session& session, double seconds, int most, int keep) {
  session.SetProfiling(true);
  if (Status s = session.Run(); !s.ok()) return s;
  const size_t commands = session.LastTimes().size();
  std::vector<std::vector<float>> samples(commands);
  for (auto& s : samples) s.reserve(static_cast<size_t>(most));
  std::deque<std::vector<CommandTime>> kept;
  Profile profile;
  const Clock::time_point end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                   std::chrono::duration<double>(seconds));
  for (int run = 0; run < 2 || (run < most && Clock::now() < end); ++run) {
    const Clock::time_point start = Clock::now();
    if (Status s = session.Run(); !s.ok()) return s;
    profile.runs.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    const std::span<const CommandTime> times = session.LastTimes();
    for (size_t i = 0; i < commands; ++i)
      samples[i].push_back(static_cast<float>(times[i].end - times[i].begin));
    kept.emplace_back(times.begin(), times.end());
    if (kept.size() > static_cast<size_t>(keep)) kept.pop_front();
  }
  profile.report = session.Report();
  profile.kept.assign(kept.begin(), kept.end());
  for (auto& s : samples) {
    CommandStatistics& c = profile.commands.emplace_back();
    c.min = *std::min_element(s.begin(), s.end());
    for (float t : s) c.total += static_cast<double>(t);
    c.median = Median(s);
  }
  return profile;
}

std::string KernelName(const NodeReport& node) {
  return node.backend.empty() ? node.kernel : node.backend + "/" + node.kernel;
}

std::string NodeNames(const NodeReport& node) {
  std::string names = node.name;
  for (const std::string& next : node.chain) names += " + " + next;
  return names;
}

void PrintProfile(const Profile& profile, const MachineSpeed& machine) {
  const int threads = profile.report.threads;
  fmt::print("\n");
  Heading(fmt::format("Operators, {} thread{}: medians of {} runs", threads,
                      threads == 1 ? "" : "s", profile.runs.size()));
  fmt::print("  peak {:.1f} GFLOP/s", 1e-9 * machine.flops_per_second);
  if (machine.bytes_per_second > 0)
    fmt::print(", {:.1f} GB/s from memory", 1e-9 * machine.bytes_per_second);
  fmt::print(" (measured)\n\n");
  PrintOperators(profile, machine);
  if (PassesPeak(profile, machine))
    fmt::print(
        "  beyond 100 %: Winograd's algorithm, which needs fewer multiply-adds than are counted, "
        "or "
        "a machine\n  that was busy while its peak was measured\n");
  PrintSlowest(profile, machine);
}

}  // namespace sula::cli
