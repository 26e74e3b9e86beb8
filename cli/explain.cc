// sula explain
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "model_options.h"

namespace sula::cli {
namespace {

struct Options {
  std::string model;
  std::vector<std::string> input_shapes;
  SessionFlags session;
  bool json = false, brief = false;
};

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& p : parts) text += (text.empty() ? "" : std::string(separator)) + p;
  return text;
}

void PrintJson(const PlanReport& report) {
  nlohmann::ordered_json j;
  j["threads"] = report.threads;
  j["arena_bytes"] = report.arena_bytes;
  j["lower_bound_bytes"] = report.lower_bound_bytes;
  j["constant_bytes"] = report.constant_bytes;
  j["nodes"] = nlohmann::ordered_json::array();
  for (const NodeReport& n : report.nodes) {
    nlohmann::ordered_json node;
    node["name"] = n.name;
    node["op"] = n.op;
    node["inputs"] = n.inputs;
    node["outputs"] = n.outputs;
    node["backend"] = n.backend;
    node["kernel"] = n.kernel;
    node["detail"] = n.detail;
    node["estimate_seconds"] = n.seconds;
    node["flops"] = n.flops;
    node["bytes"] = n.bytes;
    node["workspace_bytes"] = n.workspace_bytes;
    node["constant_bytes"] = n.constant_bytes;
    node["candidates"] = nlohmann::ordered_json::array();
    for (const CandidateReport& c : n.candidates) {
      nlohmann::ordered_json candidate{{"backend", c.backend}, {"kernel", c.kernel}};
      if (c.refused.empty()) {
        candidate["estimate_seconds"] = c.seconds;
      } else {
        candidate["refused"] = c.refused;
      }
      node["candidates"].push_back(std::move(candidate));
    }
    j["nodes"].push_back(std::move(node));
  }
  j["placements"] = nlohmann::ordered_json::array();
  for (const TensorPlacement& p : report.placements)
    j["placements"].push_back({{"name", p.name},
                               {"offset", p.offset},
                               {"bytes", p.bytes},
                               {"first_command", p.first_command},
                               {"last_command", p.last_command}});
  fmt::print("{}\n", j.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
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
    table.Row({fmt::format("{}", i), n.name, n.op, Join(n.outputs, ", "), kernel,
               FormatSeconds(n.seconds), FormatPercent(n.seconds, total)});
    if (!candidates) continue;
    for (const CandidateReport& c : n.candidates) {
      bool chosen = c.backend == n.backend && c.kernel == n.kernel;
      std::string verdict = !c.refused.empty() ? "refused: " + c.refused
                            : chosen           ? "chosen"
                                               : "slower";
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
  table.Row({"weights", FormatBytes(report.constant_bytes), "packed weights and constants kept"});
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

Status Run(const Options& o) {
  Result<SessionOptions> options = ToSessionOptions(o.session);
  if (!options) return options.error();
  Result<PlanReport> report = [&]() -> Result<PlanReport> {
    Progress progress(o.json);
    auto model = OpenModel(o.model, progress);
    if (!model) return model.error();
    Result<ModelInfo> info = Inspect(**model);
    if (!info) return info.error();
    Result<InputShapes> shapes = ParseInputShapes(o.input_shapes, *info);
    if (!shapes) return shapes.error();
    model = FitModel(*model, *info, o.model, *shapes, progress);
    if (!model) return model.error();
    progress.Update("preparing");
    auto session = Session::Create(*model, *options, *shapes);
    if (!session) return Status(session.error()).AddContext("preparing '" + o.model + "'");
    return (*session)->Report();
  }();
  if (!report) return report.error();
  if (o.json) {
    PrintJson(*report);
    return {};
  }
  Heading(fmt::format("{}  ({} commands, {} thread{})", o.model, report->nodes.size(),
                      report->threads, report->threads == 1 ? "" : "s"));
  PrintCommands(*report, !o.brief);
  PrintBackends(*report);
  PrintMemory(*report);
  if (!o.brief) PrintPlacements(*report);
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
  c.add_flag("--json", o.json, "Print everything as JSON");
  c.final_callback([options, &exit_code] { exit_code = Report(Run(*options)); });
}

}  // namespace sula::cli
