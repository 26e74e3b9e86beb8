// Weight file (.caffemodel) -> tensors by layer.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "caffe_subset.pb.h"
#include "tensor/tensor.h"

namespace sula::caffe {

class Weights {
 public:
  Weights() = default;  // no file
  // Layers in the form of any version. Errors: kInvalidModel if this is no such file.
  static Result<Weights> Parse(std::span<const std::byte> contents);

  bool has_file() const { return file_ != nullptr; }
  // Whether there are blobs for the layer called so.
  bool Has(const std::string& layer) const { return blobs_.contains(layer); }
  // The blobs of the layer called so, as float32 in the sizes that the file gives; none if the file
  // has no such layer. Memory is borrowed from the parsed file. Errors name blob and sizes.
  Result<std::vector<Tensor>> Take(const std::string& layer);
  // Layers with blobs that nobody took.
  std::vector<std::string> NotTaken() const;

 private:
  using Blobs = google::protobuf::RepeatedPtrField<Blob>;
  void Note(const std::string& layer, const Blobs& blobs);
  std::shared_ptr<const WeightFile> file_;
  std::map<std::string, const Blobs*, std::less<>> blobs_;
  std::set<std::string> taken_;
};

}  // namespace sula::caffe
