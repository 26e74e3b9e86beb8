// TensorProto -> Tensor, with external data.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/mapped_file.h"
#include "onnx_subset.pb.h"
#include "tensor/tensor.h"

namespace sula::onnx {

// "float16", "uint16", "string": a TensorProto::Type as ONNX's documentation calls it, for
// messages; "type 99" for numbers that it does not define.
std::string TypeName(int32_t onnx_type);

// The element type for a TensorProto::Type. kUnsupported, naming the type, where sula has none;
// kInvalidModel for numbers that ONNX does not define.
Result<DType> ToDType(int32_t onnx_type);

// Reads the tensors of one model. Raw bytes are borrowed, not copied: from the parsed message, or
// from mapped files in the model's folder.
class TensorReader {
 public:
  // `model` owns the messages that Read will see. `folder` is where external data may lie.
  TensorReader(std::shared_ptr<const ModelProto> model, std::string folder)
      : model_(std::move(model)), folder_(std::move(folder)) {}

  // The tensor; exactly one of the data fields must hold exactly as much as the sizes ask for.
  // Errors: kUnsupported for element types without counterpart; kInvalidModel for negative sizes,
  // wrong lengths, external locations outside the folder; kNotFound and kIo for external files.
  // They don't name the tensor: the caller does.
  Result<Tensor> Read(const TensorProto& proto);

 private:
  Result<Tensor> ReadExternal(const TensorProto& proto, DType dtype, Dims dims, size_t bytes);
  Result<std::shared_ptr<const MappedFile>> OpenExternal(const std::string& location);

  std::shared_ptr<const ModelProto> model_;
  std::string folder_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;
};

}  // namespace sula::onnx
