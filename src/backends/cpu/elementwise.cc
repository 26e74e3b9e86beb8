// Element-wise operators on float32: unary functions and broadcasting arithmetic.
#include "ops/elementwise.h"

#include <limits>

#include "backends/cpu/kernels/elementwise/elementwise.h"
#include "backends/cpu/stream_kernels.h"
#include "backends/cpu/strides.h"
#include "backends/cpu/typed_entry.h"

namespace sula::cpu {
namespace {

constexpr int64_t kTaskElements = 8192;  // 32 KiB of output: fits L1 for a second pass over it
constexpr int64_t kMinPiece = 64;

struct UnaryCall {
  Unary fn;
  float a = 0, b = 0;
};

std::optional<UnaryCall> CallOf(const Activation& f) {
  switch (f.kind) {
    case ActivationKind::kNone: return std::nullopt;
    case ActivationKind::kRelu: return UnaryCall{Unary::kRelu};
    case ActivationKind::kClip: return UnaryCall{Unary::kClip, f.a, f.b};
    case ActivationKind::kLeakyRelu: return UnaryCall{Unary::kLeakyRelu, f.a};
    case ActivationKind::kSigmoid: return UnaryCall{Unary::kSigmoid};
    case ActivationKind::kTanh: return UnaryCall{Unary::kTanh};
    case ActivationKind::kHardSigmoid: return UnaryCall{Unary::kHardSigmoid, f.a, f.b};
    case ActivationKind::kHardSwish: return UnaryCall{Unary::kHardSwish};
    case ActivationKind::kSwish: return UnaryCall{Unary::kSwish, f.a};
    case ActivationKind::kGelu: return UnaryCall{Unary::kGelu};
  }
  return std::nullopt;
}

struct UnaryRow {
  const OpDef* op;
  Unary fn;
};
constexpr UnaryRow kPlainUnary[] = {
    {&op::kRelu, Unary::kRelu},         {&op::kSigmoid, Unary::kSigmoid},
    {&op::kTanh, Unary::kTanh},         {&op::kHardSwish, Unary::kHardSwish},
    {&op::kSoftplus, Unary::kSoftplus}, {&op::kSoftsign, Unary::kSoftsign},
    {&op::kMish, Unary::kMish},         {&op::kErf, Unary::kErf},
    {&op::kNeg, Unary::kNeg},           {&op::kAbs, Unary::kAbs},
    {&op::kExp, Unary::kExp},           {&op::kLog, Unary::kLog},
    {&op::kSqrt, Unary::kSqrt},         {&op::kReciprocal, Unary::kReciprocal},
    {&op::kFloor, Unary::kFloor},       {&op::kCeil, Unary::kCeil},
    {&op::kRound, Unary::kRound},       {&op::kSign, Unary::kSign},
};
constexpr UnaryRow kAlphaUnary[] = {
    {&op::kLeakyRelu, Unary::kLeakyRelu},
    {&op::kElu, Unary::kElu},
    {&op::kSelu, Unary::kSelu},
    {&op::kCelu, Unary::kCelu},
    {&op::kHardSigmoid, Unary::kHardSigmoid},
    {&op::kSwish, Unary::kSwish},
    {&op::kThresholdedRelu, Unary::kThresholdedRelu},
};

// Precondition: the operator is one of the table of kernels'.
UnaryCall CallOf(const KernelRequest& r) {
  const OpDef& op = *r.node->op;
  for (const UnaryRow& row : kPlainUnary)
    if (row.op == &op) return {row.fn};
  for (const UnaryRow& row : kAlphaUnary)
    if (row.op == &op) return {row.fn, r.params<AlphaParams>().alpha, r.params<AlphaParams>().beta};
  if (&op == &sula::op::kGelu)
    return {r.params<GeluParams>().tanh ? Unary::kGeluTanh : Unary::kGelu};
  SULA_CHECK(&op == &sula::op::kClip);
  constexpr float kInf = std::numeric_limits<float>::infinity();
  return {Unary::kClip, r.HasInput(1) ? r.constants[1]->data<float>()[0] : -kInf,
          r.HasInput(2) ? r.constants[2]->data<float>()[0] : kInf};
}

class UnaryKernel final : public Kernel {
 public:
  explicit UnaryKernel(const KernelRequest& r)
      : call_(CallOf(r)), run_(GetElementwise(BestTarget()).unary[static_cast<size_t>(call_.fn)]) {
    const Dims out = LogicalStrides(r.outputs[0]), in = LogicalStrides(r.inputs[0]);
    for (size_t i = 0; i < out.size(); ++i) box_.AddAxis(r.outputs[0].dims[i], {out[i], in[i]});
    box_ = Simplify(box_);
    EnsureUnitRows(box_);
    tasks_ = ShareBox(box_, 1, kTaskElements, kMinPiece);
  }

  void Run(const RunArgs& args) const noexcept override {
    if (box_.num_elements() == 0) return;
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* y = static_cast<float*>(args.outputs[0]);
    args.parallel.For(tasks_.tasks, [&](int64_t task, int) {
      ForPieces(box_, tasks_, task, [&](const auto& at, int64_t n) {
        run_(x + at[1], y + at[0], n, call_.a, call_.b);
      });
    });
  }

 private:
  UnaryCall call_;
  void (*run_)(const float*, float*, int64_t, float, float);
  Box<2> box_;
  BoxTasks tasks_;
};

Verdict AcceptUnary(const KernelRequest& r) {
  if (r.inputs[0].dtype != DType::kFloat32) return Verdict::No("not float32");
  if (!FitsBox(r)) return Verdict::No("rank too high");
  if (r.node->op == &op::kClip) {
    for (size_t i : {1, 2})
      if (r.HasInput(i) && !r.IsConstant(i)) return Verdict::No("bounds not constant");
  }
  return Verdict::Yes();
}

void UnaryLayouts(const KernelRequest&, std::span<LayoutNeed> in, std::span<LayoutNeed> out) {
  in[0] = out[0] = LayoutNeed::kFollow;
}

// ---- two inputs

struct BinaryRow {
  const OpDef* op;
  Binary fn;
};
constexpr BinaryRow kBinary[] = {
    {&op::kAdd, Binary::kAdd},     {&op::kSub, Binary::kSub}, {&op::kMul, Binary::kMul},
    {&op::kDiv, Binary::kDiv},     {&op::kMax, Binary::kMax}, {&op::kMin, Binary::kMin},
    {&op::kPRelu, Binary::kPRelu},
};

class BinaryKernel final : public Kernel {
 public:
  explicit BinaryKernel(const KernelRequest& r) {
    const ElementwiseKernels& k = GetElementwise(BestTarget());
    for (const BinaryRow& row : kBinary)
      if (row.op == r.node->op) run_ = k.binary[static_cast<size_t>(row.fn)];
    SULA_CHECK(run_ != nullptr);
    if (r.node->op->fields.size() != 0) then_ = CallOf(r.params<BinaryParams>().Fused());
    if (then_) activate_ = k.unary[static_cast<size_t>(then_->fn)];
    const TensorDesc& y = r.outputs[0];
    const Dims out = LogicalStrides(y), a = BroadcastStrides(r.inputs[0], y.dims),
               b = BroadcastStrides(r.inputs[1], y.dims);
    for (size_t i = 0; i < out.size(); ++i) box_.AddAxis(y.dims[i], {out[i], a[i], b[i]});
    box_ = Simplify(box_);
    EnsureUnitRows(box_);
    tasks_ = ShareBox(box_, 1, kTaskElements, kMinPiece);
  }

  void Run(const RunArgs& args) const noexcept override {
    if (box_.num_elements() == 0) return;
    const auto* a = static_cast<const float*>(args.inputs[0]);
    const auto* b = static_cast<const float*>(args.inputs[1]);
    auto* y = static_cast<float*>(args.outputs[0]);
    const auto step = box_.strides[box_.rank - 1];
    args.parallel.For(tasks_.tasks, [&](int64_t task, int) {
      ForPieces(box_, tasks_, task, [&](const auto& at, int64_t n) {
        run_(a + at[1], static_cast<int>(step[1]), b + at[2], static_cast<int>(step[2]), y + at[0],
             n);
        if (then_) activate_(y + at[0], y + at[0], n, then_->a, then_->b);
      });
    });
  }

 private:
  void (*run_)(const float*, int, const float*, int, float*, int64_t) = nullptr;
  std::optional<UnaryCall> then_;
  void (*activate_)(const float*, float*, int64_t, float, float) = nullptr;
  Box<3> box_;
  BoxTasks tasks_;
};

Verdict AcceptBinary(const KernelRequest& r) {
  if (r.inputs[0].dtype != DType::kFloat32 || r.inputs[1].dtype != DType::kFloat32) {
    return Verdict::No("not float32");
  }
  if (!FitsBox(r)) return Verdict::No("rank too high");
  return Verdict::Yes();
}

// Inputs of the output's own shape follow it; broadcast ones are read through row-major strides,
// which for [N,C,1,1] and [C,1,1] are the same bytes in either layout.
void BinaryLayouts(const KernelRequest& r, std::span<LayoutNeed> in, std::span<LayoutNeed> out) {
  bool any = false;
  for (size_t i = 0; i < 2; ++i) {
    if (r.inputs[i].dims != r.outputs[0].dims) continue;
    in[i] = LayoutNeed::kFollow;
    any = true;
  }
  if (any) out[0] = LayoutNeed::kFollow;
}

template <class K>
Result<std::unique_ptr<Kernel>> Make(const KernelRequest& r) {
  return std::unique_ptr<Kernel>(std::make_unique<K>(r));
}

constexpr KernelEntry kUnaryEntries[] = {{
    .name = "vector",
    .layouts = UnaryLayouts,
    .accept = AcceptUnary,
    .estimate = [](const KernelRequest& r) { return StreamSeconds(r, 4); },
    .create = Make<UnaryKernel>,
    .in_place = true,
}};

constexpr KernelEntry kBinaryEntries[] = {
    {
        .name = "vector",
        .layouts = BinaryLayouts,
        .accept = AcceptBinary,
        .estimate = [](const KernelRequest& r) { return StreamSeconds(r); },
        .create = Make<BinaryKernel>,
        .in_place = true,
    },
    kTypedEntry};

}  // namespace

std::span<const KernelEntry> UnaryKernels() { return kUnaryEntries; }
std::span<const KernelEntry> BinaryKernels() { return kBinaryEntries; }

}  // namespace sula::cpu
