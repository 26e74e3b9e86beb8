#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/conv/conv.h"
#include "backends/cpu/kernels/conv/plan.h"
#include "backends/cpu/kernels/copy/vector16.h"

namespace sula::cpu {

// Eight rows share most of their input rows; fewer where threads would go without.
int64_t PlanarBandRows(const ConvSpec& spec, int threads) {
  return std::clamp<int64_t>(spec.window.out[1] * spec.batch / (4 * threads), 1, 8);
}

Result<ConvPlanar> ConvPlanar::Make(const ConvSpec& spec, const float* weights, const float* bias,
                                    const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  const Window& w = spec.window;
  ConvPlanar r;
  r.spec_ = spec, r.machine_ = machine;
  // Every value of a window is a tap of its own with k = 1.
  const int64_t taps = spec.in_channels * w.taps();
  r.weights_ = PackWeights({weights, taps, 1, 0}, bias, {spec.out_channels, taps, 1, 1},
                           {kernels.lanes, kernels.registers}, machine);
  if (!r.weights_.data.data() || !r.weights_.bias.data())
    return ResourceExhausted("no memory for the packed weights of a convolution");
  r.band_rows_ = PlanarBandRows(spec, machine.threads);
  r.strip_rows_ = (r.band_rows_ - 1) * w.stride[1] + (w.kernel[1] - 1) * w.dilation[1] + 1;
  const int64_t width = (w.out[2] - 1) * w.stride[2] + (w.kernel[2] - 1) * w.dilation[2] + 1;
  r.phase_floats_ = (width + w.stride[2] - 1) / w.stride[2];
  const int64_t phases = w.stride[2];
  for (int64_t phase = 0; phase < phases; ++phase) {
    // Element i is image column i * phases + first.
    const int64_t first = phase - w.pad[2];
    Phase p;
    p.begin = std::min(first >= 0 ? 0 : (-first + phases - 1) / phases, r.phase_floats_);
    p.end = std::clamp<int64_t>(first >= w.in[2] ? 0 : (w.in[2] - first + phases - 1) / phases,
                                p.begin, r.phase_floats_);
    p.column = p.begin * phases + first;
    r.phases_.push_back(p);
  }
  for (int64_t c = 0; c < spec.in_channels; ++c) {
    for (int64_t ky = 0; ky < w.kernel[1]; ++ky) {
      for (int64_t kx = 0; kx < w.kernel[2]; ++kx) {
        const int64_t row = c * r.strip_rows_ + ky * w.dilation[1], x = kx * w.dilation[2];
        r.tap_offsets_.push_back((row * phases + x % phases) * r.phase_floats_ + x / phases);
      }
    }
  }
  return r;
}

size_t ConvPlanar::workspace_bytes() const {
  const Window& w = spec_.window;
  const size_t strips =
      static_cast<size_t>(spec_.in_channels * strip_rows_ * w.stride[2] * phase_floats_) *
      sizeof(float);
  const size_t pointers = static_cast<size_t>(spec_.in_channels * w.taps()) * sizeof(float*);
  return (AlignUp(strips) + AlignUp(pointers)) * static_cast<size_t>(machine_.threads);
}

// Input rows [row_begin, row_begin + rows) of all channels, which may lie outside the image:
// strips[((channel * strip_rows + row) * phases + phase) * phase_floats + i] is the padded row's
// element i * phases + phase.
void ConvPlanar::CopyStrips(const float* image, int64_t row_begin, int64_t rows,
                            float* strips) const {
  const Window& w = spec_.window;
  const int64_t phases = w.stride[2];
  for (int64_t c = 0; c < spec_.in_channels; ++c) {
    for (int64_t r = 0; r < rows; ++r) {
      float* to = strips + (c * strip_rows_ + r) * phases * phase_floats_;
      const int64_t y = row_begin + r;
      if (y < 0 || y >= w.in[1]) {
        std::fill_n(to, phases * phase_floats_, 0.f);
        continue;
      }
      const float* from = image + (c * w.in[1] + y) * w.in[2];
      for (const Phase& phase : phases_) {
        std::fill_n(to, phase.begin, 0.f);
        const float* column = from + phase.column;
        const int64_t n = phase.end - phase.begin;
        if (phases == 1) {
          std::memcpy(to + phase.begin, column, static_cast<size_t>(n) * sizeof(float));
        } else if (phases == 2) {
          vector16::CopyEvens(column, to + phase.begin, n);
        } else {
          for (int64_t i = 0; i < n; ++i) to[phase.begin + i] = column[phases * i];
        }
        std::fill(to + phase.end, to + phase_floats_, 0.f);
        to += phase_floats_;
      }
    }
  }
}

void ConvPlanar::Run(const ConvArgs& args, const Parallel& parallel) const {
  const Window& w = spec_.window;
  const int64_t bands = (w.out[1] + band_rows_ - 1) / band_rows_;
  const size_t per_worker = scratch_bytes();
  parallel.For(bands * spec_.batch, [&](int64_t task, int worker) {
    const int64_t image = task / bands, y0 = task % bands * band_rows_;
    const int64_t pixel = image * w.out_pixels();
    RunBand(
        args.in + image * spec_.in_channels * w.in_pixels(),
        {y0, std::min(y0 + band_rows_, w.out[1])},
        {args.out + pixel * args.out_stride, w.out[1], w.out[2] * args.out_stride, args.out_stride},
        args.residual ? args.residual + pixel * args.residual_stride : nullptr,
        args.residual_stride,
        static_cast<std::byte*>(args.workspace) + static_cast<size_t>(worker) * per_worker);
  });
}

void ConvPlanar::RunRows(const float* image, Range rows, const MapRows& out, const float* residual,
                         int64_t residual_stride, void* scratch) const {
  for (int64_t y = rows.begin; y < rows.end; y += band_rows_)
    RunBand(image, {y, std::min(y + band_rows_, rows.end)}, out, residual, residual_stride,
            scratch);
}

void ConvPlanar::RunBand(const float* image, Range rows, const MapRows& out, const float* residual,
                         int64_t residual_stride, void* scratch) const {
  const Window& w = spec_.window;
  const GemmKernels& kernels = GemmFor(machine_.target);
  const size_t pointer_bytes =
      AlignUp(static_cast<size_t>(spec_.in_channels * w.taps()) * sizeof(float*));
  auto* pointers = static_cast<const float**>(scratch);
  auto* strips = reinterpret_cast<float*>(static_cast<std::byte*>(scratch) + pointer_bytes);
  CopyStrips(image, rows.begin * w.stride[1] - w.pad[1],
             (rows.end - rows.begin - 1) * w.stride[1] + (w.kernel[1] - 1) * w.dilation[1] + 1,
             strips);
  GemmCall call;
  call.access = RowAccess::kStrips;
  call.pointers = pointers;
  call.panels = weights_.panels.data();
  call.b = weights_.data.as<float>(), call.bias = weights_.bias.as<float>();
  call.taps = spec_.in_channels * w.taps(), call.k = 1;
  call.c_stride = out.pixel_stride, call.residual_stride = residual_stride;
  call.epilogue = spec_.epilogue;
  for (int64_t y = rows.begin; y < rows.end; ++y) {
    const float* const row = strips + (y - rows.begin) * w.stride[1] * w.stride[2] * phase_floats_;
    for (size_t tap = 0; tap < tap_offsets_.size(); ++tap) pointers[tap] = row + tap_offsets_[tap];
    call.c = out.row(y);
    call.residual = residual ? residual + y * w.out[2] * residual_stride : nullptr;
    kernels.run(call, 0, w.out[2], 0, static_cast<int>(weights_.panels.size()));
  }
}

}  // namespace sula::cpu
