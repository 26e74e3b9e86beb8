// Element-wise operators that are neither plain unary nor plain binary: Identity, Cast, Clip,
// Where; and the activation that a node computes.
#include "ops/elementwise.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/elements.h"
#include "ops/elementwise_loops.h"
#include "ops/sizes.h"
#include "ops/strided.h"
#include "tensor/shape.h"

namespace sula {
namespace {

constexpr Port kAnyX[] = {{"x", "any shape"}};
constexpr Port kAnyY[] = {{"y", "shape and type of x"}};
constexpr Port kCastY[] = {{"y", "shape of x"}};
constexpr Port kClipInputs[] = {
    {"x", "any shape", kNumbers},
    {"min", "scalar of the type of x; absent: no bound", kNumbers, Arity::kOptional},
    {"max", "scalar of the type of x; absent: no bound", kNumbers, Arity::kOptional}};
constexpr Port kClipY[] = {{"y", "shape and type of x", kNumbers}};
constexpr Port kWhereInputs[] = {{"condition", "broadcast with x and y", kBools},
                                 {"x", "taken where the condition is true"},
                                 {"y", "taken where it is false; type of x"}};
constexpr Port kWhereOutputs[] = {{"z", "the broadcast shape; type of x"}};

constexpr Field kCastFields[] = {
    MakeField<&CastParams::to>("to", "the element type of y"),
    MakeField<&CastParams::saturate>("saturate", "for 8-bit floats, which sula does not have")};

constexpr uint32_t kTraits = kElementwise | kInPlace | kLayoutAgnostic;

// ---- Identity

Status InferIdentity(InferContext& ctx) {
  RETURN_IF_ERROR(InferLikeInput(ctx));
  ForwardContents(ctx);
  return {};
}

Status EvaluateIdentity(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  if (x.bytes() > 0) std::memmove(y->mutable_raw(), x.raw(), x.bytes());
  return {};
}

// ---- Cast

Status InferCast(InferContext& ctx) {
  const DType to = ctx.params<CastParams>().to;
  ctx.SetOutput(0, {to, ctx.input(0).shape});
  if (to == DType::kInt64 || to == DType::kInt32 || to == DType::kFloat32) ForwardContents(ctx);
  return {};
}

Status EvaluateCast(EvalContext& ctx) {
  if (ctx.params<CastParams>().to == ctx.input(0).dtype()) return EvaluateIdentity(ctx);
  if (IsFloat(ctx.input(0).dtype())) return MapDoubles(ctx, [](double*, int64_t) {});
  return MapInts(ctx, [](int64_t*, int64_t) {});
}

// ---- Clip

Status InferClip(InferContext& ctx) {
  RETURN_IF_ERROR(CheckSameType(ctx, {0, 1, 2}));
  RETURN_IF_ERROR(CheckOneElement(ctx, 1, "min"));
  RETURN_IF_ERROR(CheckOneElement(ctx, 2, "max"));
  return InferLikeInput(ctx);
}

Status EvaluateClip(EvalContext& ctx) {
  // InferredOutput has checked that the bounds have one element.
  if (IsFloat(ctx.input(0).dtype())) {
    return MapDoubles(ctx, [&](double* x, int64_t n) {
      const double infinity = std::numeric_limits<double>::infinity();
      const double low = ctx.HasInput(1) ? ctx.input(1).AsDouble(0) : -infinity;
      const double high = ctx.HasInput(2) ? ctx.input(2).AsDouble(0) : infinity;
      for (int64_t i = 0; i < n; ++i) {
        const double raised = x[i] < low ? low : x[i];
        x[i] = raised > high ? high : raised;
      }
    });
  }
  return MapInts(ctx, [&](int64_t* x, int64_t n) {
    const int64_t low = ctx.HasInput(1) ? ctx.input(1).AsInt(0) : INT64_MIN;
    const int64_t high = ctx.HasInput(2) ? ctx.input(2).AsInt(0) : INT64_MAX;
    for (int64_t i = 0; i < n; ++i) x[i] = std::min(std::max(x[i], low), high);
  });
}

// ---- Where

// Follows sizes through Where(Equal(shape, -1), ones, shape), which exporters write for Expand.
void SelectContents(InferContext& ctx, const Shape& z) {
  const auto condition = KnownNumbers(ctx, 0);
  const auto x = KnownInts(ctx, 1), y = KnownInts(ctx, 2);
  if (!condition || !x || !y || z.rank() > 1) return;
  const auto n = z.NumElements().TryValue();
  if (!n || *n > kMaxContents) return;
  std::vector<Dim> contents;
  for (int64_t i = 0; i < *n; ++i) {
    const auto at = [i](const auto& list) { return list[list.size() == 1 ? 0 : i]; };
    contents.push_back(at(*condition) ? at(*x) : at(*y));
  }
  ctx.SetOutputContents(0, std::move(contents));
}

Status InferWhere(InferContext& ctx) {
  RETURN_IF_ERROR(CheckSameType(ctx, {1, 2}));
  const DType type = ctx.InputType(1);
  ctx.SetOutput(0, {type, std::nullopt});
  ASSIGN_OR_RETURN(Shape condition, ctx.InputShape(0));
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(1));
  ASSIGN_OR_RETURN(Shape y, ctx.InputShape(2));
  ASSIGN_OR_RETURN(Shape xy, BroadcastShapes(x, y));
  ASSIGN_OR_RETURN(Shape z, BroadcastShapes(condition, xy));
  ctx.SetOutput(0, {type, z});
  if (!IsFloat(type)) SelectContents(ctx, z);
  return {};
}

Status EvaluateWhere(EvalContext& ctx) {
  const Tensor& x = ctx.input(1);
  const Tensor& y = ctx.input(2);
  const bool* condition = ctx.data<bool>(0).data();
  ASSIGN_OR_RETURN(Tensor * z, ctx.InferredOutput(0));
  const int64_t bytes = static_cast<int64_t>(SizeOf(x.dtype()));
  std::byte* out = z->mutable_raw();
  ForEachRow(z->dims(),
             {BroadcastStrides(ctx.input(0).dims(), z->dims()),
              BroadcastStrides(x.dims(), z->dims()), BroadcastStrides(y.dims(), z->dims())},
             [&](std::span<const int64_t> offsets, std::span<const int64_t> steps, int64_t n) {
               for (int64_t i = 0; i < n; ++i, out += bytes) {
                 const int from = condition[offsets[0] + i * steps[0]] ? 1 : 2;
                 const Tensor& source = from == 1 ? x : y;
                 std::memcpy(out, source.raw() + (offsets[from] + i * steps[from]) * bytes, bytes);
               }
             });
  return {};
}

// The value of an optional constant bound; nothing if it is there but unknown or not float32.
std::optional<float> Bound(const Node& node, std::span<const Tensor* const> constants, size_t i,
                           float absent) {
  if (!node.HasInput(i)) return absent;
  const Tensor* t = i < constants.size() ? constants[i] : nullptr;
  if (!t || t->dtype() != DType::kFloat32 || t->num_elements() != 1) return std::nullopt;
  return t->data<float>()[0];
}

std::optional<Activation> ClipActivation(const Node& node,
                                         std::span<const Tensor* const> constants) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto low = Bound(node, constants, 1, -infinity);
  const auto high = Bound(node, constants, 2, infinity);
  if (!low || !high) return std::nullopt;
  if (*low == 0 && *high == infinity) return Activation{.kind = ActivationKind::kRelu};
  return Activation{.kind = ActivationKind::kClip, .a = *low, .b = *high};
}

}  // namespace

std::optional<Activation> AsActivation(const Node& node, std::span<const Tensor* const> constants) {
  using enum ActivationKind;
  if (node.Is(op::kRelu)) return Activation{.kind = kRelu};
  if (node.Is(op::kSigmoid)) return Activation{.kind = kSigmoid};
  if (node.Is(op::kTanh)) return Activation{.kind = kTanh};
  if (node.Is(op::kHardSwish)) return Activation{.kind = kHardSwish};
  if (node.Is(op::kClip)) return ClipActivation(node, constants);
  if (node.Is(op::kGelu) && !node.As<GeluParams>().tanh) return Activation{.kind = kGelu};
  if (node.Is(op::kLeakyRelu))
    return Activation{.kind = kLeakyRelu, .a = node.As<AlphaParams>().alpha};
  if (node.Is(op::kSwish)) return Activation{.kind = kSwish, .a = node.As<AlphaParams>().alpha};
  if (node.Is(op::kHardSigmoid)) {
    const auto& p = node.As<AlphaParams>();
    return Activation{.kind = kHardSigmoid, .a = p.alpha, .b = p.beta};
  }
  return std::nullopt;
}

namespace op {

constinit const OpDef kIdentity = {.name = "Identity",
                                   .summary = "y = x",
                                   .inputs = kAnyX,
                                   .outputs = kAnyY,
                                   .infer = InferIdentity,
                                   .evaluate = EvaluateIdentity,
                                   .traits = kTraits | kDataMovement | kReinterpret};

constinit const OpDef kCast = {
    .name = "Cast",
    .summary =
        "y = x in another element type. Float to integer cuts towards zero and saturates "
        "(NaN gives 0), integer to narrower integer wraps, anything to bool is x != 0",
    .inputs = kAnyX,
    .outputs = kCastY,
    .fields = kCastFields,
    .default_params = DefaultParams<CastParams>,
    .build_params = BuildParams<CastParams>,
    .infer = InferCast,
    .evaluate = EvaluateCast,
    .cost = ElementwiseCost,
    .traits = kElementwise | kLayoutAgnostic};

constinit const OpDef kClip = {.name = "Clip",
                               .summary = "y = min(max(x, min), max); max where min > max",
                               .inputs = kClipInputs,
                               .outputs = kClipY,
                               .infer = InferClip,
                               .evaluate = EvaluateClip,
                               .cost = ElementwiseCost,
                               .traits = kTraits};

constinit const OpDef kWhere = {.name = "Where",
                                .summary = "z = condition ? x : y, broadcast",
                                .inputs = kWhereInputs,
                                .outputs = kWhereOutputs,
                                .infer = InferWhere,
                                .evaluate = EvaluateWhere,
                                .cost = ElementwiseCost,
                                .traits = kElementwise | kLayoutAgnostic};

}  // namespace op
}  // namespace sula
