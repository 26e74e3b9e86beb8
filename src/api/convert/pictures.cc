#include "api/convert/pictures.h"

#include "api/graph_facts.h"
#include "sula/image.h"

namespace sula {
namespace {

Status StoreImageInput(const std::string& given, const std::string& text, Graph& graph) {
  ASSIGN_OR_RETURN(const std::string name, PictureInputName(given, graph));
  const ModelInfo carried{.metadata = graph.metadata};
  ASSIGN_OR_RETURN(const std::optional<ImageInput> base, StoredImageInput(carried, name));
  const ValueInfo input = DescribeValue(graph.value(*graph.FindValue(name)));
  ASSIGN_OR_RETURN(const ImageInput spec, ChooseImageInput(text, input, base));
  RETURN_IF_ERROR(CheckImageInput(spec, input));
  graph.metadata[StrCat(kImageMetadataPrefix, name)] = ToString(spec);
  return {};
}

}  // namespace

Result<std::string> PictureInputName(const std::string& given, const Graph& graph) {
  std::string name = given;
  if (name.empty()) {
    if (graph.inputs().size() != 1)
      return InvalidArgument("picture settings need the name of their input: the model has ",
                             graph.inputs().size(), " inputs");
    name = graph.value(graph.inputs()[0]).name;
  }
  RETURN_IF_ERROR(CheckIsInput(graph, name));
  return name;
}

Status StorePictures(const ConvertOptions& options, Graph& graph) {
  for (const auto& [name, text] : options.image_inputs)
    RETURN_IF_ERROR(StoreImageInput(name, text, graph));
  if (options.labels.empty()) return {};
  ASSIGN_OR_RETURN(const std::vector<std::string> labels, ParseLabels(options.labels));
  std::string& stored = graph.metadata[std::string(kLabelsMetadata)];
  stored.clear();
  for (const std::string& label : labels) stored += (stored.empty() ? "" : "\n") + label;
  return {};
}

}  // namespace sula
