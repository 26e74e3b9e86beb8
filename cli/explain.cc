// sula explain
#include <fmt/format.h>

#include <algorithm>

#include "commands.h"
#include "explain_page.h"
#include "node_figures.h"
#include "pages.h"
#include "report_json.h"
#include "schemes.h"
#include "workload.h"

namespace sula::cli {
namespace {

constexpr double kMostSeconds = 10;  // of measuring, whatever the number of runs

struct Options {
  std::string model, html, input;
  std::vector<std::string> input_shapes;
  SessionFlags session;
  SchemeFlags schemes;
  int runs = 20;
  bool json = false, brief = false;
};

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& p : parts) text += (text.empty() ? "" : std::string(separator)) + p;
  return text;
}

// How a candidate came off against the chosen one: "chosen", "1.3 x the time", "refused: ...".
// Times are of kernels with the layout copies that they would need.
std::string Verdict(const CandidateReport& c, const NodeReport& n, const CandidateReport* chosen) {
  if (!c.refused.empty()) return "refused: " + c.refused;
  std::string verdict;
  if (&c == chosen) {
    verdict = n.locked ? "locked" : "chosen";
  } else if (chosen && chosen->seconds > 0 && c.nodes == chosen->nodes) {
    const double ratio = c.seconds / chosen->seconds;
    verdict = fmt::format("{:.{}f} x the time", ratio, ratio < 10 ? 2 : 0);
  }
  if (c.nodes > 1)
    verdict += fmt::format("{}{} nodes in {}", verdict.empty() ? "" : ", ", c.nodes,
                           FormatSeconds(c.seconds));
  // A choice that the pack cache has kept is not weighed again.
  if (c.seconds_apart > 0) verdict += ", apart " + FormatSeconds(c.seconds_apart);
  return verdict;
}

// One line for each command, and under it, with `candidates`, one for each kernel that was
// considered.
void PrintCommands(const PlanReport& report, const MachineSpeed& machine, bool candidates) {
  double total = 0;
  bool tuned = false;
  for (const NodeReport& n : report.nodes) {
    total += BestGuess(n);
    for (const CandidateReport& c : n.candidates) tuned |= c.measured_seconds > 0;
  }
  std::vector<Table::Column> columns = {
      {"#", Align::kRight},         {"node", Align::kLeft, 36},   {"operator"},
      {"output", Align::kLeft, 44}, {"kernel", Align::kLeft, 60}, {"predicted", Align::kRight}};
  if (tuned) columns.push_back({"measured", Align::kRight});
  columns.insert(
      columns.end(),
      {{"share", Align::kRight}, {"loss", Align::kRight}, {"of the bound", Align::kRight}});
  Table table(columns);
  const auto row = [&](std::vector<std::string> cells, double measured,
                       std::vector<std::string> rest) {
    if (tuned) cells.push_back(measured > 0 ? FormatSeconds(measured) : "");
    cells.insert(cells.end(), rest.begin(), rest.end());
    table.Row(std::move(cells));
  };
  for (size_t i = 0; i < report.nodes.size(); ++i) {
    const NodeReport& n = report.nodes[i];
    std::string kernel = n.backend.empty() ? n.kernel : n.backend + "/" + n.kernel;
    if (!n.detail.empty()) kernel += "  " + n.detail;
    const Loss loss = LossOf(n);
    row({fmt::format("{}", i), NodeNames(n), n.op, Join(n.outputs, ", "), kernel,
         FormatSeconds(n.seconds)},
        TunedSeconds(n),
        {FormatPercent(BestGuess(n), total),
         loss.best && loss.share > 0 ? fmt::format("{:.1f} %", 100 * loss.share) : "",
         RooflineOf(n, machine).ToString(BestGuess(n))});
    if (!candidates) continue;
    const CandidateReport* const chosen = ChosenOf(n);
    for (size_t k = 0; k < n.candidates.size(); ++k) {
      const CandidateReport& c = n.candidates[k];
      std::string name = fmt::format("  {}/{}", c.backend, c.kernel);
      // A family that is refused for one reason takes one line.
      const size_t first = k;
      while (!c.refused.empty() && k + 1 < n.candidates.size() &&
             n.candidates[k + 1].refused == c.refused)
        ++k;
      if (k > first) name += fmt::format(" and {} more", k - first);
      row({"", "", "", name, Verdict(c, n, chosen),
           c.refused.empty() ? FormatSeconds(c.kernel_seconds) : ""},
          c.measured_seconds, {"", "", ""});
    }
  }
  table.Print();
  fmt::print(
      "  {} Of the bound: the least time that arithmetic ({:.1f} GFLOP/s, measured) or memory "
      "({:.1f} GB/s)\n  allow, whichever is longer, against the {} one; Winograd's algorithm "
      "needs less arithmetic than is counted,\n  and caches are faster than memory.\n",
      tuned ? "Loss: what the chosen kernel takes longer than the fastest one by itself." : "",
      1e-9 * machine.flops_per_second, 1e-9 * machine.bytes_per_second,
      tuned ? "measured or predicted" : "predicted");
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

void Print(const Explained& explained, const Options& o) {
  const PlanReport& report = explained.profile.report;
  const MachineSpeed& machine = explained.speed;
  Heading(fmt::format("{}  ({} commands, {} thread{})", o.model, report.nodes.size(),
                      report.threads, report.threads == 1 ? "" : "s"));
  if (explained.chosen_by)
    fmt::print("  predicted by the machine profile: {}\n", OriginText(*explained.chosen_by));
  if (const std::string tuned = TuneText(report.tune); !tuned.empty()) fmt::print("  {}\n", tuned);
  if (report.locked_nodes > 0)
    fmt::print("  {} kernels as the scheme lock '{}' tells\n", report.locked_nodes,
               o.schemes.schemes);
  PrintCommands(report, machine, !o.brief);
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
    if (Status status = SetSchemes(o.schemes, *options); !status.ok()) return status;
    options->on_tune = [&](const TuneProgress& at) { ShowTuning(at, o.schemes.tune, progress); };
    auto session = OpenSession(*w, *options);
    if (!session) return Status(session.error()).AddContext("preparing '" + o.model + "'");
    if (Status status = SaveSchemes(o.schemes, **session); !status.ok()) return status;
    explained.info = std::move(w->info);
    explained.profile.report = (*session)->Report();
    if (!o.html.empty() && o.runs > 0) {
      progress.Update("measuring");
      Result<Profile> profile = ProfileRuns(**session, kMostSeconds, o.runs, 0);
      if (!profile) return Status(profile.error()).AddContext("running '" + o.model + "'");
      explained.profile = std::move(profile).value();
    }
    if (o.session.backend.empty() || o.session.backend == "cpu")
      explained.chosen_by = MachineProfile(explained.profile.report.threads);
    explained.speed = MeasureMachine(explained.profile.report.threads);
  }
  if (!o.html.empty()) return WritePage(o.html, "explain.html", ToJson(explained));
  if (o.json) {
    fmt::print("{}\n", Text(PlanJson(explained)));
  } else {
    Print(explained, o);
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
  AddSchemeFlags(c, o.schemes);
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
