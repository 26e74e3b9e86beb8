// Data movement of any element type as strided copies.
#include "ops/movement.h"

#include <cstring>

#include "backends/cpu/kernels/copy/strided_copy.h"
#include "backends/cpu/stream_kernels.h"
#include "backends/cpu/strides.h"
#include "ops/shape_ops.h"

namespace sula::cpu {
namespace {

constexpr int kZero = -1;  // a part's source: zeros
constexpr size_t kMaxParts = 4096;

// One box copied from input `source` (or from zeros) to output `target`.
struct Part {
  int source = 0, target = 0;
  CopyRegion region;
};
using Parts = std::vector<Part>;

// A stretch of an output axis whose elements come from the input at equal steps, or from the fill.
struct Stretch {
  int64_t to = 0, count = 0, from = 0, step = 1;
  bool fill = false;
};

// Cuts index[o], the input position of each output position (-1: fill), into stretches.
std::vector<Stretch> Cut(const std::vector<int64_t>& index) {
  std::vector<Stretch> r;
  for (int64_t o = 0; o < static_cast<int64_t>(index.size()); ++o) {
    if (!r.empty()) {
      Stretch& s = r.back();
      if (s.fill && index[o] < 0) {
        ++s.count;
        continue;
      }
      if (!s.fill && index[o] >= 0) {
        if (s.count == 1) s.step = index[o] - s.from;
        if (index[o] == s.from + s.count * s.step) {
          ++s.count;
          continue;
        }
      }
    }
    r.push_back(
        {.to = o, .count = 1, .from = std::max<int64_t>(index[o], 0), .fill = index[o] < 0});
  }
  return r;
}

// The product of the axes' stretches. fill: the part's source for filled stretches.
Verdict AddProduct(const KernelRequest& r, const std::vector<std::vector<Stretch>>& axes, int fill,
                   Parts& parts) {
  const Dims in = LogicalStrides(r.inputs[0]), out = LogicalStrides(r.outputs[0]);
  size_t total = 1;
  for (const auto& a : axes) {
    if (a.empty()) return Verdict::Yes();  // an empty output
    total *= a.size();
    if (total > kMaxParts) return Verdict::No("too many pieces");
  }
  for (size_t index = 0; index < total; ++index) {
    Part part;
    size_t rest = index;
    bool filled = false;
    for (const auto& stretches : axes) {
      filled |= stretches[rest % stretches.size()].fill;
      rest /= stretches.size();
    }
    rest = index;
    part.source = filled ? fill : 0;
    for (size_t i = 0; i < axes.size(); ++i) {
      const Stretch& s = axes[i][rest % axes[i].size()];
      rest /= axes[i].size();
      part.region.AddAxis(s.count, {out[i], filled ? 0 : in[i] * s.step});
      part.region.offsets[0] += s.to * out[i];
      if (!filled) part.region.offsets[1] += s.from * in[i];
    }
    parts.push_back(part);
  }
  return Verdict::Yes();
}

std::vector<Stretch> Whole(int64_t count) {
  if (count == 0) return {};
  return {{.count = count}};
}

int64_t Wrapped(int64_t axis, size_t rank) {
  return axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
}

Verdict PlanTranspose(const KernelRequest& r, Parts& parts) {
  const Dims& dims = r.outputs[0].dims;
  const Result<std::vector<int>> perm =
      ResolvePerm(r.params<TransposeParams>().perm, static_cast<int>(dims.size()));
  if (!perm) return Verdict::No(perm.error().message());
  const Dims in = LogicalStrides(r.inputs[0]), out = LogicalStrides(r.outputs[0]);
  Part part;
  for (size_t i = 0; i < dims.size(); ++i) part.region.AddAxis(dims[i], {out[i], in[(*perm)[i]]});
  parts.push_back(part);
  return Verdict::Yes();
}

Verdict PlanConcat(const KernelRequest& r, Parts& parts) {
  const Dims& dims = r.outputs[0].dims;
  const int64_t axis = Wrapped(r.params<ConcatParams>().axis, dims.size());
  const Dims out = LogicalStrides(r.outputs[0]);
  int64_t at = 0;
  for (size_t k = 0; k < r.inputs.size(); ++k) {
    const Dims in = LogicalStrides(r.inputs[k]);
    Part part{.source = static_cast<int>(k)};
    for (size_t i = 0; i < dims.size(); ++i)
      part.region.AddAxis(r.inputs[k].dims[i], {out[i], in[i]});
    part.region.offsets[0] = at * out[axis];
    at += r.inputs[k].dims[axis];
    parts.push_back(part);
  }
  return Verdict::Yes();
}

Verdict PlanSplit(const KernelRequest& r, Parts& parts) {
  const Dims& dims = r.inputs[0].dims;
  const int64_t axis = Wrapped(r.params<SplitParams>().axis, dims.size());
  const Dims in = LogicalStrides(r.inputs[0]);
  int64_t at = 0;
  for (size_t k = 0; k < r.outputs.size(); ++k) {
    if (!r.outputs[k].present) return Verdict::No("an output is absent");
    const Dims out = LogicalStrides(r.outputs[k]);
    Part part{.target = static_cast<int>(k)};
    for (size_t i = 0; i < dims.size(); ++i)
      part.region.AddAxis(r.outputs[k].dims[i], {out[i], in[i]});
    part.region.offsets[1] = at * in[axis];
    at += r.outputs[k].dims[axis];
    parts.push_back(part);
  }
  return Verdict::Yes();
}

Verdict PlanSlice(const KernelRequest& r, Parts& parts) {
  for (size_t i = 1; i < r.inputs.size(); ++i)
    if (r.HasInput(i) && !r.IsConstant(i)) return Verdict::No("bounds not constant");
  const Dims& x = r.inputs[0].dims;
  std::vector<std::vector<Stretch>> axes;
  for (int64_t d : x) axes.push_back(Whole(d));
  const auto ints = [&](size_t i) {
    return r.HasInput(i) ? r.constants[i]->ToInts() : std::vector<int64_t>();
  };
  const std::vector<int64_t> starts = ints(1), ends = ints(2), which = ints(3), steps = ints(4);
  for (size_t k = 0; k < starts.size(); ++k) {
    const int64_t axis = which.empty() ? static_cast<int64_t>(k) : Wrapped(which[k], x.size());
    const Result<SliceRange> range =
        ResolveSlice(x[axis], starts[k], ends[k], steps.empty() ? 1 : steps[k]);
    if (!range) return Verdict::No(range.error().message());
    axes[axis] = Whole(range->count);
    if (range->count > 0) axes[axis][0].from = range->begin, axes[axis][0].step = range->step;
  }
  return AddProduct(r, axes, kZero, parts);
}

Verdict PlanPad(const KernelRequest& r, Parts& parts) {
  if (!r.IsConstant(1) || (r.HasInput(3) && !r.IsConstant(3)))
    return Verdict::No("pads not constant");
  const Dims &x = r.inputs[0].dims, &y = r.outputs[0].dims;
  const PadMode mode = r.params<PadParams>().mode;
  const std::vector<int64_t> pads = r.constants[1]->ToInts();
  const std::vector<int64_t> which =
      r.HasInput(3) ? r.constants[3]->ToInts() : std::vector<int64_t>();
  std::vector<std::vector<Stretch>> axes;
  for (int64_t d : x) axes.push_back(Whole(d));
  for (size_t k = 0; k < pads.size() / 2; ++k) {
    const int64_t axis = which.empty() ? static_cast<int64_t>(k) : Wrapped(which[k], x.size());
    const int64_t d = x[axis];
    std::vector<int64_t> index(y[axis]);
    for (int64_t o = 0; o < y[axis]; ++o) {
      int64_t i = o - pads[k];
      if (i < 0 || i >= d) {
        if (mode == PadMode::kConstant) {
          i = -1;
        } else if (d == 0) {
          return Verdict::No("padding of nothing");
        } else if (mode == PadMode::kEdge) {
          i = i < 0 ? 0 : d - 1;
        } else if (mode == PadMode::kWrap) {
          i = (i % d + d) % d;
        } else if (d == 1) {
          i = 0;
        } else {
          const int64_t period = 2 * (d - 1);
          i = (i % period + period) % period;
          i = i < d ? i : period - i;
        }
      }
      index[o] = i;
    }
    axes[axis] = Cut(index);
  }
  return AddProduct(r, axes, r.HasInput(2) ? 2 : kZero, parts);
}

Verdict PlanExpand(const KernelRequest& r, Parts& parts) {
  const Dims& dims = r.outputs[0].dims;
  const Dims out = LogicalStrides(r.outputs[0]), in = BroadcastStrides(r.inputs[0], dims);
  Part part;
  for (size_t i = 0; i < dims.size(); ++i) part.region.AddAxis(dims[i], {out[i], in[i]});
  parts.push_back(part);
  return Verdict::Yes();
}

Verdict PlanTile(const KernelRequest& r, Parts& parts) {
  const Dims &x = r.inputs[0].dims, &y = r.outputs[0].dims;
  if (2 * static_cast<int>(x.size()) > CopyRegion::kMaxRank) return Verdict::No("rank too high");
  const Dims in = LogicalStrides(r.inputs[0]), out = LogicalStrides(r.outputs[0]);
  Part part;
  for (size_t i = 0; i < x.size(); ++i) {
    part.region.AddAxis(x[i] == 0 ? 0 : y[i] / x[i], {out[i] * x[i], 0});
    part.region.AddAxis(x[i], {out[i], in[i]});
  }
  parts.push_back(part);
  return Verdict::Yes();
}

// Between depth [N, C', ...] and space [N, C, H b, W b]: element (c, h b + i, w b + j) of space is
// channel (i b + j) C + c of depth, or, in order CRD, channel c b b + i b + j.
Verdict PlanBlocks(const KernelRequest& r, bool to_space, bool crd, Parts& parts) {
  const TensorDesc& depth = to_space ? r.inputs[0] : r.outputs[0];
  const TensorDesc& space = to_space ? r.outputs[0] : r.inputs[0];
  const int64_t b = r.params<BlockParams>().block, c = space.dims[1];
  const Dims d = LogicalStrides(depth), s = LogicalStrides(space);
  Part part;
  const auto add = [&](int64_t dim, int64_t in_space, int64_t in_depth) {
    part.region.AddAxis(dim, to_space ? CopyRegion::Strides{in_space, in_depth}
                                      : CopyRegion::Strides{in_depth, in_space});
  };
  add(depth.dims[0], s[0], d[0]);
  add(c, s[1], d[1] * (crd ? b * b : 1));
  add(depth.dims[2], s[2] * b, d[2]);
  add(b, s[2], d[1] * (crd ? b : b * c));
  add(depth.dims[3], s[3] * b, d[3]);
  add(b, s[3], d[1] * (crd ? 1 : c));
  parts.push_back(part);
  return Verdict::Yes();
}

// Fills parts for the request's layouts, or says why not. Which parts there are does not depend on
// the layouts.
Verdict PlanParts(const KernelRequest& r, Parts& parts) {
  const OpDef* op = r.node->op;
  if (!FitsBox(r)) return Verdict::No("rank too high");
  if (op == &op::kTranspose) return PlanTranspose(r, parts);
  if (op == &op::kConcat) return PlanConcat(r, parts);
  if (op == &op::kSplit) return PlanSplit(r, parts);
  if (op == &op::kSlice) return PlanSlice(r, parts);
  if (op == &op::kPad) return PlanPad(r, parts);
  if (op == &op::kExpand) return PlanExpand(r, parts);
  if (op == &op::kTile) return PlanTile(r, parts);
  return PlanBlocks(r, op == &op::kDepthToSpace, r.params<BlockParams>().crd, parts);
}

class MovementKernel final : public Kernel {
 public:
  explicit MovementKernel(const KernelRequest& r) : element_bytes_(SizeOf(r.outputs[0].dtype)) {
    SULA_CHECK(static_cast<bool>(PlanParts(r, parts_)));
    for (Part& p : parts_) p.region = Simplify(p.region);
  }

  std::string Detail() const override {
    return parts_.size() == 1 ? "1 copy" : StrCat(parts_.size(), " copies");
  }

  void Run(const RunArgs& args) const noexcept override {
    static constexpr uint64_t kZeros = 0;
    for (const Part& p : parts_) {
      RunCopy(p.region, p.source == kZero ? &kZeros : args.inputs[p.source], args.outputs[p.target],
              element_bytes_, args.parallel);
    }
  }

 private:
  size_t element_bytes_;
  Parts parts_;
};

void Layouts(const KernelRequest& r, std::span<LayoutNeed> in, std::span<LayoutNeed> out) {
  const OpDef* op = r.node->op;
  if (r.outputs[0].dims.size() < 3 || op == &op::kTranspose || op == &op::kExpand) return;
  in[0] = LayoutNeed::kFollow;
  for (LayoutNeed& need : out) need = LayoutNeed::kFollow;
  if (op == &op::kConcat)
    for (LayoutNeed& need : in) need = LayoutNeed::kFollow;
}

constexpr KernelEntry kEntries[] = {{
    .name = "strided-copy",
    .layouts = Layouts,
    .accept =
        [](const KernelRequest& r) {
          Parts parts;
          return PlanParts(r, parts);
        },
    .estimate = [](const KernelRequest& r) { return StreamSeconds(r); },
    .create = [](const KernelRequest& r) -> Result<std::unique_ptr<Kernel>> {
      return std::unique_ptr<Kernel>(std::make_unique<MovementKernel>(r));
    },
}};

}  // namespace

std::span<const KernelEntry> MovementKernels() { return kEntries; }

}  // namespace sula::cpu
