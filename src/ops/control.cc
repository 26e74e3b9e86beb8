#include "ops/control.h"

#include <cstring>

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/sizes.h"

namespace sula {
namespace {

constexpr Port kIfInputs[] = {{"condition", "one element", kBools}};
constexpr Port kLoopInputs[] = {
    {"max_trips", "one element; absent: no limit", Bit(DType::kInt64), Arity::kOptional},
    {"condition", "one element; absent: true", kBools, Arity::kOptional},
    {"carried", "what the first trip begins with", kAllTypes, Arity::kVariadic}};
constexpr Port kOutputs[] = {{"outputs", "as the body gives them", kAllTypes, Arity::kVariadic}};

// ---- shapes of what may come from either of two places

// The type that covers both: sizes that are not the same number become new symbols, or the same
// expression where `symbols_agree` says that symbols mean the same in both.
Result<TensorType> Cover(InferContext& ctx, const TensorType& a, const TensorType& b,
                         bool symbols_agree) {
  if (a.dtype != b.dtype) {
    return InvalidModel("an output is ", a.ToString(), " in one case and ", b.ToString(),
                        " in another");
  }
  if (!a.shape || !b.shape || a.shape->rank() != b.shape->rank())
    return TensorType{a.dtype, std::nullopt};
  std::vector<Dim> dims;
  for (int i = 0; i < a.shape->rank(); ++i) {
    const Dim& d = (*a.shape)[i];
    const bool same = d == (*b.shape)[i] && (symbols_agree || d.is_const());
    dims.push_back(same ? d : ctx.FreshSymbol());
  }
  return TensorType{a.dtype, Shape(std::move(dims))};
}

const TensorType& OutputType(const Graph& body, size_t i) {
  return body.value(body.outputs()[i]).type;
}

Status CheckBodyOutputs(const Graph& body, size_t expected) {
  if (body.outputs().size() == expected) return {};
  return InvalidModel("body '", body.name, "' has ", body.outputs().size(),
                      " outputs, the node needs ", expected);
}

// A tensor of one element, as bool or number.
Result<int64_t> OnlyElement(const Tensor& t, std::string_view name) {
  if (t.num_elements() == 1) return t.AsInt(0);
  return InvalidModel(name, " must have one element, has sizes ", ToString(t.dims()));
}

Status CopyToOutput(EvalContext& ctx, int i, const Tensor& from) {
  if (!ctx.HasOutput(i)) return {};
  ASSIGN_OR_RETURN(Tensor * to, ctx.Output(i, from.dtype(), from.dims()));
  if (from.bytes() > 0) std::memcpy(to->mutable_raw(), from.raw(), from.bytes());
  return {};
}

// ---- If

Status InferIf(InferContext& ctx) {
  RETURN_IF_ERROR(CheckOneElement(ctx, 0, "condition"));
  const Graph& yes = ctx.node().subgraphs[0];
  const Graph& no = ctx.node().subgraphs[1];
  const size_t count = static_cast<size_t>(ctx.num_outputs());
  RETURN_IF_ERROR(CheckBodyOutputs(yes, count));
  RETURN_IF_ERROR(CheckBodyOutputs(no, count));
  // The body that runs, where that is known: a body that contradicts itself never does.
  const Graph* taken = !yes.contradiction.empty()  ? &no
                       : !no.contradiction.empty() ? &yes
                                                   : nullptr;
  if (const Tensor* condition = ctx.InputConstant(0)) {
    taken = condition->AsInt(0) ? &yes : &no;
    if (!taken->contradiction.empty()) return InvalidModel(taken->contradiction);
  }
  for (size_t i = 0; i < count; ++i) {
    TensorType type;
    if (taken) {
      type = OutputType(*taken, i);
    } else {
      ASSIGN_OR_RETURN(type, Cover(ctx, OutputType(yes, i), OutputType(no, i), true));
    }
    ctx.SetOutput(static_cast<int>(i), std::move(type));
  }
  return {};
}

Status EvaluateIf(EvalContext& ctx) {
  ASSIGN_OR_RETURN(const int64_t condition, OnlyElement(ctx.input(0), "condition"));
  const int taken = condition ? 0 : 1;
  const auto& bodies = ctx.node().subgraphs;
  const size_t first = taken == 0 ? 1 : 1 + bodies[0].captures.size();
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < bodies[taken].captures.size(); ++i)
    inputs.push_back(ctx.input(static_cast<int>(first + i)));
  RETURN_IF_ERROR(CheckBodyOutputs(bodies[taken], static_cast<size_t>(ctx.num_outputs())));
  ASSIGN_OR_RETURN(const std::vector<Tensor> outputs, ctx.RunSubgraph(taken, std::move(inputs)));
  for (int i = 0; i < ctx.num_outputs(); ++i) RETURN_IF_ERROR(CopyToOutput(ctx, i, outputs[i]));
  return {};
}

// ---- Loop

// How a Loop's inputs and outputs divide.
struct LoopLayout {
  size_t carried = 0, collected = 0, captures = 0;
};

Result<LoopLayout> LayOut(const Node& node) {
  const Graph& body = node.subgraphs[0];
  LoopLayout layout;
  layout.captures = body.captures.size();
  layout.carried = node.inputs.size() - layout.captures - 2;
  if (node.outputs.size() < layout.carried) {
    return InvalidModel("a Loop with ", layout.carried, " carried values has ", node.outputs.size(),
                        " outputs");
  }
  layout.collected = node.outputs.size() - layout.carried;
  RETURN_IF_ERROR(CheckBodyOutputs(body, 1 + node.outputs.size()));
  const size_t expected = 2 + layout.carried + layout.captures;
  if (body.inputs().size() != expected) {
    return InvalidModel("body '", body.name, "' has ", body.inputs().size(),
                        " inputs, the node needs ", expected);
  }
  return layout;
}

Status InferLoop(InferContext& ctx) {
  RETURN_IF_ERROR(CheckOneElement(ctx, 0, "max_trips"));
  RETURN_IF_ERROR(CheckOneElement(ctx, 1, "condition"));
  ASSIGN_OR_RETURN(const LoopLayout layout, LayOut(ctx.node()));
  const Graph& body = ctx.node().subgraphs[0];
  for (size_t i = 0; i < layout.carried; ++i) {
    if (!ctx.HasInput(static_cast<int>(2 + i)))
      return InvalidModel("carried value ", i, " of Loop is absent");
    // Without a trip it is the initial value; a symbol of the body means another size each trip.
    ASSIGN_OR_RETURN(TensorType type, Cover(ctx, ctx.input(static_cast<int>(2 + i)),
                                            OutputType(body, 1 + i), false));
    ctx.SetOutput(static_cast<int>(i), std::move(type));
  }
  for (size_t i = 0; i < layout.collected; ++i) {
    const TensorType& one = OutputType(body, 1 + layout.carried + i);
    TensorType all = {one.dtype, std::nullopt};
    if (one.shape) {
      std::vector<Dim> dims = {ctx.FreshSymbol()};
      for (const Dim& d : *one.shape) dims.push_back(d.is_const() ? d : ctx.FreshSymbol());
      all.shape = Shape(std::move(dims));
    }
    ctx.SetOutput(static_cast<int>(layout.carried + i), std::move(all));
  }
  return {};
}

// Stacks the collected values of all trips and makes them output `i`. Without a trip sizes that
// the body does not tell are 0.
Status StackToOutput(EvalContext& ctx, int i, const std::vector<Tensor>& trips,
                     const TensorType& declared) {
  if (!ctx.HasOutput(i)) return {};
  Dims dims = {static_cast<int64_t>(trips.size())};
  if (!trips.empty()) {
    dims.insert(dims.end(), trips[0].dims().begin(), trips[0].dims().end());
  } else if (declared.shape) {
    for (const Dim& d : *declared.shape) dims.push_back(d.TryValue().value_or(0));
  }
  ASSIGN_OR_RETURN(Tensor * to, ctx.Output(i, declared.dtype, dims));
  std::byte* next = to->mutable_raw();
  for (const Tensor& t : trips) {
    if (t.bytes() > 0) std::memcpy(next, t.raw(), t.bytes());
    next += t.bytes();
  }
  return {};
}

// Appends what a trip collected; an error if it differs in shape from before or grows too large.
Status Collect(std::vector<Tensor>& trips, Tensor value) {
  if (!trips.empty() && trips[0].dims() != value.dims()) {
    return InvalidArgument("trip ", trips.size(), " of Loop collects sizes ",
                           ToString(value.dims()), ", the first trip ", ToString(trips[0].dims()));
  }
  Dims dims = value.dims();
  dims.insert(dims.begin(), static_cast<int64_t>(trips.size()) + 1);
  RETURN_IF_ERROR(CheckTensorSize(value.dtype(), dims));
  trips.push_back(std::move(value));
  return {};
}

Status EvaluateLoop(EvalContext& ctx) {
  ASSIGN_OR_RETURN(const LoopLayout layout, LayOut(ctx.node()));
  const Graph& body = ctx.node().subgraphs[0];
  int64_t max_trips = INT64_MAX, condition = 1;
  if (ctx.HasInput(0)) {
    ASSIGN_OR_RETURN(max_trips, OnlyElement(ctx.input(0), "max_trips"));
  }
  if (ctx.HasInput(1)) {
    ASSIGN_OR_RETURN(condition, OnlyElement(ctx.input(1), "condition"));
  }
  std::vector<Tensor> carried;
  for (size_t i = 0; i < layout.carried; ++i) carried.push_back(ctx.input(static_cast<int>(2 + i)));
  std::vector<std::vector<Tensor>> collected(layout.collected);
  for (int64_t trip = 0; trip < max_trips && condition; ++trip) {
    std::vector<Tensor> inputs = {Tensor::Scalar(trip), Tensor::Scalar(condition != 0)};
    inputs.insert(inputs.end(), carried.begin(), carried.end());
    for (size_t i = 0; i < layout.captures; ++i)
      inputs.push_back(ctx.input(static_cast<int>(2 + layout.carried + i)));
    ASSIGN_OR_RETURN(std::vector<Tensor> outputs, ctx.RunSubgraph(0, std::move(inputs)));
    ASSIGN_OR_RETURN(condition, OnlyElement(outputs[0], "condition of the body"));
    for (size_t i = 0; i < layout.carried; ++i) carried[i] = std::move(outputs[1 + i]);
    for (size_t i = 0; i < layout.collected; ++i)
      RETURN_IF_ERROR(Collect(collected[i], std::move(outputs[1 + layout.carried + i])));
  }
  for (size_t i = 0; i < layout.carried; ++i)
    RETURN_IF_ERROR(CopyToOutput(ctx, static_cast<int>(i), carried[i]));
  for (size_t i = 0; i < layout.collected; ++i) {
    RETURN_IF_ERROR(StackToOutput(ctx, static_cast<int>(layout.carried + i), collected[i],
                                  OutputType(body, 1 + layout.carried + i)));
  }
  return {};
}

}  // namespace

namespace op {

constinit const OpDef kIf = {
    .name = "If",
    .summary = "outputs = those of the first body if condition is true, else of the second",
    .inputs = kIfInputs,
    .outputs = kOutputs,
    .infer = InferIf,
    .evaluate = EvaluateIf,
    .traits = kDataDependentShape,
    .num_subgraphs = 2};

constinit const OpDef kLoop = {
    .name = "Loop",
    .summary =
        "outputs = the carried values after the last trip through the body, then what all "
        "trips collected, stacked",
    .inputs = kLoopInputs,
    .outputs = kOutputs,
    .infer = InferLoop,
    .evaluate = EvaluateLoop,
    .traits = kDataDependentShape,
    .num_subgraphs = 1};

}  // namespace op
}  // namespace sula
