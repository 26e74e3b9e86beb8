// sula convert
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "classes.h"
#include "commands.h"
#include "model_options.h"
#include "picture.h"

namespace sula::cli {
namespace {

struct Options {
  std::vector<std::string> files, input_shapes, input_values, disable, image, preprocess;
  std::string output, dump_ir, labels;
  int stop_after = -1;
  bool json = false, list_rules = false, verify = false;
  uint64_t verify_seed = 1;
};

void PrintJson(const ConvertSummary& s, double seconds) {
  nlohmann::ordered_json j;
  j["format"] = s.source_format;
  j["seconds"] = seconds;
  j["nodes_before"] = s.nodes_before;
  j["nodes_after"] = s.nodes_after;
  j["multiply_adds_before"] = s.multiply_adds_before;
  j["multiply_adds_after"] = s.multiply_adds_after;
  j["uncounted_nodes"] = s.uncounted_nodes;
  j["parameters"] = s.parameters;
  j["constant_bytes"] = s.constant_bytes;
  j["source_bytes"] = s.source_bytes;
  j["file_bytes"] = s.file_bytes;
  j["operators_before"] = nlohmann::ordered_json::object();
  for (const auto& [name, count] : s.operators_before) j["operators_before"][name] = count;
  j["operators"] = nlohmann::ordered_json::object();
  for (const auto& [name, count] : s.operators) j["operators"][name] = count;
  j["rules"] = nlohmann::ordered_json::object();
  for (const auto& [name, count] : s.rules) j["rules"][name] = count;
  if (s.verified) {
    const VerifySummary& v = *s.verified;
    j["verified"] = {{"seed", v.seed},
                     {"inputs", v.inputs},
                     {"changes", v.changes},
                     {"unverified", v.unverified},
                     {"largest_error", v.largest_error},
                     {"largest_error_at", v.largest_error_at}};
  }
  j["warnings"] = s.warnings;
  fmt::print("{}\n", j.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
}

// "-12.3 %" of what there was; empty where nothing changed.
std::string Change(double before, double after) {
  if (before <= 0 || before == after) return "";
  return fmt::format("{:+.1f} %", 100 * (after - before) / before);
}

void PrintOperators(const ConvertSummary& s) {
  std::map<std::string, int64_t> after(s.operators.begin(), s.operators.end());
  const auto count = [](int64_t n) { return n == 0 ? "-" : fmt::format("{}", n); };
  Table table({{"operator"}, {"before", Align::kRight}, {"after", Align::kRight}});
  for (const auto& [name, before] : s.operators_before) {
    table.Row({name, count(before), count(after[name])});
    after.erase(name);
  }
  for (const auto& [name, n] : s.operators)
    if (after.contains(name)) table.Row({name, "-", count(n)});
  fmt::print("\n");
  table.Print();
}

void PrintRules(const ConvertSummary& s) {
  std::map<std::string, std::string> summaries;
  for (RuleInfo& r : Rules()) summaries[r.name] = std::move(r.summary);
  Table table({{"rule"}, {"applied", Align::kRight}, {"what it does", Align::kLeft, 72}});
  for (const auto& [name, count] : s.rules)
    table.Row({name, fmt::format("{}", count), summaries[name]});
  fmt::print("\n");
  table.Print();
}

void PrintSummary(const ConvertSummary& s, const std::string& output, double seconds) {
  Heading(fmt::format("{} -> {}  ({}, {})", s.source_format, output, FormatBytes(s.file_bytes),
                      FormatSeconds(seconds)));
  Table table({{""}, {"before", Align::kRight}, {"after", Align::kRight}, {"", Align::kRight}});
  table.Row({"nodes", fmt::format("{}", s.nodes_before), fmt::format("{}", s.nodes_after),
             Change(s.nodes_before, s.nodes_after)});
  std::string uncounted =
      s.uncounted_nodes > 0 ? fmt::format(" (+ {} nodes)", s.uncounted_nodes) : "";
  table.Row({"multiply-adds", FormatCount(s.multiply_adds_before),
             FormatCount(s.multiply_adds_after) + uncounted,
             Change(s.multiply_adds_before, s.multiply_adds_after)});
  table.Row({"file", FormatBytes(s.source_bytes), FormatBytes(s.file_bytes),
             Change(s.source_bytes, s.file_bytes)});
  table.Row({"parameters", "", FormatCount(static_cast<double>(s.parameters)), ""});
  table.Print();
  PrintOperators(s);
  if (!s.rules.empty()) PrintRules(s);
  if (s.verified) {
    const VerifySummary& v = *s.verified;
    fmt::print("\nverified: {} changes keep the numbers, largest error {:.1e}{}{}; {}, seed {}\n",
               v.changes, v.largest_error, v.largest_error_at.empty() ? "" : " at ",
               v.largest_error_at, v.inputs, v.seed);
  }
  for (const std::string& w : s.warnings) fmt::print(stderr, "sula: note: {}\n", w);
}

Status Run(const Options& o) {
  if (o.list_rules) {
    Table table({{"rule"}, {"what it does"}});
    for (const RuleInfo& r : Rules()) table.Row({r.name, r.summary});
    table.Print();
    return {};
  }
  ConvertOptions options;
  for (const std::string& text : o.input_shapes) {
    auto shape = ParseInputShape(text);
    if (!shape) return shape.error();
    if (shape->first.empty())
      return Status(Code::kInvalidArgument,
                    fmt::format("'{}' is not of the form name=1,3,224,224", text));
    options.input_shapes[shape->first] = shape->second;
  }
  for (const std::string& text : o.input_values) {
    auto value = ParseInputValue(text);
    if (!value) return value.error();
    options.input_values.insert(std::move(value).value());
  }
  options.disabled_rules.insert(o.disable.begin(), o.disable.end());
  options.stop_after = o.stop_after;
  options.dump_ir = o.dump_ir;
  options.image_inputs = ImageTexts(o.image);
  options.preprocess = ImageTexts(o.preprocess);
  if (!o.labels.empty()) {
    Result<std::string> labels = ReadLabels(o.labels);
    if (!labels) return labels.error();
    options.labels = std::move(labels).value();
  }
  options.verify = o.verify;
  options.verify_seed = o.verify_seed;
  auto start = std::chrono::steady_clock::now();
  Result<ConvertSummary> summary = [&] {
    Progress progress(o.json);
    options.on_progress = ShowConversion(progress);
    return Convert(o.files, o.output, options);
  }();
  if (!summary) return summary.error();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (o.json) {
    PrintJson(*summary, seconds);
  } else {
    PrintSummary(*summary, o.output, seconds);
  }
  return {};
}

}  // namespace

void AddConvert(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  Options& o = *options;
  CLI::App& c = *app.add_subcommand("convert", "Convert a trained model to a .sula file");
  auto* files = c.add_option("FILE", o.files,
                             "The source model: .onnx; Caffe's .prototxt and .caffemodel, in any "
                             "order; or a .sula file");
  auto* output = c.add_option("-o,--output", o.output, "The .sula file to write")->type_name("OUT");
  c.add_option("--input-shape", o.input_shapes,
               "Replace the shape of an input: name=1,3,224,224; a size may be a name "
               "(batch), then it is free. May be given several times")
      ->type_name("NAME=SIZES")
      ->allow_extra_args(false)
      ->take_all();
  c.add_option("--input-value", o.input_values,
               "Fix the value of an input: sr=16000, or as many numbers as it has elements. What "
               "depends on it alone is computed now, and an If becomes the branch that is taken. "
               "May be given several times")
      ->type_name("NAME=NUMBERS")
      ->allow_extra_args(false)
      ->take_all();
  c.add_option("--disable", o.disable, "Leave out an optimizer rule. May be given several times")
      ->type_name("RULE")
      ->allow_extra_args(false)
      ->take_all()
      ->delimiter(',');
  c.add_option("--stop-after", o.stop_after, "Stop the optimizer after N changes (0: none)")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  c.add_option("--dump-ir", o.dump_ir, "Write the final graph to this file as text")
      ->type_name("FILE");
  auto* verify = c.add_flag("--verify", o.verify,
                            "Run the model before and after every change of the optimizer, and "
                            "name the first rule that alters its results");
  c.add_option("--verify-seed", o.verify_seed, "Where the inputs of --verify come from (default 1)")
      ->type_name("N")
      ->needs(verify);
  AddImageOption(c, o.image, "Store how pictures become the model's input, for sula run");
  c.add_option("--preprocess", o.preprocess,
               "Make pre-processing part of the model: its input then takes uint8 pictures [N, "
               "height, width, channels], which it resizes, reorders and normalises itself. "
               "SETTINGS as for --image, and \"from=rgb|bgr|rgba|bgra|gray\" (what the pictures "
               "hold), \"picture=WxH\" (their size; left out: any)")
      ->type_name("[NAME=]SETTINGS")
      ->allow_extra_args(false)
      ->take_all();
  c.add_option("--labels", o.labels, "Store the names of the classes, one per line of this file")
      ->type_name("FILE");
  auto* list = c.add_flag("--list-rules", o.list_rules, "Show the optimizer's rules and stop");
  c.add_flag("--json", o.json, "Print the summary as JSON");
  c.final_callback([options, files, output, list, &exit_code] {
    if (list->empty() && files->empty()) throw CLI::RequiredError("FILE");
    if (list->empty() && output->empty()) throw CLI::RequiredError("--output");
    exit_code = Report(Run(*options));
  });
}

}  // namespace sula::cli
