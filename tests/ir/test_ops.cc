#include "ir/test_ops.h"

namespace sula::test {
namespace {

constexpr Port kX[] = {{"x", ""}};
constexpr Port kXY[] = {{"x", ""}, {"y", "", kAllTypes, Arity::kOptional}};
constexpr Port kAB[] = {{"a", ""}, {"b", ""}};
constexpr Port kMany[] = {{"x", "", kAllTypes, Arity::kVariadic}};
constexpr Port kInts[] = {{"x", "", kIndices}};
constexpr Port kIntList[] = {{"x", "", kIndices, Arity::kVariadic}};
constexpr Port kFloat[] = {{"y", "", Bit(DType::kFloat32)}};
constexpr Port kInt64[] = {{"y", "", Bit(DType::kInt64)}};
constexpr Port kCondition[] = {{"cond", "", kBools}};

constexpr Field kKnobFields[] = {
    MakeField<&KnobParams::axis>("axis", ""),     MakeField<&KnobParams::scale>("scale", ""),
    MakeField<&KnobParams::flip>("flip", ""),     MakeField<&KnobParams::to>("to", ""),
    MakeField<&KnobParams::text>("text", ""),     MakeField<&KnobParams::ints>("ints", ""),
    MakeField<&KnobParams::floats>("floats", ""), MakeField<&KnobParams::strings>("strings", ""),
    MakeField<&KnobParams::small>("small", ""),
};

Status InferCopy(InferContext& ctx) {
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  for (int i = 0; i < ctx.num_outputs(); ++i) ctx.SetOutput(i, {ctx.InputType(0), x});
  if (auto contents = ctx.InputContents(0)) ctx.SetOutputContents(0, *contents);
  return {};
}

Status InferJoin(InferContext& ctx) {
  if (ctx.InputType(0) != ctx.InputType(1)) {
    return InvalidModel("inputs of type ", Name(ctx.InputType(0)), " and ", Name(ctx.InputType(1)));
  }
  ASSIGN_OR_RETURN(Shape a, ctx.InputShape(0));
  ASSIGN_OR_RETURN(Shape b, ctx.InputShape(1));
  ASSIGN_OR_RETURN(Shape y, BroadcastShapes(a, b));
  ctx.SetOutput(0, {ctx.InputType(0), std::move(y)});
  return {};
}

Status InferShapeOf(InferContext& ctx) {
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  ctx.SetOutput(0, {DType::kInt64, Shape{x.rank()}});
  ctx.SetOutputContents(0, x.dims());
  return {};
}

Status InferFill(InferContext& ctx) {
  ASSIGN_OR_RETURN(Shape list, ctx.InputShape(0));
  if (auto contents = ctx.InputContents(0)) {
    ctx.SetOutput(0, {DType::kFloat32, Shape(*contents)});
  } else if (list[0].is_const()) {
    std::vector<Dim> dims;
    for (int64_t i = 0; i < list[0].value(); ++i) dims.push_back(ctx.FreshSymbol());
    ctx.SetOutput(0, {DType::kFloat32, Shape(dims)});
  }
  return {};
}

Status InferGather(InferContext& ctx) {
  Dim total = 0;
  std::optional<std::vector<Dim>> all = std::vector<Dim>();
  for (int i = 0; i < ctx.num_inputs(); ++i) {
    ASSIGN_OR_RETURN(Shape x, ctx.InputShape(i));
    total = total + x[0];
    auto contents = ctx.InputContents(i);
    if (!contents) all.reset();
    if (all) all->insert(all->end(), contents->begin(), contents->end());
  }
  ctx.SetOutput(0, {ctx.InputType(0), Shape{total}});
  if (all) ctx.SetOutputContents(0, *all);
  return {};
}

Status InferUnknown(InferContext& ctx) {
  ctx.SetOutput(0, {ctx.InputType(0), std::nullopt});
  return {};
}

Status InferCast(InferContext& ctx) {
  ASSIGN_OR_RETURN(Shape x, ctx.InputShape(0));
  ctx.SetOutput(0, {DType::kInt64, x});
  return {};
}

Status InferFound(InferContext& ctx) {
  ctx.SetOutput(0, {DType::kInt64, Shape{ctx.FreshSymbol()}});
  return {};
}

Status InferBranch(InferContext& ctx) {
  const Graph& body = ctx.node().subgraphs[0];
  ctx.SetOutput(0, body.value(body.outputs()[0]).type);
  return {};
}

}  // namespace

constinit const OpDef kJoin = {
    .name = "Join", .inputs = kAB, .outputs = kX, .infer = InferJoin, .traits = kCommutative};
constinit const OpDef kCopy = {.name = "Copy", .inputs = kX, .outputs = kX, .infer = InferCopy};
constinit const OpDef kKnob = {.name = "Knob",
                               .inputs = kXY,
                               .outputs = kX,
                               .fields = kKnobFields,
                               .default_params = DefaultParams<KnobParams>,
                               .build_params = BuildParams<KnobParams>,
                               .infer = InferCopy};
constinit const OpDef kShapeOf = {
    .name = "ShapeOf", .inputs = kX, .outputs = kInt64, .infer = InferShapeOf};
constinit const OpDef kFill = {
    .name = "Fill", .inputs = kInts, .outputs = kFloat, .infer = InferFill};
constinit const OpDef kPieces = {
    .name = "Pieces", .inputs = kX, .outputs = kMany, .infer = InferCopy};
constinit const OpDef kGather = {
    .name = "Gather", .inputs = kIntList, .outputs = kInts, .infer = InferGather};
constinit const OpDef kUnknown = {
    .name = "Unknown", .inputs = kX, .outputs = kX, .infer = InferUnknown};
constinit const OpDef kCast = {.name = "Cast", .inputs = kX, .outputs = kInt64, .infer = InferCast};
constinit const OpDef kFound = {.name = "Found",
                                .inputs = kX,
                                .outputs = kInt64,
                                .infer = InferFound,
                                .traits = kDataDependentShape};
constinit const OpDef kShout = {
    .name = "Shout", .inputs = kX, .outputs = kX, .infer = InferCopy, .traits = kImpure};
constinit const OpDef kBranch = {.name = "Branch",
                                 .inputs = kCondition,
                                 .outputs = kX,
                                 .infer = InferBranch,
                                 .num_subgraphs = 2};

Catalogue TestOps() {
  static constexpr const OpDef* kOps[] = {&kJoin, &kCopy,   &kKnob,   &kShapeOf,
                                          &kFill, &kPieces, &kGather, &kUnknown,
                                          &kCast, &kFound,  &kShout,  &kBranch};
  return kOps;
}

}  // namespace sula::test
