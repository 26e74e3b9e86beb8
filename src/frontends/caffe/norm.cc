// Normalisations and softmax.
#include "ops/norm.h"

#include <numeric>

#include "frontends/caffe/broadcast.h"
#include "frontends/caffe/layer_import.h"
#include "ops/elementwise.h"
#include "ops/pool.h"
#include "ops/reduce.h"
#include "ops/softmax.h"

namespace sula::caffe {
namespace {

// The axes [begin, rank).
std::vector<int64_t> AxesFrom(int begin, int rank) {
  std::vector<int64_t> axes(std::max(rank - begin, 0));
  std::iota(axes.begin(), axes.end(), begin);
  return axes;
}

// Mean and variance blobs hold sums; the third blob is what to divide them by.
Tensor Unscaled(LayerImport& n, int i, Dims dims, const char* what) {
  const Tensor sums = n.Blob(i, std::move(dims), what);
  const Tensor factor = n.num_blobs() > 2 ? n.Blob(2, {1}, "factor") : Tensor::Scalar(1.0f);
  const float divisor = factor.data<float>()[0];
  Tensor t(DType::kFloat32, sums.dims());
  std::span<float> out = t.mutable_data<float>();
  for (size_t k = 0; k < out.size(); ++k)
    out[k] =
        divisor == 0 ? 0 : static_cast<float>(sums.AsDouble(static_cast<int64_t>(k)) / divisor);
  return t;
}

// (x - mean) / sqrt(variance + eps) for the mean and variance of x itself over `axes`; without the
// division if there is no eps. `outside`: eps is added to the root instead.
void EmitStandardized(LayerImport& n, ValueId x, std::vector<int64_t> axes,
                      std::optional<float> eps, bool outside) {
  const ReduceParams reduce{.axes = std::move(axes)};
  const BinaryParams p;
  const ValueId mean = n.Add(op::kReduceMean, reduce, {x}, "mean");
  if (!eps) return n.Emit(op::kSub, p, {x, mean});
  const ValueId centred = n.Add(op::kSub, p, {x, mean}, "centred");
  const ValueId square = n.Add(op::kMul, p, {centred, centred}, "square");
  const ValueId variance = n.Add(op::kReduceMean, reduce, {square}, "variance");
  const ValueId epsilon = n.Scalar(*eps, "epsilon");
  ValueId divisor = variance;
  if (!outside) divisor = n.Add(op::kAdd, p, {divisor, epsilon}, "shifted");
  divisor = n.Add(op::kSqrt, NoParams{}, {divisor}, "deviation");
  if (outside) divisor = n.Add(op::kAdd, p, {divisor, epsilon}, "divisor");
  n.Emit(op::kDiv, p, {centred, divisor});
}

void BatchNorm(LayerImport& n) {
  const BatchNormParameter& c = n.layer().batch_norm_param();
  const ValueId x = n.Bottom();
  n.CheckRank(x, 2);
  if (!n.ok()) return;
  if (!c.use_global_stats()) {
    std::vector<int64_t> axes = AxesFrom(2, n.Rank(x));
    axes.insert(axes.begin(), 0);
    return EmitStandardized(n, x, std::move(axes), c.eps(), false);
  }
  const int64_t channels = n.Sizes(x)[1].TryValue().value_or(-1);
  const Tensor mean = Unscaled(n, 0, {channels}, "mean");
  const Tensor variance = Unscaled(n, 1, {channels}, "variance");
  if (!n.ok()) return;
  Tensor ones(DType::kFloat32, mean.dims());
  for (float& one : ones.mutable_data<float>()) one = 1;
  const ValueId scale = n.Constant(ones, "scale");
  const ValueId bias = n.Constant(Tensor(DType::kFloat32, mean.dims()), "bias");
  n.Emit(op::kBatchNormalization, NormParams{.epsilon = c.eps()},
         {x, scale, bias, n.Constant(mean, "mean"), n.Constant(variance, "variance")});
}

void Lrn(LayerImport& n) {
  const LRNParameter& c = n.layer().lrn_param();
  const ValueId x = n.Bottom();
  n.CheckRank(x, 4, 4);
  const int64_t size = c.local_size();
  if (size % 2 == 0) n.Fail(InvalidModel("local_size is ", size, ", expected an odd number"));
  if (!n.ok()) return;
  if (c.norm_region() == LRNParameter::ACROSS_CHANNELS)
    return n.Emit(op::kLRN,
                  LrnParams{.alpha = c.alpha(), .beta = c.beta(), .bias = c.k(), .size = size},
                  {x});
  // x / (1 + alpha * mean of x^2 over size x size pixels, padding included)^beta
  const int64_t pad = (size - 1) / 2;
  const PoolParams window{
      .kernel = {size, size}, .pads = {pad, pad, pad, pad}, .count_include_pad = true};
  const BinaryParams p;
  const ValueId square = n.Add(op::kMul, p, {x, x}, "square");
  const ValueId mean = n.Add(op::kAveragePool, window, {square}, "mean");
  const ValueId scaled = n.Add(op::kMul, p, {mean, n.Scalar(c.alpha(), "alpha")}, "scaled");
  const ValueId base = n.Add(op::kAdd, p, {scaled, n.Scalar(1, "one")}, "base");
  const ValueId factor =
      n.Add(op::kPow, NoParams{}, {base, n.Scalar(-c.beta(), "power")}, "factor");
  n.Emit(op::kMul, p, {x, factor});
}

// Over the pixels of each channel, or of all channels together.
void Mvn(LayerImport& n) {
  const MVNParameter& c = n.layer().mvn_param();
  n.CheckRank(n.Bottom(), c.across_channels() ? 2 : 3);
  if (!n.ok()) return;
  EmitStandardized(n, n.Bottom(), AxesFrom(c.across_channels() ? 1 : 2, n.Rank(n.Bottom())),
                   c.normalize_variance() ? std::optional(c.eps()) : std::nullopt, true);
}

// x / sqrt(sum of x^2 + eps) * scale, over the channels of each pixel or over everything.
void Normalize(LayerImport& n) {
  const NormalizeParameter& c = n.layer().norm_param();
  const ValueId x = n.Bottom();
  n.CheckRank(x, 2);
  if (!n.ok()) return;
  const int rank = n.Rank(x);
  ReduceParams reduce{.axes = {1}};
  if (c.across_spatial()) reduce.axes = AxesFrom(1, rank);
  const BinaryParams p;
  const ValueId sum = n.Add(op::kReduceSumSquare, reduce, {x}, "sum");
  const ValueId shifted = n.Add(op::kAdd, p, {sum, n.Scalar(c.eps(), "epsilon")}, "shifted");
  const ValueId norm = n.Add(op::kSqrt, NoParams{}, {shifted}, "norm");
  const ValueId normal = n.Add(op::kDiv, p, {x, norm}, "normal");
  const int64_t channels = n.Sizes(x)[1].TryValue().value_or(-1);
  const Tensor scale = n.Blob(0, c.channel_shared() ? Dims{} : Dims{channels}, "scale");
  const ValueId along = AlongAxes(n, scale, rank, 1, "scale");
  if (n.ok()) n.Emit(op::kMul, p, {normal, along});
}

void Softmax(LayerImport& n) {
  const int axis = n.Axis(n.layer().softmax_param().axis(), n.Rank(n.Bottom()));
  if (n.ok()) n.Emit(op::kSoftmax, SoftmaxParams{.axis = axis}, {n.Bottom()});
}

constexpr LayerHandler kHandlers[] = {
    {"BatchNorm", BatchNorm},
    {"LRN", Lrn},
    {"MVN", Mvn},
    {"Normalize", Normalize, 1, 1, 1, 1, true},
    {"Softmax", Softmax},
};

}  // namespace

std::span<const LayerHandler> NormHandlers() { return kHandlers; }

}  // namespace sula::caffe
