// Recurrent layers.
#include "ops/recurrent.h"

#include <cmath>
#include <limits>

#include "backends/cpu/adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/kernels/recurrent/recurrent.h"

namespace sula::cpu {
namespace {

// Inputs of the operators; the last one, keep, follows c0 and peephole where there are such.
constexpr size_t kX = 0, kW = 1, kR = 2, kBias = 3, kLens = 4, kH0 = 5, kC0 = 6, kPeephole = 7;

CellKind KindOf(const KernelRequest& r) {
  if (r.node->op == &op::kLstm) return CellKind::kLstm;
  return r.node->op == &op::kGru ? CellKind::kGru : CellKind::kRnn;
}
size_t KeepInput(CellKind kind) { return kind == CellKind::kLstm ? 8 : 6; }

GateCurve CurveOf(const GateFunction& f) {
  switch (f.kind) {
    case GateKind::kSigmoid: return {.fn = Unary::kSigmoid};
    case GateKind::kTanh: return {.fn = Unary::kTanh};
    case GateKind::kRelu: return {.fn = Unary::kRelu};
    case GateKind::kAffine: return {.fn = {}, .scale = f.a, .shift = f.b};
    case GateKind::kLeakyRelu: return {.fn = Unary::kLeakyRelu, .a = f.a};
    case GateKind::kThresholdedRelu:
      // The kernel keeps what is larger than its number, a gate also what equals it.
      return {.fn = Unary::kThresholdedRelu,
              .a = std::nextafter(f.a, -std::numeric_limits<float>::infinity())};
    case GateKind::kScaledTanh: return {.fn = Unary::kTanh, .in_scale = f.b, .scale = f.a};
    case GateKind::kHardSigmoid: return {.fn = Unary::kHardSigmoid, .a = f.a, .b = f.b};
    case GateKind::kElu: return {.fn = Unary::kElu, .a = f.a};
    case GateKind::kSoftsign: return {.fn = Unary::kSoftsign};
    case GateKind::kSoftplus: return {.fn = Unary::kSoftplus};
  }
  return {};
}

const RecurrentParams& ParamsOf(const KernelRequest& r) {
  switch (KindOf(r)) {
    case CellKind::kLstm: return r.params<LstmParams>();
    case CellKind::kGru: return r.params<GruParams>();
    case CellKind::kRnn: break;
  }
  return r.params<RecurrentParams>();
}

Result<RecurrentSpec> SpecOf(const KernelRequest& r) {
  const RecurrentParams& p = ParamsOf(r);
  const CellKind kind = KindOf(r);
  const int functions = kind == CellKind::kLstm ? 3 : kind == CellKind::kGru ? 2 : 1;
  ASSIGN_OR_RETURN(const std::vector<GateFunction> curves, GateFunctions(p, functions));
  const Dims& x = r.inputs[kX].dims;
  RecurrentSpec s;
  s.steps = x[p.batch_first ? 1 : 0], s.batch = x[p.batch_first ? 0 : 1], s.inputs = x[2];
  s.units = r.inputs[kR].dims[2];
  s.batch_first = p.batch_first;
  s.directions = NumDirections(p.direction);
  s.reversed[0] = p.direction == Direction::kReverse;
  for (int d = 0; d < s.directions; ++d) {
    CellSpec& cell = s.cells[d];
    cell.kind = kind;
    cell.clip = p.clip;
    if (kind == CellKind::kGru)
      cell.linear_before_reset = r.params<GruParams>().linear_before_reset;
    if (kind == CellKind::kLstm) cell.input_forget = r.params<LstmParams>().input_forget;
    for (int i = 0; i < functions; ++i)
      cell.curves[i] = CurveOf(curves[static_cast<size_t>(d * functions + i)]);
  }
  return s;
}

Verdict AcceptRecurrent(const KernelRequest& r) {
  bool any = false;
  for (size_t i = 0; i < r.inputs.size(); ++i) {
    const TensorDesc& t = r.inputs[i];
    if (!t.present || i == kLens) continue;
    if (t.dtype != DType::kFloat32) return Verdict::No(StrCat("element type ", Name(t.dtype)));
    if (t.num_elements() == 0) return Verdict::No("an empty tensor");
  }
  for (const TensorDesc& t : r.outputs) any |= t.present;
  if (!any) return Verdict::No("no output is used");
  if (Result<RecurrentSpec> spec = SpecOf(r); !spec.has_value())
    return Verdict::No(spec.error().message());
  return Verdict::Yes();
}

double EstimateRecurrent(const KernelRequest& r) {
  const Result<RecurrentSpec> s = SpecOf(r);
  const double w = static_cast<double>(r.inputs[kW].num_elements());
  const double u = static_cast<double>(r.inputs[kR].num_elements());
  const double steps = static_cast<double>(s->steps), batch = static_cast<double>(s->batch);
  // The recurrent weights are read at each step, from L2 or L3.
  constexpr double kBytesPerSecond = 80e9, kMeetingSeconds = 0.5e-6;
  const double flops = 2 * batch * u;
  const double step = std::max(4 * u / kBytesPerSecond, flops / (0.8 * PeakFlops(BestTarget())));
  const double recurrent = step / r.threads + (r.threads > 1 ? kMeetingSeconds : 0);
  const double packing = r.IsConstant(kW) && r.IsConstant(kR) ? 0 : 8 * (w + u);
  return steps * recurrent +
         Seconds({2 * steps * batch * w, 0.9, 4 * w + packing}, BestTarget(), r.threads);
}

class RecurrentKernel final : public Kernel {
 public:
  RecurrentKernel(Recurrent impl, bool packed, size_t keep)
      : impl_(std::move(impl)), packed_(packed), keep_(keep) {}
  size_t workspace_bytes() const override { return impl_.workspace_bytes(); }
  size_t constant_bytes() const override { return impl_.constant_bytes(); }
  bool ReadsConstant(int i) const override {
    const size_t input = static_cast<size_t>(i);
    return !(packed_ && (input == kW || input == kR || input == kBias));
  }
  std::string Detail() const override {
    return StrCat(Name(BestTarget()), packed_ ? ", packed" : "", ", inputs of ",
                  impl_.chunk_steps(), impl_.chunk_steps() == 1 ? " step" : " steps",
                  " at a time, a step in ", impl_.pieces(),
                  impl_.pieces() == 1 ? " piece" : " pieces");
  }
  void Run(const RunArgs& args) const noexcept override {
    const auto input = [&](size_t i) {
      return i < args.inputs.size() ? static_cast<const float*>(args.inputs[i]) : nullptr;
    };
    const auto output = [&](size_t i) {
      return i < args.outputs.size() ? static_cast<float*>(args.outputs[i]) : nullptr;
    };
    RecurrentArgs a;
    a.x = input(kX);
    a.weights = {input(kW), input(kR), input(kBias)};
    if (kLens < args.inputs.size()) a.lens = static_cast<const int32_t*>(args.inputs[kLens]);
    a.h0 = input(kH0), a.keep = input(keep_);
    if (keep_ > kPeephole) a.c0 = input(kC0), a.peephole = input(kPeephole);
    a.y = output(0), a.h = output(1), a.c = output(2);
    a.workspace = args.workspace;
    if (Status status = impl_.Run(a, args.parallel); !status.ok()) *args.status = status;
  }

 private:
  Recurrent impl_;
  bool packed_;
  size_t keep_;
};

Result<std::unique_ptr<Kernel>> CreateRecurrent(const KernelRequest& r) {
  ASSIGN_OR_RETURN(const RecurrentSpec spec, SpecOf(r));
  const bool packed =
      r.IsConstant(kW) && r.IsConstant(kR) && (!r.HasInput(kBias) || r.IsConstant(kBias));
  const RecurrentWeights weights = {ConstantData(r, kW), ConstantData(r, kR),
                                    ConstantData(r, kBias)};
  ASSIGN_OR_RETURN(Recurrent impl,
                   Recurrent::Make(spec, packed ? &weights : nullptr, MachineOf(r)));
  return std::unique_ptr<Kernel>(
      std::make_unique<RecurrentKernel>(std::move(impl), packed, KeepInput(spec.cells[0].kind)));
}

constexpr KernelEntry kEntries[] = {{
    .name = "packed_steps",
    .accept = AcceptRecurrent,
    .estimate = EstimateRecurrent,
    .create = CreateRecurrent,
}};

}  // namespace

std::span<const KernelEntry> RecurrentKernels() { return kEntries; }

}  // namespace sula::cpu
