// What the translation of one Caffe layer sees and builds with, and the table of translations.
#pragma once

#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caffe_subset.pb.h"
#include "ops/node_builder.h"

namespace sula::caffe {

// One layer during its translation. Every value is float32 and has a shape of known rank, whose
// sizes are numbers unless the user gave names. Errors are sticky, as NodeBuilder says, so a size
// or an axis that was asked for in vain may be 0: check ok() before computing with it.
class LayerImport : public NodeBuilder {
 public:
  // `blobs`: the layer's weights. `top_names`: the names of the graph values for the tops.
  LayerImport(Graph& graph, const Layer& layer, std::vector<ValueId> bottoms,
              std::vector<Tensor> blobs, std::vector<std::string> top_names);

  // ---- the layer. Parameters are read from the message: n.layer().pooling_param().
  const Layer& layer() const { return layer_; }
  const std::string& type() const { return layer_.type(); }
  int num_bottoms() const { return static_cast<int>(bottoms_.size()); }
  int num_tops() const { return static_cast<int>(tops_.size()); }
  ValueId Bottom(int i = 0) const { return bottoms_[i]; }
  const std::vector<ValueId>& bottoms() const { return bottoms_; }

  // ---- shapes
  Shape Sizes(ValueId v) const { return ShapeOf(v).value_or(Shape()); }
  int Rank(ValueId v) const { return Sizes(v).rank(); }
  // Fails unless the value's rank lies between the two.
  void CheckRank(ValueId v, int least, int most = std::numeric_limits<int>::max());
  // An axis of a parameter, which may count from the end, as one in [0, rank).
  int Axis(int64_t axis, int rank);
  // A size that has to be a number, "for" what is said in `why`; 0 after a failure.
  int64_t KnownSize(ValueId v, int axis, std::string_view why);
  // The product of the sizes from axis `begin` up to `end`, which have to be numbers.
  int64_t KnownCount(ValueId v, int begin, int end, std::string_view why);

  // ---- weights
  int num_blobs() const { return static_cast<int>(blobs_.size()); }
  // Blob i under these sizes, of which one may be -1: what is left. The file may have other axes of
  // size 1 (legacy blobs have four axes always). Fails where the blob is missing or of another
  // shape, naming both; then a tensor of one element comes back.
  Tensor Blob(int i, Dims dims, std::string_view what);
  // The same as a constant called NAME/what.
  ValueId Weights(int i, Dims dims, std::string_view what) {
    return Constant(Blob(i, std::move(dims), what), what);
  }
  // The layer failed because it has fewer blobs than it needs.
  bool lacks_blobs() const { return lacks_blobs_; }

  // ---- building, beside the base's helper nodes
  ValueId Scalar(double value, std::string_view suffix) {
    return NodeBuilder::Scalar(value, DType::kFloat32, suffix);
  }
  // A helper node with several outputs, called NAME/suffix.
  template <class P>
  std::vector<ValueId> AddAll(const OpDef& op, P params, std::vector<ValueId> inputs,
                              std::initializer_list<std::string_view> suffixes) {
    std::vector<std::string> names;
    for (std::string_view suffix : suffixes) names.push_back(HelperName(suffix));
    return AddNode(op, Params::Of(std::move(params)), std::move(inputs), names, names[0]);
  }
  // x under another shape with as many elements. Symbolic sizes have to be those of x at the same
  // axis, but for one.
  ValueId Reshape(ValueId x, const Shape& shape, std::string_view suffix);
  // The same as top `top`.
  void EmitReshape(ValueId x, const Shape& shape, int top = 0);
  // The node that gives top `top`.
  template <class P>
  void Emit(const OpDef& op, P params, std::vector<ValueId> inputs, int top = 0) {
    tops_[top] = AddNode(op, Params::Of(std::move(params)), std::move(inputs), {top_names_[top]},
                         top == 0 ? name() : top_names_[top])[0];
  }
  // The node that gives all tops.
  template <class P>
  void EmitAll(const OpDef& op, P params, std::vector<ValueId> inputs) {
    tops_ = AddNode(op, Params::Of(std::move(params)), std::move(inputs), top_names_, name());
  }
  // The node whose first output is top 0; returns its other outputs, called NAME/suffix.
  template <class P>
  std::vector<ValueId> EmitFirst(const OpDef& op, P params, std::vector<ValueId> inputs,
                                 std::initializer_list<std::string_view> suffixes) {
    std::vector<std::string> names = {top_names_[0]};
    for (std::string_view suffix : suffixes) names.push_back(HelperName(suffix));
    auto outputs = AddNode(op, Params::Of(std::move(params)), std::move(inputs), names, name());
    tops_[0] = outputs[0];
    return {outputs.begin() + 1, outputs.end()};
  }
  // Top `top` is a value that is there already.
  void EmitValue(ValueId v, int top = 0) { tops_[top] = v; }

  // The values of the tops, once the handler has run without error.
  const std::vector<ValueId>& tops() const { return tops_; }

 private:
  // The shape as Reshape takes it: 0 for a size of x, -1 for one to be computed.
  ValueId ReshapeTarget(ValueId x, const Shape& shape, std::string_view suffix);

  const Layer& layer_;
  std::vector<ValueId> bottoms_;
  std::vector<Tensor> blobs_;
  std::vector<std::string> top_names_;
  std::vector<ValueId> tops_;
  bool lacks_blobs_ = false;
};

// Translates one layer: reads parameters, adds nodes, emits all tops.
using Handler = void (*)(LayerImport&);

inline constexpr int kAny = std::numeric_limits<int>::max();

// A row of the table, with the numbers of bottoms and tops that the layer may have.
struct LayerHandler {
  std::string_view type;
  Handler handler;
  int min_bottoms = 1, max_bottoms = 1;
  int min_tops = 1, max_tops = 1;
  bool has_weights = false;  // whatever its parameters and the number of its bottoms
};

// The translation of a layer type; null if there is none.
const LayerHandler* FindHandler(std::string_view type);

// The rows by topic; each is defined in its file.
std::span<const LayerHandler> ConvHandlers();
std::span<const LayerHandler> DetectionHandlers();
std::span<const LayerHandler> ElementwiseHandlers();
std::span<const LayerHandler> MatMulHandlers();
std::span<const LayerHandler> MovementHandlers();
std::span<const LayerHandler> NormHandlers();
std::span<const LayerHandler> PoolHandlers();
std::span<const LayerHandler> RecurrentHandlers();
std::span<const LayerHandler> ReduceHandlers();
std::span<const LayerHandler> ResizeHandlers();

}  // namespace sula::caffe
