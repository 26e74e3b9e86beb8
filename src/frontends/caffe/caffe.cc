#include "frontends/caffe/caffe.h"

#include <algorithm>
#include <optional>

#include "base/mapped_file.h"
#include "base/status.h"
#include "frontends/caffe/importer.h"
#include "frontends/caffe/net_text.h"
#include "frontends/caffe/weights.h"

namespace sula {
namespace {

bool IsMap(const Graph& graph, ValueId v) {
  const auto& shape = graph.value(v).type.shape;
  return shape && shape->rank() == 4;
}

// Whether height and width of a map are both 1.
bool IsOnePixel(const Graph& graph, ValueId v) {
  return IsMap(graph, v) && (*graph.value(v).type.shape)[2] == 1 &&
         (*graph.value(v).type.shape)[3] == 1;
}

// Whether height and width of a map depend on the input's.
bool IsFree(const Graph& graph, ValueId v) {
  return IsMap(graph, v) && !(*graph.value(v).type.shape)[2].is_const() &&
         !(*graph.value(v).type.shape)[3].is_const();
}

// The shapes of the inputs with free height and width.
std::map<std::string, Shape> FreeSizes(const Graph& graph) {
  std::map<std::string, Shape> shapes;
  for (ValueId v : graph.inputs()) {
    const Value& value = graph.value(v);
    if (!IsMap(graph, v)) continue;
    Shape shape = *value.type.shape;
    shape[2] = Dim::Symbol(value.name + "_height");
    shape[3] = Dim::Symbol(value.name + "_width");
    shapes.emplace(value.name, std::move(shape));
  }
  return shapes;
}

// A net whose outputs are all maps of one pixel is declared for one window, as the first of a
// cascade of detectors is, but made to slide over images of any size.
std::optional<Graph> ForAnySize(const Graph& graph, const caffe::Net& net,
                                const caffe::Weights& weights) {
  auto all = [](const Graph& g, bool (*holds)(const Graph&, ValueId)) {
    return std::all_of(g.outputs().begin(), g.outputs().end(),
                       [&](ValueId v) { return holds(g, v); });
  };
  if (!all(graph, IsOnePixel)) return std::nullopt;
  const CaffeOptions options{.input_shapes = FreeSizes(graph), .on_note = nullptr};
  Result<Graph> free = caffe::Importer(net, weights, options).Run();
  if (!free || !all(*free, IsFree)) return std::nullopt;
  for (ValueId v : graph.inputs())
    free->metadata["declared_shape." + graph.value(v).name] = graph.value(v).type.shape->ToString();
  return *std::move(free);
}

Result<Graph> Import(std::string_view prototxt, const std::string& name,
                     std::span<const std::byte> contents, const CaffeOptions& options) {
  ASSIGN_OR_RETURN(const caffe::Net net, caffe::ParseNet(prototxt, name));
  caffe::Weights weights;
  if (!contents.empty()) {
    ASSIGN_OR_RETURN(weights, caffe::Weights::Parse(contents));
  }
  ASSIGN_OR_RETURN(Graph graph, caffe::Importer(net, weights, options).Run());
  if (!options.input_shapes.empty()) return graph;
  std::optional<Graph> free = ForAnySize(graph, net, weights);
  if (!free) return graph;
  if (options.on_note)
    options.on_note(
        "the net is declared for a single window; height and width are left free, so that it "
        "slides over images of any size");
  return *std::move(free);
}

}  // namespace

Result<Graph> ImportCaffe(const std::string& prototxt, const std::string& caffemodel,
                          const CaffeOptions& options) {
  ASSIGN_OR_RETURN(auto text, MappedFile::Open(prototxt));
  std::shared_ptr<const MappedFile> weights;
  if (!caffemodel.empty()) {
    ASSIGN_OR_RETURN(weights, MappedFile::Open(caffemodel));
    if (weights->bytes().empty()) return InvalidModel("the caffemodel '", caffemodel, "' is empty");
  }
  const std::string_view view(reinterpret_cast<const char*>(text->bytes().data()),
                              text->bytes().size());
  Result<Graph> graph =
      Import(view, prototxt, weights ? weights->bytes() : std::span<const std::byte>(), options);
  if (graph) return graph;
  Status status = graph.error();
  if (weights) status.AddContext(StrCat("weights '", caffemodel, "'"));
  return std::move(status).AddContext(StrCat("model '", prototxt, "'"));
}

Result<Graph> ImportCaffeText(std::string_view prototxt, std::span<const std::byte> weights,
                              const CaffeOptions& options) {
  return Import(prototxt, "prototxt", weights, options);
}

}  // namespace sula
