// sula bench
#include "timing.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "commands.h"

namespace sula::cli {
namespace {

struct Options {
  std::string model, threads, input, output;
  std::vector<std::string> input_shapes;
  SessionFlags session;
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

// A model with inputs to run it on.
struct Prepared {
  std::shared_ptr<const Model> model;
  std::vector<Array> inputs;
  InputShapes shapes;
  double multiply_adds = 0;
};

// The figures of one number of threads.
struct Row {
  int threads = 0;
  double prepare = 0, first = 0, min = 0, median = 0, p95 = 0, cpu = 0, gflops = 0;
  size_t runs = 0;
  PlanReport report;
};

double Percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  size_t i = static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  return values[i];
}

Result<Prepared> Prepare(const Options& o, Progress& progress) {
  auto model = OpenModel(o.model, progress);
  if (!model) return model.error();
  Result<ModelInfo> info = Inspect(**model);
  if (!info) return info.error();
  Result<InputShapes> shapes = ParseInputShapes(o.input_shapes, *info);
  if (!shapes) return shapes.error();
  Result<std::vector<Array>> inputs =
      o.input.empty() ? MakeInputs(*info, *shapes) : ReadInputFolder(o.input, *info);
  if (!inputs) return inputs.error();
  Prepared p{.model = *model, .inputs = std::move(inputs).value()};
  p.shapes = ShapesOf(*info, p.inputs);
  model = FitModel(p.model, *info, o.model, p.shapes, progress);
  if (!model) return model.error();
  p.model = *model;
  Result<ModelInfo> sized = Inspect(*p.model, p.shapes);
  if (!sized) return sized.error();
  p.multiply_adds = sized->multiply_adds;
  return p;
}

Result<std::unique_ptr<Session>> Open(const Options& o, const Prepared& p, int threads) {
  Result<SessionOptions> options = ToSessionOptions(o.session);
  if (!options) return options.error();
  options->threads = threads;
  auto session = Session::Create(p.model, *options, p.shapes);
  if (!session) return session;
  if (Status s = BindInputs(**session, p.inputs); !s.ok()) return s;
  return session;
}

Result<Row> Measure(const Options& o, const Prepared& p, int threads) {
  Row row;
  Stopwatch watch;
  auto session = Open(o, p, threads);
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
  row.gflops = 2e-9 * p.multiply_adds / row.min;
  row.threads = (*session)->Report().threads;
  if (o.profile) {
    (*session)->SetProfiling(true);
    Result<Timing> timing = TimeRuns(**session, std::min(o.seconds, 1.0));
    if (!timing) return timing.error();
    row.report = (*session)->Report();
  }
  return row;
}

// Smallest times of the profiled runs: least disturbed by whatever else the machine does.
void PrintProfile(const Row& row) {
  struct Sum {
    int nodes = 0;
    double seconds = 0, flops = 0;
  };
  std::map<std::string, Sum> by_operator;
  std::vector<const NodeReport*> nodes;
  double total = 0;
  for (const NodeReport& n : row.report.nodes) {
    Sum& sum = by_operator[n.op + "  " + (n.backend.empty() ? "" : n.backend + "/") + n.kernel];
    ++sum.nodes, sum.seconds += n.min_seconds, sum.flops += n.flops;
    total += n.min_seconds;
    nodes.push_back(&n);
  }
  std::vector<std::pair<std::string, Sum>> sums(by_operator.begin(), by_operator.end());
  std::stable_sort(sums.begin(), sums.end(), [](const auto& a, const auto& b) {
    return a.second.seconds > b.second.seconds;
  });
  fmt::print("\n");
  Heading(fmt::format("Operators, {} thread{}", row.threads, row.threads == 1 ? "" : "s"));
  Table operators({{"operator and kernel"},
                   {"nodes", Align::kRight},
                   {"min ms", Align::kRight},
                   {"share", Align::kRight},
                   {"GFLOP/s", Align::kRight}});
  auto rate = [](double flops, double seconds) {
    return flops > 0 && seconds > 0 ? fmt::format("{:.1f}", 1e-9 * flops / seconds) : "-";
  };
  for (const auto& [name, sum] : sums)
    operators.Row({name, fmt::format("{}", sum.nodes), FormatMilliseconds(sum.seconds),
                   FormatPercent(sum.seconds, total), rate(sum.flops, sum.seconds)});
  operators.Print();

  std::stable_sort(nodes.begin(), nodes.end(), [](const NodeReport* a, const NodeReport* b) {
    return a->min_seconds > b->min_seconds;
  });
  if (nodes.size() > 20) nodes.resize(20);
  fmt::print("\n");
  Table slowest({{"slowest nodes", Align::kLeft, 36},
                 {"operator"},
                 {"output", Align::kLeft, 44},
                 {"kernel", Align::kLeft, 48},
                 {"min ms", Align::kRight},
                 {"estimate", Align::kRight},
                 {"GFLOP/s", Align::kRight}});
  for (const NodeReport* n : nodes)
    slowest.Row({n->name, n->op, n->outputs.empty() ? "" : n->outputs[0],
                 n->detail.empty() ? n->kernel : n->kernel + "  " + n->detail,
                 FormatMilliseconds(n->min_seconds), FormatMilliseconds(n->seconds),
                 rate(n->flops, n->min_seconds)});
  slowest.Print();
}

void PrintJson(const std::vector<Row>& rows, const Prepared& p, double load) {
  nlohmann::ordered_json j;
  j["load_ms"] = load * 1e3;
  j["multiply_adds"] = p.multiply_adds;
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
    for (const NodeReport& n : r.report.nodes)
      entry["nodes"].push_back({{"name", n.name},
                                {"op", n.op},
                                {"backend", n.backend},
                                {"kernel", n.kernel},
                                {"detail", n.detail},
                                {"runs", n.runs},
                                {"min_ms", n.min_seconds * 1e3},
                                {"estimate_ms", n.seconds * 1e3},
                                {"flops", n.flops}});
    j["threads"].push_back(std::move(entry));
  }
  fmt::print("{}\n", j.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Print(const std::vector<Row>& rows, const Options& o, const Prepared& p, double load) {
  Heading(fmt::format("{}  ({} multiply-adds, loaded in {})", o.model, FormatCount(p.multiply_adds),
                      FormatSeconds(load)));
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
  fmt::print("  peak memory of the process {:.1f} MiB\n", PeakMegabytes());
  if (o.profile)
    for (const Row& r : rows) PrintProfile(r);
}

Status RunTurns(const Options& o, const std::vector<int>& threads) {
  if (threads.size() != 1)
    return Status(Code::kInvalidArgument, "--turns needs one number of threads");
  Stopwatch watch;
  Progress progress(true);
  Result<Prepared> p = Prepare(o, progress);
  if (!p) return p.error();
  auto session = Open(o, *p, threads[0]);
  if (!session) return session.error();
  double load = watch.Lap();
  if (Status s = (*session)->Run(); !s.ok()) return s;
  double first = watch.Lap();
  if (!o.output.empty())
    if (Status s = WriteOutputs(**session, o.output); !s.ok()) return s;
  return AnswerTurns(**session, load, first);
}

Status Run(const Options& o) {
  std::vector<int> threads{0};  // all CPUs
  if (!o.threads.empty()) {
    Result<std::vector<int>> parsed = ParseThreadList(o.threads);
    if (!parsed) return parsed.error();
    threads = *parsed;
  }
  if (o.turns) return RunTurns(o, threads);
  Stopwatch watch;
  std::vector<Row> rows;
  Result<Prepared> p = Status(Code::kInternal, "");
  double load = 0;
  {
    Progress progress(o.json);
    p = Prepare(o, progress);
    if (!p) return p.error();
    load = watch.Lap();
    for (int t : threads) {
      progress.Update(fmt::format("measuring, {} thread{}", t, t == 1 ? "" : "s"));
      Result<Row> row = Measure(o, *p, t);
      if (!row) return row.error();
      rows.push_back(std::move(row).value());
    }
  }
  if (o.json) {
    PrintJson(rows, *p, load);
  } else {
    Print(rows, o, *p, load);
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
  c.add_option("--seconds", o.seconds, "Time for each number of threads")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  c.add_option("--input", o.input, "Folder with inputs, as for run (default: random ones)")
      ->type_name("DIR");
  AddInputShapes(c, o.input_shapes);
  AddSessionFlags(c, o.session, false);
  c.add_flag("--profile", o.profile, "Also the time of every operator and the slowest nodes");
  c.add_flag("--json", o.json, "Print JSON");
  auto* turns = c.add_flag("--turns", o.turns,
                           "Run in turns for a driver that measures several engines side by side: "
                           "one JSON line when ready, then one for each line of seconds on stdin");
  c.add_option("--output", o.output, "With --turns: folder for the outputs of the first run")
      ->type_name("DIR")
      ->needs(turns);
  c.final_callback([options, &exit_code] { exit_code = Report(Run(*options)); });
}

}  // namespace sula::cli
