// Reductions on float32 over any axes.
#include "ops/reduce.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/kernels/elementwise/elementwise.h"
#include "backends/cpu/stream_kernels.h"
#include "backends/cpu/strides.h"

namespace sula::cpu {
namespace {

constexpr int64_t kTaskElements = 8192;
// Rows that fill no vector are turned into columns, a block of them at a time.
constexpr int64_t kShortRow = 16, kShortRows = 128;

struct FoldOp {
  const OpDef* op;
  Fold fold;
};
constexpr FoldOp kFolds[] = {
    {&op::kReduceSum, Fold::kSum},      {&op::kReduceMean, Fold::kSum},
    {&op::kReduceMax, Fold::kMax},      {&op::kReduceMin, Fold::kMin},
    {&op::kReduceProd, Fold::kProduct}, {&op::kReduceSumSquare, Fold::kSumSquares},
    {&op::kReduceL1, Fold::kSumAbs},    {&op::kReduceL2, Fold::kSumSquares},
};

// Precondition: an axes input is constant.
Result<std::vector<bool>> Axes(const KernelRequest& r) {
  const std::vector<int64_t> axes =
      r.HasInput(1) ? r.constants[1]->ToInts() : r.params<ReduceParams>().axes;
  return ReducedAxes(r.params<ReduceParams>(), axes, static_cast<int>(r.inputs[0].dims.size()));
}

// Two results of the same fold over disjoint elements, as one.
float Merge(Fold fold, float a, float b) {
  switch (fold) {
    case Fold::kMax: return std::isnan(a) || a > b ? a : b;
    case Fold::kMin: return std::isnan(a) || a < b ? a : b;
    case Fold::kProduct: return a * b;
    default: return a + b;
  }
}

// Two loop nests: over the kept axes (output, input) and over the reduced ones (input alone). The
// reduced one is inside where its last axis is dense: each output is a fold of rows. Otherwise the
// kept axes' last is the row, and whole rows are folded into the output.
class ReduceKernel final : public Kernel {
 public:
  explicit ReduceKernel(const KernelRequest& r) : kernels_(GetElementwise(BestTarget())) {
    const OpDef* op = r.node->op;
    for (const FoldOp& f : kFolds)
      if (f.op == op) fold_ = f.fold;
    const TensorDesc &x = r.inputs[0], &y = r.outputs[0];
    const std::vector<bool> reduced = *Axes(r);
    const Dims in = LogicalStrides(x), out = LogicalStrides(y);
    const bool keepdims = y.dims.size() == x.dims.size();
    for (size_t i = 0, o = 0; i < x.dims.size(); ++i) {
      if (reduced[i]) {
        reduced_.AddAxis(x.dims[i], {in[i]});
        o += keepdims;
      } else {
        kept_.AddAxis(x.dims[i], {out[o++], in[i]});
      }
    }
    kept_ = Simplify(kept_), reduced_ = Simplify(reduced_);
    by_rows_ = reduced_.rank > 0 && reduced_.strides[reduced_.rank - 1][0] == 1;
    short_rows_ = by_rows_ && reduced_.rank == 1 && reduced_.dims[0] <= kShortRow;
    if (by_rows_) {
      if (kept_.rank == 0) kept_.AddAxis(1, {1, 1});
    } else {
      EnsureUnitRows(kept_);
    }
    const int64_t count = reduced_.num_elements();
    tasks_ = ShareBox(kept_, 1, std::max<int64_t>(1, kTaskElements / std::max<int64_t>(1, count)),
                      by_rows_ ? 1 : 64);
    if (op == &op::kReduceMean) scale_ = 1.f / static_cast<float>(count);
    root_ = op == &op::kReduceL2;
  }

  void Run(const RunArgs& args) const noexcept override {
    if (kept_.num_elements() == 0) return;
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* y = static_cast<float*>(args.outputs[0]);
    const auto step = kept_.strides[kept_.rank - 1];
    args.parallel.For(tasks_.tasks, [&](int64_t task, int) {
      ForPieces(kept_, tasks_, task, [&](const auto& at, int64_t n) {
        if (short_rows_) {
          FoldShortRows(x + at[1], step[1], y + at[0], step[0], n);
        } else if (by_rows_) {
          for (int64_t i = 0; i < n; ++i) {
            y[at[0] + i * step[0]] = Finish(FoldRows(x + at[1] + i * step[1]));
          }
        } else {
          FoldColumns(x + at[1], y + at[0], n);
        }
      });
    });
  }

 private:
  // Calls fn(offset) for each position of all reduced axes but the last `inner`.
  template <class Fn>
  void ForReduced(int inner, Fn&& fn) const {
    int64_t outer = 1;
    for (int i = 0; i < reduced_.rank - inner; ++i) outer *= reduced_.dims[i];
    for (int64_t index = 0; index < outer; ++index) {
      int64_t rest = index, offset = 0;
      for (int i = reduced_.rank - inner - 1; i >= 0; --i) {
        offset += rest % reduced_.dims[i] * reduced_.strides[i][0];
        rest /= reduced_.dims[i];
      }
      fn(offset);
    }
  }

  float FoldRows(const float* x) const {
    const auto fold = kernels_.fold[static_cast<size_t>(fold_)];
    float acc = fold(x, 0);
    ForReduced(1, [&](int64_t offset) {
      acc = Merge(fold_, acc, fold(x + offset, reduced_.dims[reduced_.rank - 1]));
    });
    return acc;
  }

  void FoldShortRows(const float* x, int64_t x_step, float* y, int64_t y_step, int64_t n) const {
    float columns[kShortRow * kShortRows], acc[kShortRows];
    const int64_t length = reduced_.dims[0];
    for (int64_t begin = 0; begin < n; begin += kShortRows) {
      const int64_t rows = std::min(kShortRows, n - begin);
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t k = 0; k < length; ++k) columns[k * rows + i] = x[(begin + i) * x_step + k];
      std::fill_n(acc, rows, kernels_.fold[static_cast<size_t>(fold_)](x, 0));
      for (int64_t k = 0; k < length; ++k)
        kernels_.fold_into[static_cast<size_t>(fold_)](columns + k * rows, acc, rows);
      for (int64_t i = 0; i < rows; ++i) y[(begin + i) * y_step] = Finish(acc[i]);
    }
  }

  void FoldColumns(const float* x, float* y, int64_t n) const {
    std::fill_n(y, n, kernels_.fold[static_cast<size_t>(fold_)](x, 0));
    ForReduced(0, [&](int64_t offset) {
      kernels_.fold_into[static_cast<size_t>(fold_)](x + offset, y, n);
    });
    for (int64_t i = 0; i < n; ++i) y[i] = Finish(y[i]);
  }

  float Finish(float v) const { return root_ ? std::sqrt(v) : v * scale_; }

  const ElementwiseKernels& kernels_;
  Fold fold_ = Fold::kSum;
  Box<2> kept_;
  Box<1> reduced_;
  BoxTasks tasks_;
  bool by_rows_ = false, short_rows_ = false, root_ = false;
  float scale_ = 1;
};

constexpr KernelEntry kEntries[] = {{
    .name = "vector",
    .layouts =
        [](const KernelRequest& r, std::span<LayoutNeed> in, std::span<LayoutNeed>) {
          if (r.inputs[0].dims.size() >= 3) in[0] = LayoutNeed::kFollow;
        },
    .accept =
        [](const KernelRequest& r) {
          if (r.inputs[0].dtype != DType::kFloat32) return Verdict::No("not float32");
          if (r.HasInput(1) && !r.IsConstant(1)) return Verdict::No("axes not constant");
          if (const auto axes = Axes(r); !axes) return Verdict::No(axes.error().message());
          return FitsBox(r) ? Verdict::Yes() : Verdict::No("rank too high");
        },
    .estimate = [](const KernelRequest& r) { return StreamSeconds(r, 1); },
    .create = [](const KernelRequest& r) -> Result<std::unique_ptr<Kernel>> {
      return std::unique_ptr<Kernel>(std::make_unique<ReduceKernel>(r));
    },
}};

}  // namespace

std::span<const KernelEntry> ReduceKernels() { return kEntries; }

}  // namespace sula::cpu
