#include "frontends/caffe/weights.h"

#include <algorithm>
#include <limits>

#include "base/status.h"
#include "ops/sizes.h"

namespace sula::caffe {
namespace {

// Largest blob that is believed: beyond it size arithmetic in bytes could overflow.
constexpr int64_t kMaxElements = int64_t{1} << 48;

Result<Dims> ReadDims(const Blob& blob, int64_t stored) {
  Dims dims;
  if (blob.has_shape()) {
    dims.assign(blob.shape().dim().begin(), blob.shape().dim().end());
  } else if (blob.has_num() || blob.has_channels() || blob.has_height() || blob.has_width()) {
    dims = {blob.num(), blob.channels(), blob.height(), blob.width()};
  } else {
    dims = {stored};
  }
  if (dims.size() > kMaxRank) return InvalidModel("its shape has ", dims.size(), " axes");
  int64_t elements = 1;
  for (int64_t d : dims) {
    if (d < 0) return InvalidModel("negative size in shape ", ToString(dims));
    if (__builtin_mul_overflow(elements, std::max<int64_t>(d, 1), &elements) ||
        elements > kMaxElements)
      return InvalidModel("shape ", ToString(dims), " is larger than any tensor");
  }
  if (NumElements(dims) != stored)
    return InvalidModel("its shape is ", ToString(dims), ", which needs ", NumElements(dims),
                        " elements, but it holds ", stored);
  return dims;
}

Result<Tensor> Convert(DType from, Dims dims, const void* data) {
  const Tensor source = Tensor::Borrow(from, dims, data, nullptr);
  ASSIGN_OR_RETURN(Tensor t, Tensor::Create(DType::kFloat32, std::move(dims)));
  std::span<float> out = t.mutable_data<float>();
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(source.AsDouble(static_cast<int64_t>(i)));
  return t;
}

Result<Tensor> ReadRaw(const Blob& blob) {
  static constexpr DType kTypes[] = {DType::kFloat64, DType::kFloat32, DType::kFloat16};
  const int type = blob.raw_data_type();
  if (!blob.has_raw_data_type() || type < 0 || type >= static_cast<int>(std::size(kTypes)))
    return InvalidModel("its raw data are of type ", type,
                        ", not 0, 1 or 2 (float64, float32, float16)");
  const std::string& raw = blob.raw_data();
  const size_t size = SizeOf(kTypes[type]);
  if (raw.size() % size != 0)
    return InvalidModel("its raw data have ", raw.size(), " bytes, no multiple of ", size);
  ASSIGN_OR_RETURN(Dims dims, ReadDims(blob, static_cast<int64_t>(raw.size() / size)));
  return Convert(kTypes[type], std::move(dims), raw.data());
}

Result<Tensor> ReadBlob(const Blob& blob, std::shared_ptr<const WeightFile> file) {
  const int fields = !blob.data().empty() + !blob.double_data().empty() + blob.has_raw_data();
  if (fields > 1) return InvalidModel("it holds its data in more than one form");
  if (blob.has_raw_data()) return ReadRaw(blob);
  if (!blob.double_data().empty()) {
    ASSIGN_OR_RETURN(Dims dims, ReadDims(blob, blob.double_data().size()));
    return Convert(DType::kFloat64, std::move(dims), blob.double_data().data());
  }
  ASSIGN_OR_RETURN(Dims dims, ReadDims(blob, blob.data().size()));
  if (blob.data().empty()) return Tensor::Create(DType::kFloat32, std::move(dims));
  return Tensor::Borrow(DType::kFloat32, std::move(dims), blob.data().data(), std::move(file));
}

}  // namespace

Result<Weights> Weights::Parse(std::span<const std::byte> contents) {
  if (contents.size() > static_cast<size_t>(std::numeric_limits<int>::max()))
    return InvalidModel("the caffemodel has ", contents.size(), " bytes; protobuf ends at 2 GiB");
  auto file = std::make_shared<WeightFile>();
  if (!file->ParseFromArray(contents.data(), static_cast<int>(contents.size())))
    return InvalidModel("this is no caffemodel, or it is cut short or damaged");
  file->DiscardUnknownFields();  // gradients, among others: as large as the weights
  Weights weights;
  weights.file_ = file;
  for (const WeightFile::V1Layer& layer : file->layers()) {
    if (layer.has_layer())
      weights.Note(layer.layer().name(), layer.layer().blobs());
    else
      weights.Note(layer.name(), layer.blobs());
  }
  for (const WeightFile::Layer& layer : file->layer()) weights.Note(layer.name(), layer.blobs());
  return weights;
}

void Weights::Note(const std::string& layer, const Blobs& blobs) {
  if (!blobs.empty()) blobs_.insert_or_assign(layer, &blobs);  // of equal names the last counts
}

Result<std::vector<Tensor>> Weights::Take(const std::string& layer) {
  std::vector<Tensor> tensors;
  auto it = blobs_.find(layer);
  if (it == blobs_.end()) return tensors;
  taken_.insert(layer);
  for (const Blob& blob : *it->second) {
    Result<Tensor> t = ReadBlob(blob, file_);
    if (!t)
      return Status(t.error()).AddContext(
          StrCat("blob ", tensors.size(), " of layer '", layer, "' in the caffemodel"));
    tensors.push_back(*std::move(t));
  }
  return tensors;
}

std::vector<std::string> Weights::NotTaken() const {
  std::vector<std::string> names;
  for (const auto& [name, blobs] : blobs_)
    if (!taken_.contains(name)) names.push_back(name);
  return names;
}

}  // namespace sula::caffe
