// Pooling.
#include "ops/pool.h"

#include <limits>

#include "frontends/caffe/layer_import.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "ops/shape_ops.h"

namespace sula::caffe {
namespace {

// Windows that Caffe counts along an axis, by its rule of rounding up.
int64_t CountWindows(int64_t in, int64_t pad, int64_t kernel, int64_t stride) {
  const int64_t room = in + 2 * pad - kernel;
  return (room + stride - 1) / stride + 1;
}

bool ReadAxes(LayerImport& n, PoolParams& p) {
  const PoolingParameter& c = n.layer().pooling_param();
  const bool has_both = c.has_kernel_h() && c.has_kernel_w();
  if (c.has_kernel_size() == has_both || c.has_kernel_h() != c.has_kernel_w())
    n.Fail(InvalidModel("kernel_size is needed, or both kernel_h and kernel_w"));
  if (c.has_stride_h() != c.has_stride_w() || (c.has_stride() && c.has_stride_h()))
    n.Fail(InvalidModel("stride is needed, or both stride_h and stride_w"));
  if (c.has_pad_h() != c.has_pad_w() || (c.has_pad() && c.has_pad_h()))
    n.Fail(InvalidModel("pad is needed, or both pad_h and pad_w"));
  p.kernel = {c.has_kernel_h() ? c.kernel_h() : c.kernel_size(),
              c.has_kernel_w() ? c.kernel_w() : c.kernel_size()};
  p.strides = {c.has_stride_h() ? c.stride_h() : c.stride(),
               c.has_stride_w() ? c.stride_w() : c.stride()};
  p.pads = {c.has_pad_h() ? c.pad_h() : c.pad(), c.has_pad_w() ? c.pad_w() : c.pad()};
  p.pads.insert(p.pads.end(), p.pads.begin(), p.pads.begin() + 2);
  for (int i = 0; i < 2; ++i) {
    if (p.kernel[i] < 1 || p.strides[i] < 1)
      n.Fail(InvalidModel("the kernel is ", ToString(p.kernel), " and the stride ",
                          ToString(p.strides), "; both have to be positive"));
    if (p.pads[i] >= p.kernel[i])
      n.Fail(InvalidModel("the padding ", p.pads[i], " is not less than the kernel ", p.kernel[i]));
  }
  return n.ok();
}

// With strides above the kernel and without padding, Caffe's last window may lie behind the input
// altogether; then padding is set so that the window exists. True if there is such a one.
bool KeepEmptyWindows(LayerImport& n, PoolParams& p) {
  if (p.pads[0] > 0 || p.pads[1] > 0) return false;
  if (p.kernel[0] >= p.strides[0] && p.kernel[1] >= p.strides[1]) return false;
  bool found = false;
  Dims ends(2);
  for (int i = 0; i < 2; ++i) {
    const int64_t in = n.KnownSize(n.Bottom(), 2 + i, "a stride above the kernel");
    if (!n.ok() || in < p.kernel[i]) return false;
    const int64_t last = (CountWindows(in, 0, p.kernel[i], p.strides[i]) - 1) * p.strides[i];
    ends[i] = std::max<int64_t>(last + p.kernel[i] - in, 0);
    found |= last >= in;
  }
  if (found) {
    p.pads = {0, 0, ends[0], ends[1]};
    p.ceil_mode = false;
  }
  return found;
}

// The second top of max pooling: where in its plane the maximum lies, as a float.
void EmitMask(LayerImport& n, const PoolParams& p, ValueId x) {
  const int64_t plane = n.KnownCount(x, 2, 4, "the mask of max pooling");
  if (!n.ok()) return;
  const ValueId flat = n.EmitFirst(op::kMaxPool, p, {x}, {"flat_index"})[0];
  const ValueId size = n.Constant(Tensor::Scalar<int64_t>(std::max<int64_t>(plane, 1)), "plane");
  const ValueId index = n.Add(op::kMod, ModParams{}, {flat, size}, "index");
  n.Emit(op::kCast, CastParams{.to = DType::kFloat32}, {index}, 1);
}

void Pooling(LayerImport& n) {
  const PoolingParameter& c = n.layer().pooling_param();
  const ValueId x = n.Bottom();
  n.CheckRank(x, 4, 4);
  if (!n.ok()) return;
  if (c.pool() == STOCHASTIC) return n.Fail(Unsupported("Pooling layers of method STOCHASTIC"));
  const bool max = c.pool() == MAX;
  if (!max && n.num_tops() > 1)
    return n.Fail(InvalidModel("a second top, but only MAX pooling gives a mask"));
  PoolParams p;
  if (c.global_pooling()) {
    if (n.num_tops() == 1)
      return n.Emit(max ? op::kGlobalMaxPool : op::kGlobalAveragePool, NoParams{}, {x});
    p.kernel = {n.KnownSize(x, 2, "the mask"), n.KnownSize(x, 3, "the mask")};
  } else {
    if (!ReadAxes(n, p)) return;
    p.ceil_mode = c.has_ceil_mode() ? c.ceil_mode() : c.round_mode() == PoolingParameter::CEIL;
    p.count_include_pad = !max;
    if (p.ceil_mode && KeepEmptyWindows(n, p)) {
      if (!max || n.num_tops() > 1)
        return n.Fail(Unsupported("Pooling layers with windows that hold no element of the input"));
      // Of such a window Caffe keeps the value that it began with.
      const ValueId y = n.Add(op::kMaxPool, p, {x}, "windows");
      const ValueId least = n.Scalar(std::numeric_limits<float>::lowest(), "least");
      return n.Emit(op::kMax, NoParams{}, {y, least});
    }
  }
  if (!n.ok()) return;
  if (n.num_tops() > 1) return EmitMask(n, p, x);
  n.Emit(max ? op::kMaxPool : op::kAveragePool, p, {x});
}

// Spatial pyramid pooling: level i has 2^i x 2^i windows, rounded and padded as Caffe does.
void Spp(LayerImport& n) {
  const SPPParameter& c = n.layer().spp_param();
  const ValueId x = n.Bottom();
  n.CheckRank(x, 4, 4);
  if (c.pool() == STOCHASTIC) return n.Fail(Unsupported("SPP layers of method STOCHASTIC"));
  constexpr uint32_t kMaxHeight = 20;
  if (c.pyramid_height() < 1 || c.pyramid_height() > kMaxHeight)
    return n.Fail(
        InvalidModel("pyramid_height is ", c.pyramid_height(), ", expected 1 to ", kMaxHeight));
  const int levels = static_cast<int>(c.pyramid_height());
  const Dims in = {n.KnownSize(x, 2, "the pyramid"), n.KnownSize(x, 3, "the pyramid")};
  std::vector<ValueId> rows;
  for (int level = 0; n.ok() && level < levels; ++level) {
    const int64_t bins = int64_t{1} << level;
    PoolParams p;
    p.ceil_mode = true;
    p.count_include_pad = c.pool() == AVE;
    p.pads.resize(4);
    for (int i = 0; i < 2; ++i) {
      const int64_t kernel = (in[i] + bins - 1) / bins;
      const int64_t pad = (kernel * bins - in[i] + 1) / 2;
      if (pad >= kernel)
        return n.Fail(InvalidModel("level ", level, " has more windows than the bottom, of shape ",
                                   n.Sizes(x).ToString(), ", has pixels"));
      p.kernel.push_back(kernel);
      p.pads[i] = p.pads[i + 2] = pad;
    }
    p.strides = p.kernel;
    const OpDef& op = c.pool() == MAX ? op::kMaxPool : op::kAveragePool;
    if (levels == 1) return n.Emit(op, p, {x});
    const std::string suffix = StrCat("level", level);
    const ValueId y = n.Add(op, p, {x}, suffix);
    rows.push_back(n.Add(op::kFlatten, FlattenParams{.axis = 1}, {y}, suffix + "_row"));
  }
  if (n.ok()) n.Emit(op::kConcat, ConcatParams{.axis = 1}, rows);
}

constexpr LayerHandler kHandlers[] = {
    {"Pooling", Pooling, 1, 1, 1, 2},
    {"SPP", Spp},
};

}  // namespace

std::span<const LayerHandler> PoolHandlers() { return kHandlers; }

}  // namespace sula::caffe
