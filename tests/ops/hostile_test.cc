// Parameters and sizes that no honest model has: every operator of the dense families answers with
// a status, never with a crash or an overflow (the sanitizer build watches).
#include <limits>

#include "ops/conv.h"
#include "ops/detection.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/pixels.h"
#include "ops/pool.h"
#include "ops/quant.h"
#include "ops/recurrent.h"
#include "ops/resize.h"
#include "ops/run_op.h"
#include "ops/softmax.h"

namespace sula {
namespace {

class Random {
 public:
  explicit Random(uint32_t seed) : state_(seed * 2654435761u + 1) {}
  uint32_t Below(uint32_t n) {
    state_ = state_ * 1664525u + 1013904223u;
    return (state_ >> 8) % n;
  }
  int64_t Number() {
    constexpr int64_t kNumbers[] = {0,
                                    1,
                                    1,
                                    1,
                                    2,
                                    2,
                                    3,
                                    4,
                                    5,
                                    7,
                                    -1,
                                    -2,
                                    int64_t{1} << 30,
                                    int64_t{1} << 31,
                                    int64_t{1} << 40,
                                    int64_t{1} << 62,
                                    std::numeric_limits<int64_t>::max(),
                                    std::numeric_limits<int64_t>::min()};
    return kNumbers[Below(std::size(kNumbers))];
  }
  int64_t Size() { return Below(8) == 0 ? std::max<int64_t>(Number(), 0) : 1 + Below(6); }
  Dims List(uint32_t length) {
    Dims list;
    if (Below(3) == 0) return list;
    for (uint32_t i = 0; i < length; ++i) list.push_back(Below(4) == 0 ? Number() : 1);
    return list;
  }
  Shape AnyShape(uint32_t rank) {
    std::vector<Dim> dims;
    for (uint32_t i = 0; i < rank; ++i)
      dims.push_back(Below(6) == 0 ? Dim::Symbol("S") : Dim(Size()));
    return Shape(std::move(dims));
  }

 private:
  uint32_t state_;
};

TEST(Hostile, InferenceAnswers) {
  int answers = 0, errors = 0;
  const auto infer = [&](const OpDef& op, Params p, InputTypes inputs, Inputs constants = {}) {
    (TryInfer(op, std::move(p), inputs, constants, 1).has_value() ? answers : errors)++;
  };
  for (uint32_t seed = 0; seed < 4000; ++seed) {
    Random r(seed);
    const uint32_t rank = 1 + r.Below(6), spatial = rank > 2 ? rank - 2 : 1;
    const TensorType x = F32(r.AnyShape(rank)), w = F32(r.AnyShape(rank));
    ConvParams conv;
    conv.strides = r.List(spatial), conv.dilations = r.List(spatial),
    conv.pads = r.List(2 * spatial);
    conv.group = r.Below(3) == 0 ? r.Number() : 1;
    conv.auto_pad = static_cast<AutoPad>(r.Below(4));
    infer(op::kConv, Params::Of(conv), {x, w});
    ConvTransposeParams transposed;
    transposed.strides = conv.strides, transposed.dilations = conv.dilations;
    transposed.pads = conv.pads, transposed.group = conv.group, transposed.auto_pad = conv.auto_pad;
    transposed.output_padding = r.List(spatial), transposed.output_shape = r.List(spatial);
    infer(op::kConvTranspose, Params::Of(transposed), {x, w});
    PoolParams pool;
    pool.kernel = r.List(spatial), pool.strides = conv.strides, pool.dilations = conv.dilations;
    pool.pads = conv.pads, pool.auto_pad = conv.auto_pad, pool.ceil_mode = r.Below(2);
    infer(op::kMaxPool, Params::Of(pool), {x});
    infer(op::kMatMul, {}, {x, w});
    infer(op::kSoftmax, Params::Of(SoftmaxParams{r.Number()}), {x});
    infer(op::kLayerNormalization, Params::Of(LayerNormParams{r.Number()}), {x, w});
    infer(op::kGroupNormalization, Params::Of(GroupNormParams{r.Number()}),
          {x, F32(r.AnyShape(1)), F32(r.AnyShape(1))});
    infer(op::kLRN, Params::Of(LrnParams{.size = r.Number()}), {x});
    QuantParams quant;
    quant.axis = r.Number(), quant.block = r.Number();
    infer(op::kQuantizeLinear, Params::Of(quant), {x, F32(r.AnyShape(1 + r.Below(rank)))});
    ResizeParams resize;
    resize.axes = r.List(r.Below(4)), resize.policy = static_cast<AspectPolicy>(r.Below(3));
    const uint32_t count = resize.axes.empty() ? rank : static_cast<uint32_t>(resize.axes.size());
    Tensor sizes(DType::kInt64, {count}), scales(DType::kFloat32, {count});
    for (int64_t& v : sizes.mutable_data<int64_t>()) v = r.Size();
    for (float& v : scales.mutable_data<float>()) v = static_cast<float>(r.Number()) * 0.75f;
    infer(op::kResize, Params::Of(resize),
          {x, std::nullopt, std::nullopt, TensorType{DType::kInt64, Shape({count})}},
          {std::nullopt, std::nullopt, std::nullopt, sizes});
    infer(op::kResize, Params::Of(resize), {x, std::nullopt, F32({count})},
          {std::nullopt, std::nullopt, scales});
    infer(op::kGridSample, {}, {x, w});
    FromPixelsParams pixels;
    pixels.height = r.Number(), pixels.width = r.Number(), pixels.shorter = r.Number();
    pixels.fit = static_cast<ImageFit>(r.Below(4));
    pixels.filter = static_cast<PixelFilter>(r.Below(5));
    pixels.mix.assign(r.Below(4) * r.Below(4), 1.0f), pixels.shift.assign(r.Below(4), 1.0f);
    pixels.fill.assign(r.Below(3), 1.0f);
    infer(op::kFromPixels, Params::Of(pixels), {TensorType{DType::kUInt8, r.AnyShape(4)}});
    LstmParams lstm;
    lstm.direction = static_cast<Direction>(r.Below(3)), lstm.batch_first = r.Below(2);
    lstm.clip = static_cast<float>(r.Number()), lstm.alpha.assign(r.Below(3) * 3, 1.0f);
    infer(op::kLstm, Params::Of(lstm), {F32(r.AnyShape(3)), F32(r.AnyShape(3)), w});
    PriorBoxParams prior;
    prior.min_sizes = {static_cast<float>(r.Number())}, prior.variances = {1};
    const TensorType pair = {DType::kInt64, Shape{2}};
    infer(op::kPriorBox, Params::Of(prior), {pair, pair},
          {Tensor::FromInts({r.Size(), r.Size()}), Tensor::FromInts({r.Number(), 1})});
    DetectionOutputParams detection;
    detection.num_classes = r.Number(), detection.share_location = r.Below(2);
    infer(op::kDetectionOutput, Params::Of(detection),
          {F32(r.AnyShape(2)), F32(r.AnyShape(2)), F32({1, 2, r.Size()})});
  }
  // The generator makes both kinds.
  EXPECT_GT(answers, 4000);
  EXPECT_GT(errors, 4000);
}

}  // namespace
}  // namespace sula
