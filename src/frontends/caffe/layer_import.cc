#include "frontends/caffe/layer_import.h"

#include <algorithm>

#include "base/status.h"
#include "ops/shape_ops.h"

namespace sula::caffe {
namespace {

// Sizes without the ones, which don't change how elements lie in memory.
Dims WithoutOnes(const Dims& dims) {
  Dims result;
  std::copy_if(dims.begin(), dims.end(), std::back_inserter(result),
               [](int64_t d) { return d != 1; });
  return result;
}

// Replaces the one -1 in `wanted` by what `elements` leaves for it; false if that is not whole.
bool Complete(Dims& wanted, int64_t elements) {
  int64_t known = 1;
  int64_t* open = nullptr;
  for (int64_t& d : wanted) {
    if (d < 0) {
      open = &d;
    } else if (__builtin_mul_overflow(known, d, &known)) {
      return false;
    }
  }
  if (!open) return true;
  if (known == 0 || elements % known != 0) return false;
  *open = elements / known;
  return true;
}

}  // namespace

LayerImport::LayerImport(Graph& graph, const Layer& layer, std::vector<ValueId> bottoms,
                         std::vector<Tensor> blobs, std::vector<std::string> top_names)
    : NodeBuilder(graph, layer.name()),
      layer_(layer),
      bottoms_(std::move(bottoms)),
      blobs_(std::move(blobs)),
      top_names_(std::move(top_names)),
      tops_(top_names_.size(), kNoValue) {}

void LayerImport::CheckRank(ValueId v, int least, int most) {
  const Shape shape = Sizes(v);
  if (shape.rank() >= least && shape.rank() <= most) return;
  Fail(InvalidModel("the bottom has shape ", shape.ToString(), ", the layer needs ",
                    least == most ? "" : "at least ", least, " axes",
                    most == kAny || least == most ? "" : StrCat(" and at most ", most)));
}

int LayerImport::Axis(int64_t axis, int rank) {
  Result<int> result = NormalizeAxis(axis, rank);
  if (result) return *result;
  Fail(result.error());
  return 0;
}

int64_t LayerImport::KnownSize(ValueId v, int axis, std::string_view why) {
  return KnownCount(v, axis, axis + 1, why);
}

int64_t LayerImport::KnownCount(ValueId v, int begin, int end, std::string_view why) {
  if (!ok()) return 0;
  const Shape shape = Sizes(v);
  Dim count = 1;
  for (int i = begin; i < end; ++i) count = count * shape[i];
  if (count.is_const()) return count.value();
  Fail(Unsupported(type(), " layers with a bottom of shape ", shape.ToString(), ": ", why,
                   " needs sizes that are numbers; give them by the input's shape"));
  return 0;
}

Tensor LayerImport::Blob(int i, Dims dims, std::string_view what) {
  const Tensor failed(DType::kFloat32, Dims(dims.size(), 1));
  if (!ok()) return failed;
  if (i >= num_blobs()) {
    lacks_blobs_ = true;
    Fail(InvalidModel("blob ", i, " (", what, ") of ", ToString(dims),
                      " is missing: the layer has ", num_blobs(), " blobs"));
    return failed;
  }
  const Tensor& blob = blobs_[i];
  if (Dims wanted = dims;
      Complete(wanted, blob.num_elements()) && WithoutOnes(wanted) == WithoutOnes(blob.dims()))
    return blob.Reshaped(std::move(wanted));
  Fail(InvalidModel("blob ", i, " (", what, ") has shape ", ToString(blob.dims()),
                    " in the caffemodel, but the prototxt asks for ", ToString(dims)));
  return failed;
}

ValueId LayerImport::ReshapeTarget(ValueId x, const Shape& shape, std::string_view suffix) {
  const Shape from = Sizes(x);
  std::vector<int64_t> target;
  int open = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i].is_const()) {
      if (shape[i].value() < 1) Fail(InvalidModel("a size of ", shape.ToString(), " is below 1"));
      target.push_back(shape[i].value());
    } else if (i < from.rank() && from[i] == shape[i]) {
      target.push_back(0);
    } else {
      target.push_back(-1);
      ++open;
    }
  }
  if (open > 1)
    Fail(Unsupported(type(), " layers that give ", from.ToString(), " the shape ", shape.ToString(),
                     ": sizes have to be numbers; give them by the input's shape"));
  return Constant(target, suffix);
}

ValueId LayerImport::Reshape(ValueId x, const Shape& shape, std::string_view suffix) {
  if (!ok() || Sizes(x) == shape) return x;
  ValueId target = ReshapeTarget(x, shape, StrCat(suffix, "_shape"));
  return ok() ? Add(op::kReshape, ReshapeParams{}, {x, target}, suffix) : x;
}

void LayerImport::EmitReshape(ValueId x, const Shape& shape, int top) {
  ValueId target = ReshapeTarget(x, shape, "shape");
  if (ok()) Emit(op::kReshape, ReshapeParams{}, {x, target}, top);
}

const LayerHandler* FindHandler(std::string_view type) {
  using Topic = std::span<const LayerHandler> (*)();
  static constexpr Topic kTopics[] = {
      ConvHandlers, DetectionHandlers, ElementwiseHandlers, MatMulHandlers, MovementHandlers,
      NormHandlers, PoolHandlers,      RecurrentHandlers,   ReduceHandlers, ResizeHandlers};
  for (Topic topic : kTopics)
    for (const LayerHandler& row : topic())
      if (row.type == type) return &row;
  return nullptr;
}

}  // namespace sula::caffe
