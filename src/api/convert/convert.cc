// The public functions of sula/convert.h.
#include "sula/convert.h"

#include <filesystem>

#include "api/convert/import.h"
#include "api/convert/pictures.h"
#include "api/convert/preprocess.h"
#include "api/graph_facts.h"
#include "base/mapped_file.h"
#include "format/model_file.h"
#include "ir/text.h"
#include "ops/catalogue.h"
#include "ops/elements.h"
#include "optimizer/optimizer.h"
#include "runtime/session.h"

namespace sula {
namespace {

using Doing = ConvertProgress::Stage;

void Tell(const ConvertOptions& options, Doing stage, int64_t steps, std::string_view detail) {
  if (options.on_progress) options.on_progress({stage, steps, detail});
}

int64_t FileBytes(const std::string& path) {
  std::error_code error;
  auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

Result<std::map<std::string, Shape>> ParseShapes(const ConvertOptions& options) {
  std::map<std::string, Shape> shapes;
  for (const auto& [name, sizes] : options.input_shapes) {
    std::vector<Dim> dims;
    for (const std::string& size : sizes) {
      Result<Dim> dim = Dim::Parse(size);
      if (!dim || dim->TryValue().value_or(0) < 0)
        return InvalidArgument("input shape of '", name, "': '", size,
                               "' is neither a size (0 or more) nor a name");
      dims.push_back(std::move(dim).value());
    }
    shapes.emplace(name, Shape(std::move(dims)));
  }
  return shapes;
}

// Makes constants of the inputs whose values are given.
Status BindValues(const ConvertOptions& options, Graph& graph) {
  for (const auto& [name, values] : options.input_values) {
    RETURN_IF_ERROR(CheckIsInput(graph, name));
    const ValueId input = *graph.FindValue(name);
    const TensorType& type = graph.value(input).type;
    const std::optional<Dims> dims = type.shape ? type.shape->TryConcrete() : std::nullopt;
    if (!dims)
      return InvalidArgument("value of input '", name, "': its type is ", type.ToString(),
                             ", give its shape too");
    const int64_t count = NumElements(*dims);
    if (values.size() != 1 && static_cast<int64_t>(values.size()) != count)
      return InvalidArgument("input '", name, "' has ", count, " elements, but ", values.size(),
                             " values are given");
    ASSIGN_OR_RETURN(Tensor tensor, Tensor::Create(type.dtype, *dims));
    for (int64_t i = 0; i < count; ++i)
      Store(&values[values.size() == 1 ? 0 : static_cast<size_t>(i)], 1, tensor, i);
    graph.ReplaceUses(input, graph.AddConstant(StrCat(name, "_value"), std::move(tensor)));
  }
  if (options.input_values.empty()) return {};
  return InferShapes(graph);
}

Result<Graph> Import(std::span<const std::string> files, const ConvertOptions& options,
                     ConvertSummary& summary) {
  ASSIGN_OR_RETURN(auto shapes, ParseShapes(options));
  Tell(options, Doing::kReading, 0, files.empty() ? "" : files[0]);
  ASSIGN_OR_RETURN(Source source, ImportFiles(files, shapes));
  for (const auto& [name, shape] : shapes) RETURN_IF_ERROR(CheckIsInput(source.graph, name));
  RETURN_IF_ERROR(BindValues(options, source.graph));
  summary.source_format = std::move(source.format);
  summary.source_bytes = source.bytes;
  summary.source_files = std::move(source.files);
  summary.warnings = std::move(source.notes);
  return std::move(source.graph);
}

// What a user may want to know before relying on the result.
std::vector<std::string> Warnings(const Graph& graph) {
  std::vector<std::string> warnings;
  for (ValueId v : graph.inputs()) {
    const TensorType& type = graph.value(v).type;
    if (!type.shape || !type.shape->IsConcrete())
      warnings.push_back(StrCat("input '", graph.value(v).name, "' is ", type.ToString(),
                                ": sizes are taken from each run's inputs"));
  }
  int dynamic = 0;
  std::string first;
  for (NodeId id : graph.TopologicalOrder()) {
    if (!graph.node(id).op->Has(kDataDependentShape)) continue;
    if (dynamic++ == 0) first = Describe(graph, id);
  }
  if (dynamic > 0)
    warnings.push_back(StrCat(dynamic, " node", dynamic > 1 ? "s" : "",
                              " with output sizes that depend on the data, first ", first,
                              ": what follows is planned at run time"));
  return warnings;
}

Result<Graph> ImportAndOptimize(std::span<const std::string> files, const ConvertOptions& options,
                                ConvertSummary& summary) {
  summary = {};
  ASSIGN_OR_RETURN(Graph graph, Import(files, options, summary));
  RETURN_IF_ERROR(StorePictures(options, graph));
  RETURN_IF_ERROR(InsertPreprocessing(options, graph));
  GraphCount before = Count(graph);
  summary.nodes_before = before.nodes;
  summary.multiply_adds_before = before.multiply_adds;
  summary.operators_before = std::move(before.operators);

  OptimizeOptions optimize{
      .disabled = options.disabled_rules, .stop_after = options.stop_after, .on_step = nullptr};
  int64_t steps = 0;
  Tell(options, Doing::kOptimizing, 0, "");
  if (options.on_progress)
    optimize.on_step = [&](const std::string& step, const Graph&) {
      Tell(options, Doing::kOptimizing, ++steps, step);
    };
  optimize.verify = options.verify;
  optimize.verify_seed = options.verify_seed;
  optimize.on_verify = [&](std::string_view what) {
    Tell(options, Doing::kVerifying, steps, what);
  };
  ASSIGN_OR_RETURN(OptimizeReport report, Optimize(graph, optimize));
  graph.Compact();
  if (!options.dump_ir.empty()) {
    std::string text = Print(graph);
    std::span<const std::byte> bytes = std::as_bytes(std::span(text));
    RETURN_IF_ERROR(WriteFileAtomically(options.dump_ir, {&bytes, 1}));
  }

  GraphCount after = Count(graph);
  summary.nodes_after = after.nodes;
  summary.multiply_adds_after = after.multiply_adds;
  summary.uncounted_nodes = after.uncounted_nodes;
  summary.parameters = after.parameters;
  summary.constant_bytes = after.constant_bytes;
  summary.operators = std::move(after.operators);
  summary.rules = std::move(report.counts);
  for (std::string& warning : Warnings(graph)) summary.warnings.push_back(std::move(warning));
  for (std::string& warning : report.warnings) summary.warnings.push_back(std::move(warning));
  if (report.verified) {
    VerifyReport& v = *report.verified;
    summary.verified = {v.seed,
                        std::move(v.inputs),
                        v.checked,
                        v.unchecked,
                        std::move(v.unchecked_reason),
                        v.largest_error,
                        std::move(v.largest_error_at)};
    if (v.unchecked > 0)
      summary.warnings.push_back(StrCat(v.unchecked,
                                        " changes could not be verified, the first "
                                        "because of: ",
                                        summary.verified->unverified_reason));
  }
  return graph;
}

}  // namespace

Result<ConvertSummary> Convert(std::span<const std::string> files, const std::string& output,
                               const ConvertOptions& options) {
  ConvertSummary summary;
  ASSIGN_OR_RETURN(Graph graph, ImportAndOptimize(files, options, summary));
  Tell(options, Doing::kWriting, 0, output);
  RETURN_IF_ERROR(WriteModelFile(graph, output));
  summary.file_bytes = FileBytes(output);
  return summary;
}

Result<std::shared_ptr<const Model>> ConvertInMemory(std::span<const std::string> files,
                                                     const ConvertOptions& options,
                                                     ConvertSummary* summary) {
  ConvertSummary unused;
  ASSIGN_OR_RETURN(Graph graph, ImportAndOptimize(files, options, summary ? *summary : unused));
  return Model::FromGraph(std::move(graph));
}

std::vector<RuleInfo> Rules() {
  std::vector<RuleInfo> rules;
  for (const Stage& stage : DefaultPipeline()) {
    if (stage.pass)
      rules.push_back({std::string(stage.pass->name), std::string(stage.pass->summary)});
    for (const Rule* rule : stage.rules)
      rules.push_back({std::string(rule->name), std::string(rule->summary)});
  }
  return rules;
}

}  // namespace sula
