#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/bands/bands.h"

namespace sula::cpu {
namespace {

int64_t RowsRead(const Window& w, int64_t rows) {
  return std::min(w.in[1], (rows - 1) * w.stride[1] + (w.kernel[1] - 1) * w.dilation[1] + 1);
}

}  // namespace

// The rows of the convolution take half of L2: beside them lie weights and what it reads.
Result<PoolBands> PoolBands::Make(const BandConv& conv, const PoolCall& pool,
                                  const Machine& machine) {
  PoolBands r;
  r.machine_ = machine;
  r.conv_ = conv.spec, r.pool_ = pool;
  if (conv.planar) {
    ASSIGN_OR_RETURN(
        r.first_, ConvPlanar::Make(conv.spec, conv.weights, conv.bias, MachineFor(conv, machine)));
  } else {
    ASSIGN_OR_RETURN(r.first_,
                     ConvGemm::Make(conv.spec, conv.weights, conv.bias, MachineFor(conv, machine)));
  }
  const Window& w = pool.window;
  r.pixel_stride_ = ScratchPixelStride(conv.spec.out_channels);
  const int64_t rows = w.out[1], threads = machine.threads, batch = conv.spec.batch;
  const int64_t shares = Shares(static_cast<int>(threads));
  const int64_t per_image = std::max<int64_t>(1, (shares + batch - 1) / batch);
  r.chunk_rows_ = (rows + per_image - 1) / per_image;
  const int64_t row_bytes = w.in[2] * r.pixel_stride_ * static_cast<int64_t>(sizeof(float));
  const int64_t budget = static_cast<int64_t>(machine.l2_bytes) / 2;
  r.band_rows_ = r.chunk_rows_;
  while (r.band_rows_ > 1 && RowsRead(w, r.band_rows_) * row_bytes > budget) --r.band_rows_;
  const int64_t bands = (r.chunk_rows_ + r.band_rows_ - 1) / r.band_rows_;
  r.band_rows_ = (r.chunk_rows_ + bands - 1) / bands;
  r.kept_rows_ = RowsRead(w, r.band_rows_);
  return r;
}

size_t PoolBands::row_floats() const {
  return static_cast<size_t>(pool_.window.in[2] * pixel_stride_);
}

size_t PoolBands::workspace_bytes() const {
  const size_t scratch = std::visit([](const auto& c) { return c.scratch_bytes(); }, first_);
  return (AlignUp(static_cast<size_t>(kept_rows_) * row_floats() * sizeof(float)) +
          AlignUp(scratch)) *
         static_cast<size_t>(machine_.threads);
}

size_t PoolBands::constant_bytes() const {
  return std::visit([](const auto& c) { return c.constant_bytes(); }, first_);
}

void PoolBands::RunChunk(const ConvArgs& args, int64_t image, Range chunk,
                         std::byte* scratch) const {
  const Window& w = pool_.window;
  auto* const rows = reinterpret_cast<float*>(scratch);
  void* const mine =
      scratch + AlignUp(static_cast<size_t>(kept_rows_) * row_floats() * sizeof(float));
  const int64_t row = static_cast<int64_t>(row_floats());
  PoolCall call = pool_;
  call.batch = 1;
  call.in = rows, call.in_stride = pixel_stride_;
  call.out = args.out + image * w.out_pixels() * args.out_stride;
  call.out_stride = args.out_stride;
  Range kept;  // rows of the convolution that `rows` holds
  for (int64_t y = chunk.begin; y < chunk.end; y += band_rows_) {
    const Range band{y, std::min(y + band_rows_, chunk.end)};
    const Range need = InputRows(w, band);
    // Rows that the band before needed too move to the front: few, and windows then see rows that
    // follow each other.
    const int64_t left = std::max<int64_t>(0, std::min(kept.end, need.end) - need.begin);
    if (left > 0 && need.begin > kept.begin)
      std::memmove(rows, rows + (need.begin - kept.begin) * row,
                   static_cast<size_t>(left * row) * sizeof(float));
    kept = need;
    const Range fresh{need.begin + left, need.end};
    const MapRows to{rows, kept_rows_, row, pixel_stride_, need.begin};
    if (const auto* planar = std::get_if<ConvPlanar>(&first_)) {
      planar->RunRows(args.in + image * planar->image_floats(), fresh, to, nullptr, 0, mine);
    } else {
      const ConvGemm& gemm = std::get<ConvGemm>(first_);
      gemm.RunRows(args.in + image * conv_.window.in_pixels() * args.in_stride, args.in_stride,
                   fresh, to, mine);
    }
    call.first_row = need.begin;
    PoolFor(machine_.target).run(call, band.begin, band.end, 0, call.channels);
  }
}

void PoolBands::Run(const ConvArgs& args, const Parallel& parallel) const {
  const int64_t rows = pool_.window.out[1];
  const int64_t chunks = (rows + chunk_rows_ - 1) / chunk_rows_;
  const size_t bytes = workspace_bytes() / static_cast<size_t>(machine_.threads);
  parallel.For(conv_.batch * chunks, [&](int64_t task, int worker) {
    const int64_t begin = task % chunks * chunk_rows_;
    RunChunk(args, task / chunks, {begin, std::min(begin + chunk_rows_, rows)},
             static_cast<std::byte*>(args.workspace) + static_cast<size_t>(worker) * bytes);
  });
}

}  // namespace sula::cpu
