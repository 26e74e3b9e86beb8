#include "frontends/caffe/inputs.h"

#include <algorithm>

namespace sula::caffe {
namespace {

using Sizes = std::vector<Dim>;

Shape ToShape(const BlobShape& shape) {
  return Shape(Sizes(shape.dim().begin(), shape.dim().end()));
}

// Channels, where the transformation tells; 0 if it does not.
int64_t Channels(const TransformationParameter& transform) {
  if (transform.force_color()) return 3;
  if (transform.force_gray()) return 1;
  return transform.mean_value_size() > 1 ? transform.mean_value_size() : 0;
}

// Images in a database: sizes are those of the crop, if there is one.
template <class P>
std::optional<Shape> CroppedShape(const Layer& layer, const P& p, int64_t channels) {
  int64_t crop = layer.transform_param().crop_size();
  if (crop == 0) crop = p.crop_size();
  if (crop == 0 || channels == 0 || p.batch_size() == 0) return std::nullopt;
  return Shape{p.batch_size(), channels, crop, crop};
}

std::optional<Shape> ImageShape(const Layer& layer) {
  const ImageDataParameter& p = layer.image_data_param();
  const int64_t channels = p.is_color() ? 3 : 1;
  if (auto cropped = CroppedShape(layer, p, channels)) return cropped;
  if (p.new_height() == 0 || p.new_width() == 0 || p.batch_size() == 0) return std::nullopt;
  return Shape{p.batch_size(), channels, p.new_height(), p.new_width()};
}

// The shape of the images that the layer gives.
std::optional<Shape> DataShape(const Layer& layer) {
  if (layer.type() == "ImageData") return ImageShape(layer);
  if (layer.type() == "WindowData") return CroppedShape(layer, layer.window_data_param(), 3);
  if (layer.type() == "MemoryData") {
    const MemoryDataParameter& p = layer.memory_data_param();
    return Shape{p.batch_size(), p.channels(), p.height(), p.width()};
  }
  if (layer.type() == "HDF5Data") return std::nullopt;
  return CroppedShape(layer, layer.data_param(), Channels(layer.transform_param()));
}

int64_t BatchSize(const Layer& layer) {
  if (layer.has_image_data_param()) return layer.image_data_param().batch_size();
  if (layer.has_window_data_param()) return layer.window_data_param().batch_size();
  if (layer.has_memory_data_param()) return layer.memory_data_param().batch_size();
  if (layer.has_hdf5_data_param()) return layer.hdf5_data_param().batch_size();
  return layer.data_param().batch_size();
}

// One shape for each of `count` blobs, or one for all.
template <class Field>
Status CheckCount(const Field& given, int count, std::string_view what) {
  if (given.size() == 1 || given.size() == count) return {};
  return InvalidModel(given.size(), " values of ", what, " for ", count, " tops");
}

Result<std::vector<InputBlob>> DummyInputs(const Layer& layer) {
  const DummyDataParameter& p = layer.dummy_data_param();
  const int count = layer.top_size();
  std::vector<InputBlob> blobs;
  if (p.shape_size() > 0) RETURN_IF_ERROR(CheckCount(p.shape(), count, "shape"));
  if (p.shape_size() == 0 && p.num_size() > 0)
    for (const auto* field : {&p.num(), &p.channels(), &p.height(), &p.width()})
      RETURN_IF_ERROR(CheckCount(*field, count, "num, channels, height or width"));
  for (int i = 0; i < count; ++i) {
    auto at = [&](const auto& field) { return Dim(field[field.size() == 1 ? 0 : i]); };
    InputBlob blob{layer.top(i), std::nullopt};
    if (p.shape_size() > 0)
      blob.shape = ToShape(p.shape(p.shape_size() == 1 ? 0 : i));
    else if (p.num_size() > 0)
      blob.shape = Shape{at(p.num()), at(p.channels()), at(p.height()), at(p.width())};
    blobs.push_back(std::move(blob));
  }
  return blobs;
}

}  // namespace

bool IsInputLayer(const Layer& layer) {
  static constexpr std::string_view kTypes[] = {
      "AnnotatedData", "Data", "HDF5Data", "ImageData", "Input", "MemoryData", "WindowData"};
  if (layer.type() != "DummyData")
    return std::find(std::begin(kTypes), std::end(kTypes), layer.type()) != std::end(kTypes);
  const auto& fillers = layer.dummy_data_param().data_filler();
  return fillers.empty() || std::any_of(fillers.begin(), fillers.end(),
                                        [](auto& filler) { return filler.type() != "constant"; });
}

Result<std::vector<InputBlob>> InputsOf(const Layer& layer) {
  if (layer.type() == "DummyData") return DummyInputs(layer);
  std::vector<InputBlob> blobs;
  if (layer.type() == "Input") {
    const auto& shapes = layer.input_param().shape();
    if (!shapes.empty()) RETURN_IF_ERROR(CheckCount(shapes, layer.top_size(), "shape"));
    for (int i = 0; i < layer.top_size(); ++i)
      blobs.push_back({layer.top(i), shapes.empty() ? std::nullopt
                                                    : std::optional(ToShape(
                                                          shapes[shapes.size() == 1 ? 0 : i]))});
    return blobs;
  }
  // Images, then labels.
  for (int i = 0; i < layer.top_size(); ++i) {
    InputBlob blob{layer.top(i), std::nullopt};
    if (i == 0) blob.shape = DataShape(layer);
    if (i == 1 && BatchSize(layer) > 0 && layer.type() != "AnnotatedData")
      blob.shape = Shape{BatchSize(layer)};
    blobs.push_back(std::move(blob));
  }
  return blobs;
}

Result<std::vector<InputBlob>> LegacyInputs(const Net& net) {
  const int count = net.input_size();
  const bool has_dims = net.input_dim_size() > 0, has_shapes = net.input_shape_size() > 0;
  if (has_dims && has_shapes) return InvalidModel("the net has both input_dim and input_shape");
  if (has_dims && net.input_dim_size() != 4 * count)
    return InvalidModel("the net has ", count, " inputs and ", net.input_dim_size(),
                        " values of input_dim; each input needs four");
  if (has_shapes && net.input_shape_size() != count)
    return InvalidModel("the net has ", count, " inputs and ", net.input_shape_size(),
                        " values of input_shape");
  std::vector<InputBlob> blobs;
  for (int i = 0; i < count; ++i) {
    InputBlob blob{net.input(i), std::nullopt};
    if (has_shapes) blob.shape = ToShape(net.input_shape(i));
    if (has_dims) {
      auto dims = net.input_dim().begin() + 4 * i;
      blob.shape = Shape(Sizes(dims, dims + 4));
    }
    blobs.push_back(std::move(blob));
  }
  return blobs;
}

std::string Preprocessing(const Layer& layer) {
  std::vector<std::string> steps;
  auto add = [&](std::string_view mean_file, float scale) {
    if (!mean_file.empty()) steps.push_back(StrCat("mean from file '", mean_file, "'"));
    if (scale != 1) steps.push_back(StrCat("scale ", scale));
  };
  const TransformationParameter& t = layer.transform_param();
  if (t.mean_value_size() > 0) {
    std::string mean;
    for (float v : t.mean_value()) mean += StrCat(mean.empty() ? "mean " : ", ", v);
    steps.push_back(std::move(mean));
  }
  add(t.mean_file(), t.scale());
  add(layer.data_param().mean_file(), layer.data_param().scale());
  add(layer.image_data_param().mean_file(), layer.image_data_param().scale());
  add(layer.window_data_param().mean_file(), layer.window_data_param().scale());
  std::string text;
  for (const std::string& step : steps) text += StrCat(text.empty() ? "" : "; ", step);
  return text;
}

}  // namespace sula::caffe
