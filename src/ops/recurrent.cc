#include "ops/recurrent.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/numbers.h"

namespace sula {
namespace {

// ---- what tells the three operators apart

struct Cell {
  int gates;
  int functions;  // per direction
  std::array<GateKind, 3> defaults;
  int keep;       // the index of input `keep`, the last
  bool has_cell;  // a second state c, with inputs c0 and peephole
};
constexpr Cell kRnnCell = {1, 1, {GateKind::kTanh}, 6, false};
constexpr Cell kGruCell = {3, 2, {GateKind::kSigmoid, GateKind::kTanh}, 6, false};
constexpr Cell kLstmCell = {4, 3, {GateKind::kSigmoid, GateKind::kTanh, GateKind::kTanh}, 8, true};

constexpr int kX = 0, kW = 1, kR = 2, kBias = 3, kLens = 4, kH0 = 5, kC0 = 6, kPeephole = 7;

// ---- functions

GateFunction WithDefaults(GateKind kind) {
  switch (kind) {
    case GateKind::kAffine: return {kind, 1, 0};
    case GateKind::kLeakyRelu: return {kind, 0.01f, 0};
    case GateKind::kThresholdedRelu:
    case GateKind::kElu: return {kind, 1, 0};
    case GateKind::kScaledTanh: return {kind, 1, 1};
    case GateKind::kHardSigmoid: return {kind, 0.2f, 0.5f};
    default: return {kind, 0, 0};
  }
}

// Written so that NaN stays NaN.
double Clamp(double x, double low, double high) {
  const double raised = x < low ? low : x;
  return raised > high ? high : raised;
}

// ---- inference

// An error unless input i is absent or may have this shape.
Status CheckShape(const InferContext& ctx, int i, std::string_view name, const Shape& expected) {
  if (!ctx.HasInput(i) || !ctx.input(i).shape || MayEqual(*ctx.input(i).shape, expected)) return {};
  return InvalidModel(name, " has shape ", ctx.input(i).shape->ToString(), ", expected ",
                      expected.ToString());
}

Status Infer(InferContext& ctx, const RecurrentParams& p, const Cell& cell) {
  RETURN_IF_ERROR(GateFunctions(p, cell.functions).status());
  if (!(p.clip >= 0)) return InvalidModel("clip is ", p.clip, ", expected a bound or 0 for none");
  RETURN_IF_ERROR(CheckSameType(ctx, {kX, kW, kR, kBias, kH0, cell.keep}));
  if (cell.has_cell) RETURN_IF_ERROR(CheckSameType(ctx, {kX, kC0, kPeephole}));
  ASSIGN_OR_RETURN(const Shape x, ctx.InputShape(kX));
  ASSIGN_OR_RETURN(const Shape w, ctx.InputShape(kW));
  ASSIGN_OR_RETURN(const Shape r, ctx.InputShape(kR));
  if (x.rank() != 3 || w.rank() != 3 || r.rank() != 3) {
    return InvalidModel("x ", x.ToString(), ", w ", w.ToString(), " and r ", r.ToString(),
                        " must have three axes each");
  }
  const Dim &steps = x[p.batch_first], &batch = x[!p.batch_first], &inputs = x[2], &units = r[2];
  if (inputs == 0 || units == 0) {
    return InvalidModel("x ", x.ToString(), " and r ", r.ToString(),
                        " need at least one input and one unit");
  }
  const Dim directions = NumDirections(p.direction), rows = units * cell.gates;
  const auto state = [&] {
    return p.batch_first ? Shape{batch, directions, units} : Shape{directions, batch, units};
  };
  RETURN_IF_ERROR(CheckShape(ctx, kW, "w", {directions, rows, inputs}));
  RETURN_IF_ERROR(CheckShape(ctx, kR, "r", {directions, rows, units}));
  RETURN_IF_ERROR(CheckShape(ctx, kBias, "bias", {directions, rows * 2}));
  RETURN_IF_ERROR(CheckShape(ctx, kLens, "lens", {batch}));
  RETURN_IF_ERROR(CheckShape(ctx, kH0, "h0", state()));
  RETURN_IF_ERROR(CheckShape(ctx, cell.keep, "keep", {x[0], x[1]}));
  if (cell.has_cell) {
    RETURN_IF_ERROR(CheckShape(ctx, kC0, "c0", state()));
    RETURN_IF_ERROR(CheckShape(ctx, kPeephole, "peephole", {directions, units * 3}));
  }
  const DType type = ctx.InputType(kX);
  if (ctx.HasOutput(0)) {
    ctx.SetOutput(0, {type, p.batch_first ? Shape{batch, steps, directions, units}
                                          : Shape{steps, directions, batch, units}});
  }
  for (int i = 1; i < ctx.num_outputs(); ++i)
    if (ctx.HasOutput(i)) ctx.SetOutput(i, {type, state()});
  return {};
}

// ---- evaluation

// The part of an input that belongs to one direction; zeros if it is absent.
std::vector<double> PartOf(const EvalContext& ctx, int i, int64_t direction, int64_t count) {
  std::vector<double> part(static_cast<size_t>(count), 0);
  if (ctx.HasInput(i)) Load(ctx.input(i), direction * count, 1, count, part.data());
  return part;
}

// The weights and functions of one direction.
struct Layer {
  int64_t inputs, units;
  std::vector<double> w, r, input_bias, state_bias, peephole;
  std::span<const GateFunction> functions;
  double clip;

  static double Dot(const double* a, const double* b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
  }
  // Row `row` of w times x, plus bias.
  double FromInput(int64_t row, const double* x) const {
    return Dot(w.data() + row * inputs, x, inputs) + input_bias[row];
  }
  double FromState(int64_t row, const double* h) const {
    return Dot(r.data() + row * units, h, units) + state_bias[row];
  }
  double Sum(int64_t row, const double* x, const double* h) const {
    return FromInput(row, x) + FromState(row, h);
  }
  double Act(int f, double x) const {
    return Apply(functions[f], clip > 0 ? Clamp(x, -clip, clip) : x);
  }
};

struct State {
  std::vector<double> h, c;
};

// One step: changes the state.
void StepRnn(const Layer& layer, const RecurrentParams&, const double* x, State& state) {
  std::vector<double> h(state.h.size());
  for (int64_t j = 0; j < layer.units; ++j) h[j] = layer.Act(0, layer.Sum(j, x, state.h.data()));
  state.h = std::move(h);
}

void StepGru(const Layer& layer, const GruParams& p, const double* x, State& state) {
  const int64_t n = layer.units;
  const double* before = state.h.data();
  std::vector<double> reset(n), kept(n), h(n);
  for (int64_t j = 0; j < n; ++j) {
    reset[j] = layer.Act(0, layer.Sum(n + j, x, before));
    kept[j] = reset[j] * before[j];
  }
  for (int64_t j = 0; j < n; ++j) {
    const int64_t row = 2 * n + j;
    const double carried = p.linear_before_reset ? reset[j] * layer.FromState(row, before)
                                                 : layer.FromState(row, kept.data());
    const double candidate = layer.Act(1, layer.FromInput(row, x) + carried);
    const double update = layer.Act(0, layer.Sum(j, x, before));
    h[j] = (1 - update) * candidate + update * before[j];
  }
  state.h = std::move(h);
}

void StepLstm(const Layer& layer, const LstmParams& p, const double* x, State& state) {
  const int64_t n = layer.units;
  const double *before = state.h.data(), *peephole = layer.peephole.data();
  std::vector<double> h(n);
  for (int64_t j = 0; j < n; ++j) {
    const double old = state.c[j];
    const double input = layer.Act(0, layer.Sum(j, x, before) + peephole[j] * old);
    const double forget =
        p.input_forget ? 1 - input
                       : layer.Act(0, layer.Sum(2 * n + j, x, before) + peephole[2 * n + j] * old);
    const double candidate = layer.Act(1, layer.Sum(3 * n + j, x, before));
    const double c = forget * old + input * candidate;
    const double output = layer.Act(0, layer.Sum(n + j, x, before) + peephole[n + j] * c);
    state.c[j] = c;
    h[j] = output * layer.Act(2, c);
  }
  state.h = std::move(h);
}

// How many steps count for each sequence.
Result<std::vector<int64_t>> ReadLengths(const EvalContext& ctx, int64_t steps, int64_t batch) {
  if (!ctx.HasInput(kLens)) return std::vector<int64_t>(static_cast<size_t>(batch), steps);
  std::vector<int64_t> lengths = ctx.input(kLens).ToInts();
  for (int64_t length : lengths) {
    if (length < 0 || length > steps)
      return InvalidModel("lens holds ", length, ", but there are ", steps, " steps");
  }
  return lengths;
}

template <class P>
using Step = void (*)(const Layer&, const P&, const double* x, State&);

template <class P>
Status Evaluate(EvalContext& ctx, const Cell& cell, Step<P> step) {
  const P& p = ctx.params<P>();
  std::array<Tensor*, 3> outputs = {};
  bool any = false;
  for (int i = 0; i < ctx.num_outputs(); ++i) {
    if (!ctx.HasOutput(i)) continue;
    ASSIGN_OR_RETURN(outputs[i], ctx.InferredOutput(i));  // infers, which checks all sizes
    any = true;
  }
  if (!any) return {};
  const Tensor &x = ctx.input(kX), &r = ctx.input(kR);
  const int64_t steps = x.dim(p.batch_first), batch = x.dim(!p.batch_first), units = r.dim(2);
  const int64_t inputs = x.dim(2), directions = r.dim(0);
  ASSIGN_OR_RETURN(const auto lengths, ReadLengths(ctx, steps, batch));
  ASSIGN_OR_RETURN(const auto functions, GateFunctions(p, cell.functions));
  std::vector<double> y(outputs[0] ? outputs[0]->num_elements() : 0);

  for (int64_t d = 0; d < directions; ++d) {
    const int64_t rows = cell.gates * units;
    const std::vector<double> biases = PartOf(ctx, kBias, d, 2 * rows);
    const Layer layer = {
        .inputs = inputs,
        .units = units,
        .w = PartOf(ctx, kW, d, rows * inputs),
        .r = PartOf(ctx, kR, d, rows * units),
        .input_bias = {biases.begin(), biases.begin() + rows},
        .state_bias = {biases.begin() + rows, biases.end()},
        .peephole = cell.has_cell ? PartOf(ctx, kPeephole, d, 3 * units) : std::vector<double>(),
        .functions = std::span(functions).subspan(d * cell.functions, cell.functions),
        .clip = p.clip};
    const bool reverse = d == 1 || p.direction == Direction::kReverse;
    std::vector<double> row(static_cast<size_t>(inputs));
    for (int64_t n = 0; n < batch; ++n) {
      const int64_t sequence = p.batch_first ? n * directions + d : d * batch + n;
      State state = {PartOf(ctx, kH0, sequence, units), {}};
      if (cell.has_cell) state.c = PartOf(ctx, kC0, sequence, units);
      for (int64_t s = 0; s < lengths[n]; ++s) {
        const int64_t t = reverse ? lengths[n] - 1 - s : s;
        const int64_t at = p.batch_first ? n * steps + t : t * batch + n;
        if (ctx.HasInput(cell.keep)) {
          const double keep = ctx.input(cell.keep).AsDouble(at);
          for (double& v : state.h) v *= keep;
          for (double& v : state.c) v *= keep;
        }
        Load(x, at * inputs, 1, inputs, row.data());
        step(layer, p, row.data(), state);
        const int64_t to =
            p.batch_first ? (n * steps + t) * directions + d : (t * directions + d) * batch + n;
        if (outputs[0]) std::copy(state.h.begin(), state.h.end(), y.begin() + to * units);
      }
      if (outputs[1]) Store(state.h.data(), units, *outputs[1], sequence * units);
      if (outputs[2]) Store(state.c.data(), units, *outputs[2], sequence * units);
    }
  }
  if (outputs[0]) StoreAs<double>(y, *outputs[0]);
  return {};
}

// ---- definitions

Status InferRnn(InferContext& ctx) { return Infer(ctx, ctx.params<RecurrentParams>(), kRnnCell); }
Status InferGru(InferContext& ctx) { return Infer(ctx, ctx.params<GruParams>(), kGruCell); }
Status InferLstm(InferContext& ctx) { return Infer(ctx, ctx.params<LstmParams>(), kLstmCell); }
Status EvaluateRnn(EvalContext& ctx) { return Evaluate<RecurrentParams>(ctx, kRnnCell, StepRnn); }
Status EvaluateGru(EvalContext& ctx) { return Evaluate<GruParams>(ctx, kGruCell, StepGru); }
Status EvaluateLstm(EvalContext& ctx) { return Evaluate<LstmParams>(ctx, kLstmCell, StepLstm); }

// Two products per step; what follows them is counted as nothing.
Cost CostOf(const Node&, std::span<const TensorType> inputs, std::span<const TensorType> outputs) {
  const double row = inputs[kW].shape && inputs[kW].shape->rank() == 3
                         ? static_cast<double>((*inputs[kW].shape)[2].TryValue().value_or(0))
                         : 0;
  const double rows = row > 0 ? Elements(inputs[kX]) / row : 0;
  return Traffic(inputs, outputs, 2 * rows * (Elements(inputs[kW]) + Elements(inputs[kR])));
}

template <class P>
constexpr std::array<Field, 6> kSharedFields = {
    MakeField<&RecurrentParams::direction, P>("direction", "of the walk over the steps"),
    MakeField<&RecurrentParams::batch_first, P>("batch_first", "the batch is the first axis"),
    MakeField<&RecurrentParams::activations, P>("activations",
                                                "functions of each direction; empty: the usual"),
    MakeField<&RecurrentParams::alpha, P>("alpha", "first number of each function"),
    MakeField<&RecurrentParams::beta, P>("beta", "second number of each function"),
    MakeField<&RecurrentParams::clip, P>("clip", "bound of the functions' arguments; 0: none"),
};
template <class P>
constexpr std::array<Field, 7> With(const Field& own) {
  const auto& f = kSharedFields<P>;
  return {f[0], f[1], f[2], f[3], f[4], f[5], own};
}
constexpr auto kGruFields = With<GruParams>(MakeField<&GruParams::linear_before_reset>(
    "linear_before_reset", "the reset gate scales r h + bias instead of h"));
constexpr auto kLstmFields = With<LstmParams>(
    MakeField<&LstmParams::input_forget>("input_forget", "the forget gate is 1 - the input gate"));

constexpr Port kXPort = {"x", "[steps, batch, inputs], or batch first", kFloats};
constexpr Port kWPort = {"w", "[directions, gates * units, inputs]", kFloats};
constexpr Port kRPort = {"r", "[directions, gates * units, units]", kFloats};
constexpr Port kBiasPort = {"bias", "[directions, 2 * gates * units]: w's, then r's", kFloats,
                            Arity::kOptional};
constexpr Port kLensPort = {"lens", "[batch]: steps that count", Bit(DType::kInt32),
                            Arity::kOptional};
constexpr Port kH0Port = {"h0", "[directions, batch, units], or batch first", kFloats,
                          Arity::kOptional};
constexpr Port kKeepPort = {"keep", "of x's first two axes: factors of the state before a step",
                            kFloats, Arity::kOptional};
constexpr Port kInputs[] = {kXPort, kWPort, kRPort, kBiasPort, kLensPort, kH0Port, kKeepPort};
constexpr Port kLstmInputs[] = {kXPort,
                                kWPort,
                                kRPort,
                                kBiasPort,
                                kLensPort,
                                kH0Port,
                                {"c0", "like h0", kFloats, Arity::kOptional},
                                {"peephole", "[directions, 3 * units]", kFloats, Arity::kOptional},
                                kKeepPort};
constexpr Port kOutputs[] = {
    {"y", "[steps, directions, batch, units], or [batch, steps, directions, units]", kFloats,
     Arity::kOptional},
    {"h", "the last state, like h0", kFloats, Arity::kOptional},
    {"c", "the last cell, like h0", kFloats, Arity::kOptional}};

}  // namespace

Result<GateFunction> FindGateFunction(std::string_view name) {
  std::string known;
  for (size_t i = 0; i < std::size(EnumNames<GateKind>::kNames); ++i) {
    const std::string_view candidate = EnumNames<GateKind>::kNames[i];
    if (candidate == name) return WithDefaults(static_cast<GateKind>(i));
    known += StrCat(i ? ", " : "", candidate);
  }
  return InvalidModel("activation '", name, "' is not one of: ", known);
}

int NumbersOf(GateKind kind) {
  switch (kind) {
    case GateKind::kLeakyRelu:
    case GateKind::kThresholdedRelu:
    case GateKind::kElu: return 1;
    case GateKind::kAffine:
    case GateKind::kScaledTanh:
    case GateKind::kHardSigmoid: return 2;
    default: return 0;
  }
}

double Apply(const GateFunction& function, double x) {
  const double a = function.a, b = function.b;
  switch (function.kind) {
    case GateKind::kSigmoid: return 1 / (1 + std::exp(-x));
    case GateKind::kTanh: return std::tanh(x);
    case GateKind::kRelu: return x < 0 ? 0 : x;
    case GateKind::kAffine: return a * x + b;
    case GateKind::kLeakyRelu: return x < 0 ? a * x : x;
    case GateKind::kThresholdedRelu: return x < a ? 0 : x;
    case GateKind::kScaledTanh: return a * std::tanh(b * x);
    case GateKind::kHardSigmoid: return Clamp(a * x + b, 0, 1);
    case GateKind::kElu: return x < 0 ? a * std::expm1(x) : x;
    case GateKind::kSoftsign: return x / (1 + std::abs(x));
    case GateKind::kSoftplus: return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
  }
  return x;
}

Result<std::vector<GateFunction>> GateFunctions(const RecurrentParams& params, int per_direction) {
  const size_t count = static_cast<size_t>(per_direction) * NumDirections(params.direction);
  std::vector<GateFunction> functions;
  if (params.activations.empty()) {
    const Cell& cell = per_direction == 1 ? kRnnCell : per_direction == 2 ? kGruCell : kLstmCell;
    for (size_t i = 0; i < count; ++i)
      functions.push_back(WithDefaults(cell.defaults[i % per_direction]));
  } else if (params.activations.size() != count) {
    return InvalidModel(params.activations.size(), " activations given, expected ", count);
  }
  for (const std::string& name : params.activations) {
    ASSIGN_OR_RETURN(const GateFunction f, FindGateFunction(name));
    functions.push_back(f);
  }
  for (const auto& [list, member, name] : {std::tuple(&params.alpha, &GateFunction::a, "alpha"),
                                           std::tuple(&params.beta, &GateFunction::b, "beta")}) {
    if (list->empty()) continue;
    if (list->size() != count)
      return InvalidModel(name, " has ", list->size(), " numbers for ", count, " activations");
    for (size_t i = 0; i < count; ++i) functions[i].*member = (*list)[i];
  }
  return functions;
}

namespace op {

constinit const OpDef kRnn = {
    .name = "Rnn",
    .summary = "h = f(w x + r h + bias) at every step.",
    .inputs = kInputs,
    .outputs = std::span(kOutputs).first<2>(),
    .fields = kSharedFields<RecurrentParams>,
    .default_params = DefaultParams<RecurrentParams>,
    .build_params = BuildParams<RecurrentParams>,
    .infer = InferRnn,
    .evaluate = EvaluateRnn,
    .cost = CostOf,
};

constinit const OpDef kGru = {
    .name = "Gru",
    .summary =
        "Gated recurrent unit: z and r = f(w x + r h + bias), n = g(wn x + rn (r h) + bias), "
        "h = (1 - z) n + z h at every step.",
    .inputs = kInputs,
    .outputs = std::span(kOutputs).first<2>(),
    .fields = kGruFields,
    .default_params = DefaultParams<GruParams>,
    .build_params = BuildParams<GruParams>,
    .infer = InferGru,
    .evaluate = EvaluateGru,
    .cost = CostOf,
};

constinit const OpDef kLstm = {
    .name = "Lstm",
    .summary =
        "Long short-term memory: i, o, f = f(w x + r h + peephole c + bias), c = f c + i g(wc x "
        "+ rc h + bias), h = o h(c) at every step.",
    .inputs = kLstmInputs,
    .outputs = kOutputs,
    .fields = kLstmFields,
    .default_params = DefaultParams<LstmParams>,
    .build_params = BuildParams<LstmParams>,
    .infer = InferLstm,
    .evaluate = EvaluateLstm,
    .cost = CostOf,
};

}  // namespace op
}  // namespace sula
