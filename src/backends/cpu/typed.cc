// Element-wise operators on other types than float32, or with several: comparisons, logic, integer
// arithmetic, Cast, Where.
#include "backends/cpu/kernels/typed/typed.h"

#include <algorithm>

#include "backends/cpu/strides.h"
#include "backends/cpu/typed_entry.h"
#include "ops/elementwise.h"

namespace sula::cpu {
namespace {

constexpr int64_t kTaskElements = 8192, kMinPiece = 64;

std::optional<Element> ElementOf(DType t) {
  switch (t) {
    case DType::kFloat32: return Element::kFloat32;
    case DType::kInt32: return Element::kInt32;
    case DType::kInt64: return Element::kInt64;
    case DType::kUInt8: return Element::kUInt8;
    case DType::kBool: return Element::kBool;
    default: return std::nullopt;
  }
}

struct BinaryRow {
  const OpDef* op;
  Typed fn;
  bool swapped = false;  // a > b is b < a
};
constexpr BinaryRow kBinary[] = {
    {&op::kAdd, Typed::kAdd},
    {&op::kSub, Typed::kSub},
    {&op::kMul, Typed::kMul},
    {&op::kDiv, Typed::kDiv},
    {&op::kMax, Typed::kMax},
    {&op::kMin, Typed::kMin},
    {&op::kPow, Typed::kPow},
    {&op::kEqual, Typed::kEqual},
    {&op::kLess, Typed::kLess},
    {&op::kLessOrEqual, Typed::kLessOrEqual},
    {&op::kGreater, Typed::kLess, true},
    {&op::kGreaterOrEqual, Typed::kLessOrEqual, true},
    {&op::kAnd, Typed::kAnd},
    {&op::kOr, Typed::kOr},
    {&op::kXor, Typed::kXor},
};

struct Call {
  TypedFn fn = nullptr;
  int inputs = 1;
  bool swapped = false;
};
// Without a function if there is none for the types.
Call CallOf(const KernelRequest& r) {
  const OpDef* const op = r.node->op;
  if (op == &op::kWhere) return {TypedWhere(SizeOf(r.inputs[1].dtype)), 3};
  if (op == &op::kNot) return {TypedNot(), 1};
  const std::optional<Element> from = ElementOf(r.inputs[0].dtype);
  if (!from) return {};
  if (op == &op::kCast) {
    const std::optional<Element> to = ElementOf(r.outputs[0].dtype);
    return to ? Call{TypedCast(*from, *to), 1} : Call{};
  }
  if (r.inputs[1].dtype != r.inputs[0].dtype) return {};  // Pow
  for (const BinaryRow& row : kBinary)
    if (row.op == op) return {TypedBinary(row.fn, *from), 2, row.swapped};
  return {};
}

class TypedKernel final : public Kernel {
 public:
  explicit TypedKernel(const KernelRequest& r) : call_(CallOf(r)) {
    const TensorDesc& y = r.outputs[0];
    const Dims out = LogicalStrides(y);
    bytes_[0] = static_cast<int64_t>(SizeOf(y.dtype));
    Dims in[3];
    for (int i = 0; i < call_.inputs; ++i) {
      const TensorDesc& x = r.inputs[Input(i)];
      in[i] = BroadcastStrides(x, y.dims);
      bytes_[i + 1] = static_cast<int64_t>(SizeOf(x.dtype));
    }
    for (size_t axis = 0; axis < out.size(); ++axis) {
      Box<4>::Strides strides = {out[axis], 0, 0, 0};
      for (int i = 0; i < call_.inputs; ++i) strides[static_cast<size_t>(i) + 1] = in[i][axis];
      box_.AddAxis(y.dims[axis], strides);
    }
    box_ = Simplify(box_);
    EnsureUnitRows(box_);
    tasks_ = ShareBox(box_, 1, kTaskElements, kMinPiece);
  }

  void Run(const RunArgs& args) const noexcept override {
    if (box_.num_elements() == 0) return;
    const auto step = box_.strides[static_cast<size_t>(box_.rank) - 1];
    args.parallel.For(tasks_.tasks, [&](int64_t task, int) {
      ForPieces(box_, tasks_, task, [&](const auto& at, int64_t n) {
        TypedRow row;
        row.n = n;
        row.out = static_cast<std::byte*>(args.outputs[0]) + at[0] * bytes_[0];
        for (int i = 0; i < call_.inputs; ++i) {
          const size_t k = static_cast<size_t>(i) + 1;
          row.in[i] = static_cast<const std::byte*>(args.inputs[Input(i)]) + at[k] * bytes_[i + 1];
          row.step[i] = static_cast<int>(step[k]);
        }
        call_.fn(row);
      });
    });
  }

 private:
  // The operator's input that is the function's argument i.
  size_t Input(int i) const { return static_cast<size_t>(call_.swapped ? 1 - i : i); }

  Call call_;
  int64_t bytes_[4] = {};  // of an element of the output and of each argument
  Box<4> box_;
  BoxTasks tasks_;
};

}  // namespace

void TypedLayouts(const KernelRequest& r, std::span<LayoutNeed> in, std::span<LayoutNeed> out) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (r.inputs[i].dims != r.outputs[0].dims) continue;
    in[i] = out[0] = LayoutNeed::kFollow;
  }
}

Verdict AcceptTyped(const KernelRequest& r) {
  if (!CallOf(r).fn) return Verdict::No(StrCat("element type ", Name(r.inputs[0].dtype)));
  return FitsBox(r) ? Verdict::Yes() : Verdict::No("rank too high");
}

double EstimateTyped(const KernelRequest& r) { return StreamSeconds(r, 2); }

Result<std::unique_ptr<Kernel>> CreateTyped(const KernelRequest& r) {
  return std::unique_ptr<Kernel>(std::make_unique<TypedKernel>(r));
}

namespace {
constexpr KernelEntry kEntries[] = {kTypedEntry};
}  // namespace

std::span<const KernelEntry> TypedKernels() { return kEntries; }

}  // namespace sula::cpu
