#include "frontends/caffe/caffe.h"

#include "base/mapped_file.h"
#include "base/status.h"
#include "frontends/caffe/importer.h"
#include "frontends/caffe/net_text.h"
#include "frontends/caffe/weights.h"

namespace sula {
namespace {

Result<Graph> Import(std::string_view prototxt, const std::string& name,
                     std::span<const std::byte> contents, const CaffeOptions& options) {
  ASSIGN_OR_RETURN(caffe::Net net, caffe::ParseNet(prototxt, name));
  caffe::Weights weights;
  if (!contents.empty()) {
    ASSIGN_OR_RETURN(weights, caffe::Weights::Parse(contents));
  }
  return caffe::Importer(std::move(net), std::move(weights), options).Run();
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
