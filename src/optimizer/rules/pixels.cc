// Pictures of bytes that exporters turn into the input of a network by elementary operators.
#include <algorithm>
#include <cmath>

#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/movement.h"
#include "ops/pixels.h"
#include "optimizer/match.h"
#include "optimizer/match_affine.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

constexpr int64_t kMaxChannels = 4;

bool ToPlanes(const Node& transpose) {
  constexpr int64_t kPerm[] = {0, 3, 1, 2};
  return std::ranges::equal(transpose.As<TransposeParams>().perm, kPerm);
}

// The uint8 value that v is cast from, to float32.
std::optional<ValueId> CastPixels(const Graph& g, ValueId v) {
  const NodeId id = ProducedBy(g, v, op::kCast);
  if (id == kNoNode || g.value(v).type.dtype != DType::kFloat32) return std::nullopt;
  const ValueId x = g.node(id).inputs[0];
  if (g.value(x).type.dtype != DType::kUInt8) return std::nullopt;
  return x;
}

// y = scale[c] * x + shift[c] of the last axis of a picture [N, H, W, C].
struct Normalised {
  ValueId x;
  std::vector<double> scale, shift;
};

// v as arithmetic on a cast picture. What lies in between is used nowhere else.
std::optional<Normalised> AsNormalised(const Graph& g, const UseIndex& uses, ValueId v) {
  const Shape* shape = ShapeOf(g, v);
  if (!shape || shape->rank() != 4) return std::nullopt;
  const int64_t channels = (*shape)[3].TryValue().value_or(0);
  if (channels < 1 || channels > kMaxChannels) return std::nullopt;
  const auto count = static_cast<size_t>(channels);
  Normalised n{kNoValue, std::vector<double>(count, 1), std::vector<double>(count, 0)};
  while (uses.Count(v) == 1) {
    if (const std::optional<ValueId> x = CastPixels(g, v)) {
      n.x = *x;
      return n;
    }
    if (g.value(v).producer == kNoNode) return std::nullopt;
    const auto step = AsAffineOfAny(g, g.node(g.value(v).producer), 3);
    if (!step || step->affine.activation.kind != ActivationKind::kNone) return std::nullopt;
    for (size_t c = 0; c < count; ++c) {
      n.shift[c] += n.scale[c] * step->affine.shift[c];
      n.scale[c] *= step->affine.scale[c];
    }
    v = step->x;
  }
  return std::nullopt;
}

bool SetNumbers(FromPixelsParams& p, const std::vector<double>& mix,
                const std::vector<double>& shift) {
  p.mix.assign(mix.begin(), mix.end());
  p.shift.assign(shift.begin(), shift.end());
  const auto finite = [](float v) { return std::isfinite(v); };
  return std::ranges::all_of(p.mix, finite) && std::ranges::all_of(p.shift, finite);
}

std::optional<Patch> RecognisePixels(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  std::optional<Normalised> n;
  if (node.Is(op::kTranspose)) {
    if (!ToPlanes(node)) return std::nullopt;
    n = AsNormalised(g, uses, node.inputs[0]);
  } else {
    // Planes of bytes, then cast.
    const NodeId transpose = ProducedBy(g, node.inputs[0], op::kTranspose);
    const Shape* y = ShapeOf(g, node.outputs[0]);
    if (transpose == kNoNode || uses.Count(node.inputs[0]) != 1 || !y || y->rank() != 4 ||
        !ToPlanes(g.node(transpose)) || !CastPixels(g, node.outputs[0]))
      return std::nullopt;
    const int64_t channels = (*y)[1].TryValue().value_or(0);
    if (channels < 1 || channels > kMaxChannels) return std::nullopt;
    const auto count = static_cast<size_t>(channels);
    n = Normalised{g.node(transpose).inputs[0], std::vector<double>(count, 1),
                   std::vector<double>(count, 0)};
  }
  if (!n) return std::nullopt;
  const size_t channels = n->scale.size();
  std::vector<double> mix(channels * channels, 0);
  for (size_t c = 0; c < channels; ++c) mix[c * channels + c] = n->scale[c];
  FromPixelsParams p;
  if (!SetNumbers(p, mix, n->shift)) return std::nullopt;
  Patch patch(g);
  patch.Replace(node.outputs[0],
                patch.AddNode(op::kFromPixels, Params::Of(std::move(p)), {n->x}, node.name));
  return patch;
}

// The FromPixels that v comes from and that nobody else reads; null if there is none.
const Node* PixelsBehind(const Graph& g, const UseIndex& uses, ValueId v) {
  const NodeId id = ProducedBy(g, v, op::kFromPixels);
  return id != kNoNode && uses.Count(v) == 1 ? &g.node(id) : nullptr;
}

Patch PatchOf(const Graph& g, const Node& node, const Node& pixels, FromPixelsParams p) {
  Patch patch(g);
  patch.Replace(node.outputs[0], patch.AddNode(op::kFromPixels, Params::Of(std::move(p)),
                                               {pixels.inputs[0]}, pixels.name));
  return patch;
}

std::optional<Patch> FoldAffineIntoPixels(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const auto step = AsAffineOfAny(g, node, 1);
  if (!step || step->affine.activation.kind != ActivationKind::kNone) return std::nullopt;
  const Node* pixels = PixelsBehind(g, uses, step->x);
  if (!pixels) return std::nullopt;
  FromPixelsParams p = pixels->As<FromPixelsParams>();
  std::vector<double> mix(p.mix.begin(), p.mix.end()), shift;
  const size_t channels = p.mix.size() / p.shift.size();
  for (size_t o = 0; o < p.shift.size(); ++o) {
    for (size_t c = 0; c < channels; ++c) mix[o * channels + c] *= step->affine.scale[o];
    shift.push_back(p.shift[o] * step->affine.scale[o] + step->affine.shift[o]);
  }
  if (!SetNumbers(p, mix, shift)) return std::nullopt;
  return PatchOf(g, node, *pixels, std::move(p));
}

// The factor along an axis is exactly that of the two sizes.
bool ScaleIsOfSizes(const Graph& g, const Node& resize, const Shape& x, const Shape& y) {
  const Tensor* scales = ConstantInput(g, resize, 2);
  if (!scales || scales->num_elements() == 0) return true;  // by sizes
  if (scales->num_elements() != 4 || !x.IsConcrete()) return false;
  for (int i = 0; i < 4; ++i)
    if (scales->AsDouble(i) * static_cast<double>(x[i].value()) !=
        static_cast<double>(y[i].value()))
      return false;
  return true;
}

// Weights sum to one, so it does not matter what comes first, the resize or the mix and shift.
std::optional<Patch> FoldResizeIntoPixels(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const Node* pixels = PixelsBehind(g, uses, node.inputs[0]);
  const Shape *x = ShapeOf(g, node.inputs[0]), *y = ShapeOf(g, node.outputs[0]);
  if (!pixels || !x || !y || !((*x)[0] == (*y)[0]) || !((*x)[1] == (*y)[1])) return std::nullopt;
  const auto& resize = node.As<ResizeParams>();
  FromPixelsParams p = pixels->As<FromPixelsParams>();
  if (p.fit != ImageFit::kNone || resize.mode != ResizeMode::kLinear || resize.antialias ||
      resize.coordinate != CoordinateMode::kHalfPixel || resize.policy != AspectPolicy::kStretch ||
      !ScaleIsOfSizes(g, node, *x, *y))
    return std::nullopt;
  p.fit = ImageFit::kStretch, p.filter = PixelFilter::kLinear;
  p.height = (*y)[2].TryValue().value_or(0), p.width = (*y)[3].TryValue().value_or(0);
  const auto side = [](int64_t n) { return n >= 1 && n <= kMaxImageSide; };
  if (!side(p.height) || !side(p.width)) return std::nullopt;
  return PatchOf(g, node, *pixels, std::move(p));
}

std::optional<Patch> FoldGatherIntoPixels(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const Node* pixels = PixelsBehind(g, uses, node.inputs[0]);
  const Tensor* indices = ConstantInput(g, node, 1);
  if (!pixels || node.As<AxisParams>().axis != 1 || !indices || indices->rank() != 1 ||
      indices->num_elements() < 1 || indices->num_elements() > kMaxChannels)
    return std::nullopt;
  FromPixelsParams p = pixels->As<FromPixelsParams>();
  const FromPixelsParams before = p;
  const int64_t outs = std::ssize(p.shift), ins = std::ssize(p.mix) / outs;
  p.mix.clear(), p.shift.clear();
  for (int64_t index : indices->ToInts()) {
    if (index < -outs || index >= outs) return std::nullopt;
    const int64_t o = index < 0 ? index + outs : index;
    p.mix.insert(p.mix.end(), before.mix.begin() + o * ins, before.mix.begin() + (o + 1) * ins);
    p.shift.push_back(before.shift[static_cast<size_t>(o)]);
  }
  return PatchOf(g, node, *pixels, std::move(p));
}

constexpr const OpDef* kResizes[] = {&op::kResize};
constexpr const OpDef* kGathers[] = {&op::kGather};
constexpr const OpDef* kRoots[] = {&op::kTranspose, &op::kCast};

}  // namespace

constinit const Rule kRecognisePixels = {
    "recognise-pixels",
    "a picture of bytes [N,H,W,C] that is cast, normalised per channel and transposed to planes -> "
    "FromPixels",
    kRoots, RecognisePixels};
constinit const Rule kFoldAffineIntoPixels = {
    "fold-affine-into-pixels",
    "BN, Mul, Div, Add, Sub by constants per channel of FromPixels(x) -> FromPixels with other "
    "numbers",
    kAffineOps, FoldAffineIntoPixels};
constinit const Rule kFoldResizeIntoPixels = {
    "fold-resize-into-pixels",
    "Resize(FromPixels(x)) {linear, half_pixel} -> FromPixels(x) of that size", kResizes,
    FoldResizeIntoPixels};
constinit const Rule kFoldGatherIntoPixels = {
    "fold-gather-into-pixels",
    "Gather(FromPixels(x)) of channels -> FromPixels(x) with these rows of its mix", kGathers,
    FoldGatherIntoPixels};

}  // namespace sula::rules
