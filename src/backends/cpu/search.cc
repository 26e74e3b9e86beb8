// ArgMax, ArgMin, CumSum and TopK on float32, int32 and int64.
#include "backends/cpu/kernels/search/search.h"

#include <algorithm>

#include "backends/cpu/stream_kernels.h"
#include "backends/cpu/strides.h"
#include "base/aligned_buffer.h"
#include "ops/reduce.h"

namespace sula::cpu {
namespace {

constexpr int64_t kTaskElements = 8192;

// Calls fn(T{}) with the type of x. Precondition: AcceptType.
template <class Fn>
void ForType(DType type, Fn&& fn) {
  switch (type) {
    case DType::kInt32: return fn(int32_t{});
    case DType::kInt64: return fn(int64_t{});
    default: return fn(float{});
  }
}

Verdict AcceptType(const KernelRequest& r) {
  const DType t = r.inputs[0].dtype;
  if (t != DType::kFloat32 && t != DType::kInt32 && t != DType::kInt64)
    return Verdict::No(StrCat("element type ", Name(t)));
  return Verdict::Yes();
}

Lines LinesOf(const TensorDesc& x, int64_t axis) {
  const size_t at =
      static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(x.dims.size()) : axis);
  Lines lines;
  lines.size = x.dims[at];
  for (size_t i = 0; i < at; ++i) lines.outer *= x.dims[i];
  for (size_t i = at + 1; i < x.dims.size(); ++i) lines.inner *= x.dims[i];
  return lines;
}

// fn(begin, end, worker) for lines in pieces of some thousand elements.
template <class Fn>
void ForLines(const Lines& lines, const Parallel& parallel, Fn&& fn) {
  const int64_t per_task = std::max<int64_t>(1, kTaskElements / std::max<int64_t>(1, lines.size));
  parallel.For((lines.count() + per_task - 1) / per_task, [&](int64_t task, int worker) {
    fn(task * per_task, std::min(lines.count(), (task + 1) * per_task), worker);
  });
}

class ArgKernel final : public Kernel {
 public:
  explicit ArgKernel(const KernelRequest& r) : type_(r.inputs[0].dtype) {
    const auto& p = r.params<ArgParams>();
    call_ = {LinesOf(r.inputs[0], p.axis), r.node->op == &op::kArgMax, p.select_last_index};
  }
  void Run(const RunArgs& args) const noexcept override {
    ForType(type_, [&](auto zero) {
      using T = decltype(zero);
      ForLines(call_.lines, args.parallel, [&](int64_t begin, int64_t end, int) {
        FindExtremum(call_, static_cast<const T*>(args.inputs[0]),
                     static_cast<int64_t*>(args.outputs[0]), begin, end);
      });
    });
  }

 private:
  DType type_;
  ExtremumCall call_;
};

class CumSumKernel final : public Kernel {
 public:
  explicit CumSumKernel(const KernelRequest& r) : type_(r.inputs[0].dtype) {
    const auto& p = r.params<CumSumParams>();
    call_ = {LinesOf(r.inputs[0], r.constants[1]->AsInt(0)), p.exclusive, p.reverse};
  }
  void Run(const RunArgs& args) const noexcept override {
    ForType(type_, [&](auto zero) {
      using T = decltype(zero);
      ForLines(call_.lines, args.parallel, [&](int64_t begin, int64_t end, int) {
        SumLines(call_, static_cast<const T*>(args.inputs[0]), static_cast<T*>(args.outputs[0]),
                 begin, end);
      });
    });
  }

 private:
  DType type_;
  SumCall call_;
};

class TopKernel final : public Kernel {
 public:
  explicit TopKernel(const KernelRequest& r)
      : type_(r.inputs[0].dtype), threads_(std::max(1, r.threads)) {
    const auto& p = r.params<TopKParams>();
    call_ = {LinesOf(r.inputs[0], p.axis), r.constants[1]->AsInt(0), p.largest};
  }
  size_t workspace_bytes() const override {
    return AlignUp(TopScratchBytes(call_.lines)) * static_cast<size_t>(threads_);
  }
  void Run(const RunArgs& args) const noexcept override {
    ForType(type_, [&](auto zero) {
      using T = decltype(zero);
      ForLines(call_.lines, args.parallel, [&](int64_t begin, int64_t end, int worker) {
        FindTop(call_, static_cast<const T*>(args.inputs[0]), static_cast<T*>(args.outputs[0]),
                args.outputs.size() > 1 ? static_cast<int64_t*>(args.outputs[1]) : nullptr, begin,
                end,
                static_cast<std::byte*>(args.workspace) +
                    AlignUp(TopScratchBytes(call_.lines)) * static_cast<size_t>(worker));
      });
    });
  }

 private:
  DType type_;
  int threads_;
  TopCall call_;
};

// The second input, axis or k, decides on the loops.
Verdict AcceptConstant(const KernelRequest& r) {
  if (!r.IsConstant(1))
    return Verdict::No(r.node->op == &op::kTopK ? "k not constant" : "axis not constant");
  return AcceptType(r);
}

template <class K>
Result<std::unique_ptr<Kernel>> Make(const KernelRequest& r) {
  return std::unique_ptr<Kernel>(std::make_unique<K>(r));
}

constexpr KernelEntry kArgEntries[] = {{
    .name = "lines",
    .accept = AcceptType,
    .estimate = [](const KernelRequest& r) { return StreamSeconds(r, 16); },
    .create = Make<ArgKernel>,
}};
constexpr KernelEntry kCumSumEntries[] = {{
    .name = "lines",
    .accept = AcceptConstant,
    .estimate = [](const KernelRequest& r) { return StreamSeconds(r, 16); },
    .create = Make<CumSumKernel>,
    .in_place = true,
}};
constexpr KernelEntry kTopKEntries[] = {{
    .name = "lines",
    .accept = AcceptConstant,
    .estimate = [](const KernelRequest& r) { return StreamSeconds(r, 200); },
    .create = Make<TopKernel>,
}};

}  // namespace

std::span<const KernelEntry> ArgKernels() { return kArgEntries; }
std::span<const KernelEntry> CumSumKernels() { return kCumSumEntries; }
std::span<const KernelEntry> TopKKernels() { return kTopKEntries; }

}  // namespace sula::cpu
