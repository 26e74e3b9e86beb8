// sula explain
#include <fmt/format.h>

#include <algorithm>

#include "commands.h"
#include "explain_page.h"
#include "pages.h"
#include "report_json.h"
#include "workload.h"

namespace sula::cli {
namespace {

constexpr double kMostSeconds = 10;  // of measuring, whatever the number of runs

struct Options {
  std::string model, html, input;
  std::vector<std::string> input_shapes;
  SessionFlags session;
  int runs = 20;
  bool json = false, brief = false;
};

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& p : parts) text += (text.empty() ? "" : std::string(separator)) + p;
  return text;
}

// One line for each command, and under it, with `candidates`, one for each kernel that was
// considered.
void PrintCommands(const PlanReport& report, bool candidates) {
  double total = 0;
  for (const NodeReport& n : report.nodes) total += n.seconds;
  Table table({{"#", Align::kRight},
               {"node", Align::kLeft, 36},
               {"operator"},
               {"output", Align::kLeft, 44},
               {"kernel", Align::kLeft, 60},
               {"estimate", Align::kRight},
               {"share", Align::kRight}});
  for (size_t i = 0; i < report.nodes.size(); ++i) {
    const NodeReport& n = report.nodes[i];
    std::string kernel = n.backend.empty() ? n.kernel : n.backend + "/" + n.kernel;
    if (!n.detail.empty()) kernel += "  " + n.detail;
    table.Row({fmt::format("{}", i), NodeNames(n), n.op, Join(n.outputs, ", "), kernel,
               FormatSeconds(n.seconds), FormatPercent(n.seconds, total)});
    if (!candidates) continue;
    for (const CandidateReport& c : n.candidates) {
      bool chosen = c.backend == n.backend && c.kernel == n.kernel;
      std::string verdict = !c.refused.empty() ? "refused: " + c.refused
                            : chosen           ? "chosen"
                                               : "slower";
      if (c.nodes > 1 && c.refused.empty())
        verdict += fmt::format(", {} nodes, apart {}", c.nodes, FormatSeconds(c.seconds_apart));
      table.Row({"", "", "", fmt::format("  {}/{}", c.backend, c.kernel), verdict,
                 c.refused.empty() ? FormatSeconds(c.seconds) : "", ""});
    }
  }
  table.Print();
}

void PrintMemory(const PlanReport& report) {
  size_t workspace = 0;
  for (const NodeReport& n : report.nodes) workspace = std::max(workspace, n.workspace_bytes);
  fmt::print("\n");
  Heading("Memory");
  Table table({{""}, {"", Align::kRight}, {""}});
  table.Row(
      {"activations and workspace", FormatBytes(report.arena_bytes), "peak, what is allocated"});
  table.Row({"lower bound", FormatBytes(report.lower_bound_bytes),
             report.lower_bound_bytes > 0
                 ? fmt::format("the plan is {:.2f} times it",
                               static_cast<double>(report.arena_bytes) / report.lower_bound_bytes)
                 : ""});
  table.Row({"largest workspace", FormatBytes(workspace), "of one node, within the first"});
  table.Row({"weights", FormatBytes(report.constant_bytes),
             report.borrowed_bytes > 0 ? fmt::format("{} of them read where the model has them",
                                                     FormatBytes(report.borrowed_bytes))
                                       : "packed weights and constants kept"});
  if (!report.pack_cache.empty())
    table.Row({"mapped", FormatBytes(report.mapped_bytes),
               fmt::format("of them in the pack cache, {}", report.pack_cache)});
  if (report.shared_bytes > 0)
    table.Row({"shared", FormatBytes(report.shared_bytes), "of them packed before, for others"});
  table.Row({"inputs and outputs", FormatBytes(report.port_bytes), "the session's own"});
  table.Row({"in all", FormatBytes(report.total_bytes), "what a run touches"});
  table.Print();
}

void PrintPlacements(const PlanReport& report) {
  if (report.placements.empty()) return;
  fmt::print("\n");
  Table table({{"tensor", Align::kLeft, 48},
               {"offset", Align::kRight},
               {"bytes", Align::kRight},
               {"lives in commands"}});
  for (const TensorPlacement& p : report.placements)
    table.Row({p.name, fmt::format("{}", p.offset), fmt::format("{}", p.bytes),
               fmt::format("{} .. {}", p.first_command, p.last_command)});
  table.Print();
}

// How much of the work runs where.
void PrintBackends(const PlanReport& report) {
  std::map<std::string, std::pair<int, double>> backends;
  std::map<std::string, int> fallback;
  for (const NodeReport& n : report.nodes) {
    auto& [count, seconds] = backends[n.backend.empty() ? n.kernel : n.backend];
    ++count, seconds += n.seconds;
    if (n.backend == "reference") ++fallback[n.op];
  }
  fmt::print("\n");
  Table table({{"backend"}, {"commands", Align::kRight}, {"estimate", Align::kRight}});
  for (const auto& [name, use] : backends)
    table.Row({name, fmt::format("{}", use.first), FormatSeconds(use.second)});
  table.Print();
  if (fallback.empty() || backends.size() == 1) return;
  std::string text;
  for (const auto& [op, count] : fallback)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, op);
  fmt::print("  without a fast kernel, so run on reference: {}\n", text);
}

void Print(const PlanReport& report, const Options& o) {
  Heading(fmt::format("{}  ({} commands, {} thread{})", o.model, report.nodes.size(),
                      report.threads, report.threads == 1 ? "" : "s"));
  PrintCommands(report, !o.brief);
  PrintBackends(report);
  PrintMemory(report);
  if (!o.brief) PrintPlacements(report);
}

Status Run(const Options& o) {
  Result<SessionOptions> options = ToSessionOptions(o.session);
  if (!options) return options.error();
  Explained explained{.path = o.model};
  {
    Progress progress(o.json);
    Result<Workload> w = OpenWorkload(o.model,
                                      {.input = o.input,
                                       .input_shapes = o.input_shapes,
                                       .make_inputs = !o.html.empty() && o.runs > 0},
                                      progress);
    if (!w) return w.error();
    progress.Update("preparing");
    auto session = OpenSession(*w, *options);
    if (!session) return Status(session.error()).AddContext("preparing '" + o.model + "'");
    explained.info = std::move(w->info);
    explained.profile.report = (*session)->Report();
    if (!o.html.empty() && o.runs > 0) {
      progress.Update("measuring");
      Result<Profile> profile = ProfileRuns(**session, kMostSeconds, o.runs, 0);
      if (!profile) return Status(profile.error()).AddContext("running '" + o.model + "'");
      explained.profile = std::move(profile).value();
      explained.speed = MeasureMachine(explained.profile.report.threads);
    }
  }
  if (!o.html.empty()) return WritePage(o.html, "explain.html", ToJson(explained));
  if (o.json) {
    fmt::print("{}\n", Text(ToJson(explained.profile.report)));
  } else {
    Print(explained.profile.report, o);
  }
  return {};
}

}  // namespace

void AddExplain(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  Options& o = *options;
  CLI::App& c = *app.add_subcommand(
      "explain", "Show how a model will run: kernel of each node, estimates, memory plan");
  c.add_option("MODEL", o.model, "A .sula file or a source model")->required();
  AddInputShapes(c, o.input_shapes);
  AddSessionFlags(c, o.session);
  c.add_flag("--brief", o.brief,
             "Leave out the kernels that were not chosen and the places of the tensors");
  auto* html =
      c.add_option("--html", o.html,
                   "Write a page instead, for any browser: the graph with the time of each "
                   "node, the memory plan as a picture, kernels and refusals")
          ->type_name("FILE");
  c.add_option("--runs", o.runs, "With --html: runs to measure (0: show estimates alone)")
      ->needs(html)
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  c.add_option("--input", o.input, "With --html: folder with inputs, as for run (default: random)")
      ->type_name("DIR")
      ->needs(html);
  c.add_flag("--json", o.json, "Print everything as JSON")->excludes(html);
  c.final_callback([options, &exit_code] { exit_code = Report(Run(*options)); });
}

}  // namespace sula::cli
