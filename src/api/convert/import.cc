#include "api/convert/import.h"

#include <algorithm>
#include <filesystem>

#include "api/graph_facts.h"
#include "base/mapped_file.h"
#include "format/model_file.h"
#include "frontends/caffe/caffe.h"
#include "frontends/onnx/onnx.h"
#include "ops/catalogue.h"
#include "sula/convert.h"

namespace sula {
namespace {

namespace fs = std::filesystem;

using SourceShapes = std::map<std::string, Shape>;
using Files = std::span<const std::string>;

Status ImportOneOnnx(Files, const SourceShapes& shapes, Source& source) {
  ASSIGN_OR_RETURN(source.graph, ImportOnnx(source.files[0], {.input_shapes = shapes}));
  return {};
}

Status ImportSula(Files, const SourceShapes& shapes, Source& source) {
  ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(source.files[0]));
  ASSIGN_OR_RETURN(source.graph, ReadModelFile(std::move(file), AllOps()));
  for (const auto& [name, shape] : shapes) RETURN_IF_ERROR(CheckIsInput(source.graph, name));
  return shapes.empty() ? Status() : InferShapes(source.graph, &shapes);
}

// Whether a file of a Caffe model holds weights, not a net: by its contents, then by its name.
Result<bool> HoldsCaffeWeights(const std::string& path) {
  ASSIGN_OR_RETURN(auto file, MappedFile::Open(path));
  if (LooksLikeCaffeWeights(file->bytes())) return true;
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()),
                              file->bytes().size());
  return !LooksLikePrototxt(text) && fs::path(path).extension() == ".caffemodel";
}

// The file of the same name with another suffix, if there is one.
std::string Beside(const std::string& path, const char* suffix) {
  std::error_code ignored;
  const fs::path other = fs::path(path).replace_extension(suffix);
  return fs::is_regular_file(other, ignored) ? other.string() : "";
}

Status ImportCaffePair(Files files, const SourceShapes& shapes, Source& source) {
  std::string net, weights;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(const bool holds_weights, HoldsCaffeWeights(file));
    std::string& part = holds_weights ? weights : net;
    if (!part.empty())
      return InvalidArgument("'", part, "' and '", file, "' both hold ",
                             holds_weights ? "weights" : "a net",
                             "; a Caffe model is one .prototxt and one .caffemodel");
    part = file;
  }
  if (net.empty())
    net = Beside(weights, ".prototxt");
  else if (weights.empty())
    weights = Beside(net, ".caffemodel");
  if (net.empty())
    return InvalidArgument("'", weights,
                           "' holds the weights of a Caffe model alone; give the net as well: sula "
                           "convert net.prototxt ",
                           weights, " -o net.sula");
  source.files = {net};
  if (!weights.empty()) source.files.push_back(weights);
  CaffeOptions options{.input_shapes = shapes, .on_note = nullptr};
  options.on_note = [&](const std::string& note) { source.notes.push_back(note); };
  ASSIGN_OR_RETURN(source.graph, ImportCaffe(net, weights, options));
  return {};
}

struct Format {
  std::string_view name;
  size_t most_files;
  Status (*import)(Files files, const SourceShapes& shapes, Source& source);
};
constexpr Format kFormats[] = {
    {"Caffe", 2, ImportCaffePair},
    {"ONNX", 1, ImportOneOnnx},
    {"sula", 1, ImportSula},
};

constexpr std::string_view kKnown =
    "sula reads .onnx, Caffe's .prototxt with .caffemodel, and .sula models";

}  // namespace

Result<Source> ImportFiles(Files files, const SourceShapes& input_shapes) {
  if (files.empty()) return InvalidArgument("no model file given");
  for (const std::string& file : files)
    if (!fs::exists(file)) return NotFound("no such file: '", file, "'");
  Source source;
  source.format = DetectFormat(files[0]);
  source.files.assign(files.begin(), files.end());
  if (source.format.empty())
    return Unsupported("cannot tell the format of '", files[0], "'; ", kKnown);
  const Format* format = std::find_if(std::begin(kFormats), std::end(kFormats),
                                      [&](const Format& f) { return f.name == source.format; });
  if (format == std::end(kFormats))
    return Unsupported(source.format, " models are not supported ('", files[0], "'); ", kKnown);
  if (files.size() > format->most_files)
    return InvalidArgument("a model of the format ", format->name, " is ",
                           format->most_files == 1 ? "one file" : "two files", "; ", files.size(),
                           " were given");
  RETURN_IF_ERROR(format->import(files, input_shapes, source));
  for (const std::string& file : source.files) {
    std::error_code ignored;
    const auto size = fs::file_size(file, ignored);
    if (!ignored) source.bytes += static_cast<int64_t>(size);
  }
  return source;
}

}  // namespace sula
