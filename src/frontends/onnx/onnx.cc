#include "frontends/onnx/onnx.h"

#include <filesystem>
#include <limits>
#include <memory>

#include "base/mapped_file.h"
#include "base/status.h"
#include "frontends/onnx/importer.h"
#include "onnx_subset.pb.h"

namespace sula {

Result<Graph> ImportOnnx(const std::string& path, const OnnxOptions& options) {
  auto import = [&]() -> Result<Graph> {
    auto model = std::make_shared<onnx::ModelProto>();
    {
      ASSIGN_OR_RETURN(auto file, MappedFile::Open(path));
      std::span<const std::byte> bytes = file->bytes();
      if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()))
        return InvalidModel("the file has ", bytes.size(),
                            " bytes; protobuf ends at 2 GiB: keep the weights in external data");
      if (!model->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
        return InvalidModel("this is no ONNX file, or it is cut short or damaged");
    }
    std::string folder = std::filesystem::path(path).parent_path().string();
    return onnx::Importer(std::move(model), std::move(folder), options).Run();
  };
  Result<Graph> graph = import();
  if (graph) return graph;
  return Status(graph.error()).AddContext(StrCat("model '", path, "'"));
}

}  // namespace sula
