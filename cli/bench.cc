// sula bench
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "profile.h"
#include "report_json.h"
#include "schemes.h"
#include "sessions.h"
#include "timing.h"
#include "trace.h"
#include "workload.h"

namespace sula::cli {
namespace {

constexpr int kMostProfiledRuns = 400, kTracedRuns = 10;

struct Options {
  std::string model, threads, sessions, input, output, trace;
  std::vector<std::string> input_shapes;
  SessionFlags session;
  SchemeFlags schemes;
  double seconds = 2;
  bool profile = false, turns = false, json = false;
};

class Stopwatch {
 public:
  double Lap() {
    auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(start_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// The figures of one number of threads.
struct Row {
  int threads = 0;
  double prepare = 0, first = 0, min = 0, median = 0, p95 = 0, cpu = 0, gflops = 0;
  size_t runs = 0;
  std::string pack_cache;  // what became of it
  std::string tune;        // what tuning did
  std::optional<Profile> profile;
  MachineSpeed machine;  // with a profile
};

double Percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  size_t i = static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  return values[i];
}

Result<Workload> Open(const Options& o, Progress& progress) {
  return OpenWorkload(o.model, {.input = o.input, .input_shapes = o.input_shapes}, progress);
}

Result<std::unique_ptr<Session>> OpenWith(const Options& o, const Workload& w, int threads,
                                          Progress& progress) {
  Result<SessionOptions> options = ToSessionOptions(o.session);
  if (!options) return options.error();
  options->threads = threads;
  if (Status s = SetSchemes(o.schemes, *options); !s.ok()) return s;
  options->on_tune = [&](const TuneProgress& at) { ShowTuning(at, o.schemes.tune, progress); };
  auto session = OpenSession(w, *options);
  if (!session) return session;
  if (Status s = SaveSchemes(o.schemes, **session); !s.ok()) return s;
  return session;
}

Result<Row> Measure(const Options& o, const Workload& w, int threads, Progress& progress) {
  Row row;
  Stopwatch watch;
  auto session = OpenWith(o, w, threads, progress);
  if (!session) return session.error();
  row.prepare = watch.Lap();
  if (Status s = (*session)->Run(); !s.ok()) return s;
  row.first = watch.Lap();
  Timing all;
  double end = o.seconds;
  for (double spent = 0; all.wall.empty() || spent < end; spent += watch.Lap()) {
    Result<Timing> timing = TimeRuns(**session, end - spent);
    if (!timing) return timing.error();
    all.wall.insert(all.wall.end(), timing->wall.begin(), timing->wall.end());
    all.cpu.insert(all.cpu.end(), timing->cpu.begin(), timing->cpu.end());
  }
  row.runs = all.wall.size();
  row.min = *std::min_element(all.wall.begin(), all.wall.end());
  row.median = Percentile(all.wall, 0.5);
  row.p95 = Percentile(all.wall, 0.95);
  row.cpu = Percentile(all.cpu, 0.5);
  row.gflops = 2e-9 * w.info.multiply_adds / row.min;
  const PlanReport report = (*session)->Report();
  row.threads = report.threads;
  row.pack_cache = report.pack_cache;
  row.tune = TuneText(report.tune);
  if (o.profile) {
    Result<Profile> profile =
        ProfileRuns(**session, std::min(o.seconds, 1.0), kMostProfiledRuns, kTracedRuns);
    if (!profile) return profile.error();
    row.profile = std::move(profile).value();
    row.machine = MeasureMachine(row.threads);
  }
  return row;
}

nlohmann::ordered_json NodeJson(const NodeReport& n, const CommandStatistics& c) {
  return {{"name", n.name},
          {"op", n.op},
          {"backend", n.backend},
          {"kernel", n.kernel},
          {"detail", n.detail},
          {"runs", n.runs},
          {"min_ms", c.min * 1e3},
          {"median_ms", c.median * 1e3},
          {"estimate_ms", n.seconds * 1e3},
          {"flops", n.flops},
          {"bytes", n.bytes}};
}

void PrintJson(const std::vector<Row>& rows, const Workload& w) {
  nlohmann::ordered_json j;
  j["load_ms"] = w.load_seconds * 1e3;
  j["multiply_adds"] = w.info.multiply_adds;
  j["peak_mb"] = PeakMegabytes();
  j["threads"] = nlohmann::ordered_json::array();
  for (const Row& r : rows) {
    nlohmann::ordered_json entry{{"threads", r.threads},
                                 {"prepare_ms", r.prepare * 1e3},
                                 {"first_ms", r.first * 1e3},
                                 {"min_ms", r.min * 1e3},
                                 {"median_ms", r.median * 1e3},
                                 {"p95_ms", r.p95 * 1e3},
                                 {"cpu_ms", r.cpu * 1e3},
                                 {"gflops", r.gflops},
                                 {"runs", r.runs}};
    if (!r.pack_cache.empty()) entry["pack_cache"] = r.pack_cache;
    if (r.profile) {
      entry["peak_gflops"] = r.machine.flops_per_second * 1e-9;
      entry["peak_gbytes_per_second"] = r.machine.bytes_per_second * 1e-9;
      for (size_t i = 0; i < r.profile->commands.size(); ++i)
        entry["nodes"].push_back(NodeJson(r.profile->report.nodes[i], r.profile->commands[i]));
    }
    j["threads"].push_back(std::move(entry));
  }
  fmt::print("{}\n", Text(j));
}

void Print(const std::vector<Row>& rows, const Options& o, const Workload& w) {
  Heading(fmt::format("{}  ({} multiply-adds, loaded in {})", o.model,
                      FormatCount(w.info.multiply_adds), FormatSeconds(w.load_seconds)));
  Table table({{"threads", Align::kRight},
               {"min ms", Align::kRight},
               {"median", Align::kRight},
               {"p95", Align::kRight},
               {"CPU ms", Align::kRight},
               {"GFLOP/s", Align::kRight},
               {"runs", Align::kRight},
               {"prepare ms", Align::kRight},
               {"first ms", Align::kRight}});
  for (const Row& r : rows)
    table.Row({fmt::format("{}", r.threads), FormatMilliseconds(r.min),
               FormatMilliseconds(r.median), FormatMilliseconds(r.p95), FormatMilliseconds(r.cpu),
               fmt::format("{:.1f}", r.gflops), fmt::format("{}", r.runs),
               FormatMilliseconds(r.prepare), FormatMilliseconds(r.first)});
  table.Print();
  for (const Row& r : rows) {
    if (!r.pack_cache.empty())
      fmt::print("  {} thread{}: packed weights {}\n", r.threads, r.threads == 1 ? "" : "s",
                 r.pack_cache);
    if (!r.tune.empty()) fmt::print("  {}\n", r.tune);
  }
  fmt::print("  peak memory of the process {:.1f} MiB\n", PeakMegabytes());
  if (o.profile)
    for (const Row& r : rows) PrintProfile(*r.profile, r.machine);
}

Status RunTurns(const Options& o, const std::vector<int>& threads) {
  if (threads.size() != 1)
    return Status(Code::kInvalidArgument, "--turns needs one number of threads");
  Progress progress(true);
  Result<Workload> w = Open(o, progress);
  if (!w) return w.error();
  Stopwatch watch;
  auto session = OpenWith(o, *w, threads[0], progress);
  if (!session) return session.error();
  double load = w->load_seconds + watch.Lap();
  if (Status s = (*session)->Run(); !s.ok()) return s;
  double first = watch.Lap();
  if (!o.output.empty())
    if (Status s = WriteOutputs(**session, o.output); !s.ok()) return s;
  return AnswerTurns(**session, load, first);
}

Status RunSessions(const Options& o, const std::vector<int>& threads) {
  Result<std::vector<int>> sessions = ParseCounts(o.sessions, "sessions");
  if (!sessions) return sessions.error();
  Result<Workload> w = Status(Code::kInternal, "");
  Result<SessionsResult> result = Status(Code::kInternal, "");
  {
    Progress progress(o.json);
    w = Open(o, progress);
    if (!w) return w.error();
    progress.Update("measuring sessions");
    result = MeasureSessions(*sessions, threads, o.seconds,
                             [&](int t) { return OpenWith(o, *w, t, progress); });
  }
  if (!result) return result.error();
  if (o.json) {
    PrintSessionsJson(*result);
  } else {
    Heading(o.model);
    PrintSessions(*result);
  }
  return {};
}

Status Run(const Options& o) {
  std::vector<int> threads{0};  // all CPUs
  if (!o.threads.empty()) {
    Result<std::vector<int>> parsed = ParseCounts(o.threads, "threads");
    if (!parsed) return parsed.error();
    threads = *parsed;
  }
  if (o.turns) return RunTurns(o, threads);
  if (!o.trace.empty() && threads.size() != 1)
    return Status(Code::kInvalidArgument, "--trace needs one number of threads");
  if (!(o.schemes.save + o.schemes.schemes).empty() && threads.size() != 1)
    return Status(Code::kInvalidArgument,
                  "--schemes and --save-schemes need one number of threads: a scheme lock is for "
                  "one");
  if (!o.sessions.empty()) return RunSessions(o, threads);
  std::vector<Row> rows;
  Result<Workload> w = Status(Code::kInternal, "");
  {
    Progress progress(o.json);
    w = Open(o, progress);
    if (!w) return w.error();
    for (int t : threads) {
      progress.Update(fmt::format("measuring, {} thread{}", t, t == 1 ? "" : "s"));
      Result<Row> row = Measure(o, *w, t, progress);
      if (!row) return row.error();
      rows.push_back(std::move(row).value());
    }
  }
  if (!o.trace.empty())
    if (Status s = WriteTrace(o.trace, *rows[0].profile, o.model); !s.ok()) return s;
  if (o.json) {
    PrintJson(rows, *w);
  } else {
    Print(rows, o, *w);
  }
  return {};
}

}  // namespace

void AddBench(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  Options& o = *options;
  CLI::App& c = *app.add_subcommand("bench", "Time a model");
  c.add_option("MODEL", o.model, "A .sula file or a source model")->required();
  c.add_option("--threads", o.threads, "Numbers of threads to measure (default: all CPUs)")
      ->type_name("1,2");
  auto* sessions =
      c.add_option("--sessions", o.sessions,
                   "Measure throughput: so many sessions of the model, each in a thread of its own "
                   "and with each number of threads, run at the same time")
          ->type_name("1,2");
  c.add_option("--seconds", o.seconds, "Time for each number of threads, or of sessions")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  c.add_option("--input", o.input, "Folder with inputs, as for run (default: random ones)")
      ->type_name("DIR");
  AddInputShapes(c, o.input_shapes);
  AddSessionFlags(c, o.session, false);
  AddSchemeFlags(c, o.schemes);
  auto* profile =
      c.add_flag("--profile", o.profile,
                 "Also the time of every operator and the slowest nodes, with rates and "
                 "the share of the machine's peak")
          ->excludes(sessions);
  c.add_option("--trace", o.trace,
               "With --profile: write a trace of the last runs for Perfetto or chrome://tracing")
      ->type_name("FILE")
      ->needs(profile);
  c.add_flag("--json", o.json, "Print JSON");
  auto* turns = c.add_flag("--turns", o.turns,
                           "Run in turns for a driver that measures several engines side by side: "
                           "one JSON line when ready, then one for each line of seconds on stdin")
                    ->excludes(sessions);
  c.add_option("--output", o.output, "With --turns: folder for the outputs of the first run")
      ->type_name("DIR")
      ->needs(turns);
  c.final_callback([options, &exit_code] { exit_code = Report(Run(*options)); });
}

}  // namespace sula::cli
