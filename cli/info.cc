// sula info
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "classes.h"
#include "commands.h"
#include "model_options.h"
#include "report_json.h"

namespace sula::cli {
namespace {

struct Options {
  std::string model;
  std::vector<std::string> input_shapes;
  bool json = false, check = false;
};

void PrintJson(const ModelInfo& info, const Result<std::string>& activations) {
  nlohmann::ordered_json j;
  j["name"] = info.name;
  j["metadata"] = info.metadata;
  j["inputs"] = ToJson(info.inputs);
  j["outputs"] = ToJson(info.outputs);
  j["nodes"] = info.nodes;
  j["parameters"] = info.parameters;
  j["constant_bytes"] = info.constant_bytes;
  j["multiply_adds"] = info.multiply_adds;
  j["uncounted_nodes"] = info.uncounted_nodes;
  if (activations) j["activation_bytes"] = *activations;
  j["operators"] = nlohmann::ordered_json::object();
  for (const auto& [name, count] : info.operators) j["operators"][name] = count;
  fmt::print("{}\n", Text(j));
}

void Print(const ModelInfo& info, const std::string& path, const Result<std::string>& activations) {
  Heading(info.name.empty() ? path : fmt::format("{}  ({})", path, info.name));
  Table facts({{""}, {""}});
  facts.Row({"parameters", fmt::format("{}  ({})", FormatCount(info.parameters),
                                       FormatBytes(info.constant_bytes))});
  std::string missing = info.uncounted_nodes > 0
                            ? fmt::format("  without {} nodes of unknown size; give --input-shape",
                                          info.uncounted_nodes)
                            : "";
  facts.Row({"multiply-adds", FormatCount(info.multiply_adds) + missing});
  facts.Row({"activations", activations ? "at least " + *activations + " bytes"
                                        : "no formula: " + activations.error().message()});
  for (const auto& [key, value] : info.metadata)
    facts.Row({key, key == kLabelsMetadata ? LabelSummary(StoredLabels(info)) : value});
  facts.Print();

  fmt::print("\n");
  Table ports({{""}, {"name"}, {"type"}});
  for (const ValueInfo& v : info.inputs) ports.Row({"input", v.name, v.type});
  for (const ValueInfo& v : info.outputs) ports.Row({"output", v.name, v.type});
  ports.Print();

  fmt::print("\n");
  Table operators({{"operator"}, {"nodes", Align::kRight}});
  for (const auto& [name, count] : info.operators) operators.Row({name, fmt::format("{}", count)});
  operators.Row({"all", fmt::format("{}", info.nodes)});
  operators.Print();
}

Status Run(const Options& o) {
  Progress progress(o.json);
  if (o.check) {
    if (DetectFormat(o.model) != "sula")
      return Status(Code::kInvalidArgument, "--check is for .sula files");
    progress.Update("checking the content hash");
    if (auto model = LoadModel(o.model, {.check_hash = true}); !model) return model.error();
  }
  auto model = OpenModel(o.model, progress);
  if (!model) return model.error();
  Result<ModelInfo> info = Inspect(**model);
  if (!info) return info.error();
  InputShapes given;
  if (!o.input_shapes.empty()) {
    Result<InputShapes> shapes = ParseInputShapes(o.input_shapes, *info);
    if (!shapes) return shapes.error();
    model = FitModel(*model, *info, o.model, *shapes, progress);
    if (!model) return model.error();
    info = Inspect(**model, *shapes);
    if (!info) return info.error();
    given = *std::move(shapes);
  }
  const Result<std::string> activations = ActivationBytes(**model, given);
  if (o.json) {
    PrintJson(*info, activations);
  } else {
    Print(*info, o.model, activations);
  }
  return {};
}

}  // namespace

void AddInfo(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& c = *app.add_subcommand("info", "Describe a model: operators, shapes, sizes, work");
  c.add_option("MODEL", options->model, "A .sula file or a source model")->required();
  AddInputShapes(c, options->input_shapes);
  c.add_flag("--check", options->check, "Compare the content hash of a .sula file, too");
  c.add_flag("--json", options->json, "Print JSON");
  c.final_callback([options, &exit_code] { exit_code = Report(Run(*options)); });
}

}  // namespace sula::cli
