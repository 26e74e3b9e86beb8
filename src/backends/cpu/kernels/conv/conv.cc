#include "backends/cpu/kernels/conv/conv.h"

#include <algorithm>
#include <vector>

#include "backends/cpu/kernels/conv/plan.h"

namespace sula::cpu {
namespace {

// Narrow groups waste lanes and fixed costs. Merging f of them into one with zeros between keeps
// the number of FMAs while f * columns fit one vector, and divides the number of tiles by f.
int64_t MergedGroups(int64_t groups, int64_t columns, int lanes) {
  int64_t best = 1;
  for (int64_t f = 2; f <= groups && f * columns <= lanes; ++f)
    if (groups % f == 0) best = f;
  return best;
}

// Pointers of all taps for output pixels [begin, end), counted over the batch:
// pointers[tap * (end - begin) + pixel - begin].
void FillPointers(const Window& w, const float* in, int64_t stride, const float* zeros,
                  int64_t begin, int64_t end, const float** pointers) {
  const int64_t count = end - begin, width = w.out[2];
  for (int64_t p = begin; p < end;) {
    // A run of pixels in one output row.
    const int64_t x0 = p % width, row = p / width;
    const int64_t n = std::min(width - x0, end - p);
    const int64_t y = row % w.out[1], z = row / w.out[1] % w.out[0],
                  b = row / (w.out[1] * w.out[0]);
    const float** at = pointers + (p - begin);
    for (int64_t kz = 0; kz < w.kernel[0]; ++kz) {
      const int64_t iz = z * w.stride[0] + kz * w.dilation[0] - w.pad[0];
      for (int64_t ky = 0; ky < w.kernel[1]; ++ky) {
        const int64_t iy = y * w.stride[1] + ky * w.dilation[1] - w.pad[1];
        const bool inside = iz >= 0 && iz < w.in[0] && iy >= 0 && iy < w.in[1];
        const float* line = in + ((b * w.in[0] + iz) * w.in[1] + iy) * w.in[2] * stride;
        for (int64_t kx = 0; kx < w.kernel[2]; ++kx, at += count) {
          Range valid = inside ? ValidOutputs(w, 2, kx) : Range{x0 + n, x0 + n};
          const int64_t v0 = std::clamp(valid.begin, x0, x0 + n);
          const int64_t v1 = std::clamp(valid.end, v0, x0 + n);
          const int64_t step = w.stride[2] * stride;
          const float* from = line + (kx * w.dilation[2] - w.pad[2]) * stride;
          for (int64_t x = x0; x < v0; ++x) at[x - x0] = zeros;
          for (int64_t x = v0; x < v1; ++x) at[x - x0] = from + x * step;
          for (int64_t x = v1; x < x0 + n; ++x) at[x - x0] = zeros;
        }
      }
    }
    p += n;
  }
}

}  // namespace

WeightShape ConvWeightShape(int64_t in_channels, int64_t out_channels, int64_t groups, int64_t taps,
                            int lanes) {
  const int64_t merged = groups / MergedGroups(groups, out_channels / groups, lanes);
  return {out_channels, taps, in_channels / merged, merged};
}

PackedWeights PackConvWeights(int64_t in_channels, int64_t out_channels, int64_t groups,
                              int64_t taps, FunctionRef<const float*()> weights, const float* bias,
                              const Machine& machine, std::string_view part) {
  const GemmKernels& kernels = GemmFor(machine.target);
  const PanelOptions options{kernels.lanes, kernels.registers};
  const int64_t k = in_channels / groups, columns = out_channels / groups;
  const WeightShape shape = ConvWeightShape(in_channels, out_channels, groups, taps, kernels.lanes);
  const int64_t merge = groups / shape.groups;
  if (merge == 1) {
    return PackArranged(
        [&] {
          return WeightView{weights(), k * taps, 1, taps};
        },
        bias, {out_channels, taps, k, groups}, options, machine, StrCat("conv ", part));
  }
  const int64_t merged_k = merge * k;
  std::vector<float> w;
  const auto arrange = [&] {
    const float* from = weights();
    w.resize(static_cast<size_t>(out_channels * taps * merged_k));
    for (int64_t m = 0; m < out_channels; ++m) {
      float* to = w.data() + m * taps * merged_k + m / columns % merge * k;
      for (int64_t c = 0; c < k; ++c)
        for (int64_t t = 0; t < taps; ++t) to[t * merged_k + c] = from[(m * k + c) * taps + t];
    }
    return WeightView{w.data(), taps * merged_k, merged_k, 1};
  };
  return PackArranged(arrange, bias, {out_channels, taps, merged_k, groups / merge}, options,
                      machine, StrCat("conv merged ", merge, " ", part));
}

bool PrefetchPays(size_t weight_bytes, int64_t rows, const Machine& machine) {
  constexpr int64_t kFewTiles = 12;
  const bool few = rows <= kFewTiles * GemmFor(machine.target).tile_rows[2];
  return weight_bytes > machine.l2_bytes / (few ? 8 : 2);
}

ConvGemmPlan PlanConvGemm(const ConvSpec& spec, const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  const Window& w = spec.window;
  ConvGemmPlan plan;
  plan.shape =
      ConvWeightShape(spec.in_channels, spec.out_channels, spec.groups, w.taps(), kernels.lanes);
  plan.panels = SplitColumns(plan.shape, kernels.lanes, kernels.registers);
  // Neighbouring windows overlap: a row of three taps brings about one new pixel per tap row.
  const int64_t fresh = spec.in_channels * std::min<int64_t>(w.taps(), 3);
  plan.blocks = ChooseGemmBlocks(spec.batch * w.out_pixels(), spec.out_channels, w.taps(),
                                 plan.shape.k, fresh * 4, static_cast<int>(plan.panels.size()),
                                 kernels.tile_rows[plan.panels.front().vectors], machine.threads,
                                 machine.l2_bytes);
  return plan;
}

Result<ConvGemm> ConvGemm::Make(const ConvSpec& spec, const float* weights, const float* bias,
                                const Machine& machine) {
  ConvGemm r;
  r.spec_ = spec, r.machine_ = machine;
  r.weights_ = PackConvWeights(
      spec.in_channels, spec.out_channels, spec.groups, spec.window.taps(), [&] { return weights; },
      bias, machine);
  r.zeros_ = AlignedBuffer(static_cast<size_t>(spec.in_channels) * sizeof(float));
  if (!r.weights_.data.data() || !r.weights_.bias.data() || !r.zeros_.data())
    return ResourceExhausted("no memory for the packed weights of a convolution");
  r.blocks_ = PlanConvGemm(spec, machine).blocks;
  r.prefetch_ =
      PrefetchPays(r.weights_.data.bytes(),
                   std::min(r.blocks_.rows, spec.batch * spec.window.out_pixels()), machine);
  return r;
}

size_t ConvGemm::workspace_bytes() const {
  const int64_t rows = std::min(blocks_.rows, spec_.batch * spec_.window.out_pixels());
  // Pointers, and rows copied for a window of one tap: whether they are, the run's strides tell.
  size_t row_bytes = static_cast<size_t>(spec_.window.taps()) * sizeof(float*);
  if (spec_.window.taps() == 1) row_bytes += static_cast<size_t>(spec_.in_channels + 32) * 4;
  return AlignUp(static_cast<size_t>(rows) * row_bytes) * static_cast<size_t>(machine_.threads);
}

GemmCall ConvGemm::call() const {
  GemmCall call;
  call.panels = weights_.panels.data();
  call.b = weights_.data.as<float>(), call.bias = weights_.bias.as<float>();
  call.taps = spec_.window.taps(), call.k = weights_.shape.k;
  call.prefetch = prefetch_;
  call.epilogue = spec_.epilogue;
  return call;
}

void ConvGemm::Run(const ConvArgs& args, const Parallel& parallel) const {
  const int64_t pixels = spec_.batch * spec_.window.out_pixels();
  const int num_panels = static_cast<int>(weights_.panels.size());
  const size_t per_worker = scratch_bytes();
  parallel.For(blocks_.tasks(), [&](int64_t task, int worker) {
    const int64_t begin = task / blocks_.panel_groups * blocks_.rows;
    const int64_t end = std::min(begin + blocks_.rows, pixels);
    const int p0 = static_cast<int>(task % blocks_.panel_groups) * blocks_.panels;
    const int p1 = std::min(p0 + blocks_.panels, num_panels);
    RunBlock(args, begin, end, p0, p1, args.out + begin * args.out_stride,
             args.residual ? args.residual + begin * args.residual_stride : nullptr,
             static_cast<std::byte*>(args.workspace) + static_cast<size_t>(worker) * per_worker);
  });
}

void ConvGemm::RunRows(const float* image, int64_t in_stride, Range rows, const MapRows& out,
                       void* scratch) const {
  const int64_t width = spec_.window.out[2];
  ConvArgs args;
  args.in = image, args.in_stride = in_stride, args.out_stride = out.pixel_stride;
  const int panels = static_cast<int>(weights_.panels.size());
  // As many rows at a time as follow each other in `out` and fit the scratch.
  for (int64_t y = rows.begin; y < rows.end;) {
    int64_t n = std::min(rows.end - y, out.count - (y - out.first) % out.count);
    if (out.row_stride != width * out.pixel_stride) n = 1;
    const int64_t end = (y + n) * width;
    for (int64_t p = y * width; p < end; p += blocks_.rows) {
      RunBlock(args, p, std::min(p + blocks_.rows, end), 0, panels,
               out.row(y) + (p - y * width) * out.pixel_stride, nullptr, scratch);
    }
    y += n;
  }
}

void ConvGemm::RunBlock(const ConvArgs& args, int64_t begin, int64_t end, int p0, int p1,
                        float* out, const float* residual, void* scratch) const {
  const Window& w = spec_.window;
  GemmCall call = this->call();
  call.c = out, call.c_stride = args.out_stride;
  call.residual = residual, call.residual_stride = args.residual_stride;
  // With one tap, rows that lie apart are gathered: at strides above 1 they tend to lie at powers
  // of two, and all panels read them.
  const bool pointwise = w.IsPointwise(), one_tap = w.taps() == 1;
  const int height = kernels().tile_rows[weights_.panels.front().vectors];
  const bool pack = one_tap && (!pointwise || RowsCollide(args.in_stride, height));
  auto** table = static_cast<const float**>(scratch);
  call.access = RowAccess::kPointers;
  call.pointers = table, call.pointer_stride = end - begin;
  if (!pointwise || pack)
    FillPointers(w, args.in, args.in_stride, zeros_.as<float>(), begin, end, table);
  if (one_tap) {
    call.access = RowAccess::kStrided;
    call.a = args.in + begin * args.in_stride, call.a_stride = args.in_stride;
  }
  if (pack) {
    auto* rows = reinterpret_cast<float*>(table + (end - begin));
    PackRows(table, end - begin, spec_.in_channels, rows);
    call.a = rows, call.a_stride = PackedRowStride(spec_.in_channels);
  }
  kernels().run(call, 0, end - begin, p0, p1);
}

}  // namespace sula::cpu
