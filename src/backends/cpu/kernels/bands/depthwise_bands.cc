#include <algorithm>

#include "backends/cpu/kernels/bands/bands.h"

namespace sula::cpu {
namespace {

constexpr int64_t kFloat = sizeof(float);
constexpr int64_t kLeastBlock = 48;  // pixels: some tiles

int64_t RowExtent(const Window& w) { return (w.kernel[1] - 1) * w.dilation[1] + 1; }

// Input rows that `rows` output rows read together, at most.
int64_t RowsRead(const Window& w, int64_t rows) {
  return std::min(w.in[1], (rows - 1) * w.stride[1] + RowExtent(w));
}

int64_t WeightBytes(const ConvSpec& s) {
  return s.in_channels / s.groups * s.out_channels * s.window.taps() * kFloat;
}

}  // namespace

Result<DepthwiseBands> DepthwiseBands::Make(const std::optional<BandConv>& first,
                                            const BandConv& depthwise,
                                            const std::optional<BandConv>& last,
                                            const Machine& machine) {
  DepthwiseBands r;
  r.machine_ = machine;
  r.depthwise_ = depthwise.spec;
  int64_t weights = 0;
  if (first && first->planar) {
    ASSIGN_OR_RETURN(r.first_, ConvPlanar::Make(first->spec, first->weights, first->bias,
                                                MachineFor(*first, machine)));
  } else if (first) {
    ASSIGN_OR_RETURN(r.first_, ConvGemm::Make(first->spec, first->weights, first->bias,
                                              MachineFor(*first, machine)));
  }
  // One thread of the kernel at a time works on all columns of its rows.
  Machine one_thread = MachineFor(depthwise, machine);
  one_thread.threads = 1;
  ASSIGN_OR_RETURN(r.middle_,
                   Depthwise::Make(depthwise.spec, depthwise.weights, depthwise.bias, one_thread));
  if (last) {
    ConvSpec spec = last->spec;
    spec.batch = 1;
    ASSIGN_OR_RETURN(r.last_,
                     ConvGemm::Make(spec, last->weights, last->bias, MachineFor(*last, machine)));
    weights += WeightBytes(spec);
  }
  if (first) weights += WeightBytes(first->spec);
  r.MakeGroups();
  r.ChooseBands(weights);
  return r;
}

void DepthwiseBands::MakeGroups() {
  const int64_t channels = middle_channels();
  if (const auto* gemm = std::get_if<ConvGemm>(&first_)) {
    panels_ = gemm->weights().panels;
    for (size_t p = 0; p < panels_.size(); ++p) {
      Panel& panel = panels_[p];
      if (groups_.empty() || panel.column + panel.columns - groups_.back().column > kDepthwiseGroup)
        groups_.push_back({panel.column, 0, p, p});
      Group& group = groups_.back();
      group.columns = panel.column + panel.columns - group.column;
      group.panel_end = p + 1;
      panel.column -= group.column;
    }
  } else {
    for (int64_t c = 0; c < channels; c += kDepthwiseGroup)
      groups_.push_back({c, std::min<int64_t>(kDepthwiseGroup, channels - c), 0, 0});
  }
  int64_t widest = 0;
  for (const Group& g : groups_) widest = std::max(widest, g.columns);
  pixel_stride_ = ScratchPixelStride(widest);
}

// How much longer the busiest thread works than the average, if each takes the next group when it
// is done.
double DepthwiseBands::GroupImbalance() const {
  std::vector<int64_t> work(static_cast<size_t>(machine_.threads), 0);
  for (const Group& g : groups_) *std::min_element(work.begin(), work.end()) += g.columns;
  return static_cast<double>(*std::max_element(work.begin(), work.end())) *
         static_cast<double>(machine_.threads) / static_cast<double>(middle_channels());
}

// A band's maps take half of L2 together, the other half is for weights and what is read and
// written: measured alike from a quarter up to twice as much on 512 KiB. Where one group of a whole
// map takes no more than that, the map is one band, group by group.
void DepthwiseBands::ChooseBands(int64_t weight_bytes) {
  const Window& w = window();
  const bool first = first_.index() != 0;
  const int64_t budget = static_cast<int64_t>(machine_.l2_bytes) / 2;
  const int64_t group_row = first ? w.in[2] * pixel_stride_ * kFloat : 0;
  const int64_t input_row = static_cast<int64_t>(groups_.size()) * group_row;
  const int64_t output_row = last_ ? w.out[2] * middle_channels() * kFloat : 0;

  const int64_t threads = machine_.threads, rows = w.out[1];
  const bool small_group = RowsRead(w, rows) * group_row <= budget;
  const int64_t map_bytes = w.in_pixels() * middle_channels() * kFloat;
  chunk_rows_ = rows;
  if (threads > 1 && depthwise_.batch < threads) {
    const int64_t per_image = (threads + depthwise_.batch - 1) / depthwise_.batch;
    // By rows: the longest share, and the rows of the first convolution that two shares need. By
    // groups: the longest share.
    const int64_t share = (rows + per_image - 1) / per_image;
    const double twice = first ? static_cast<double>(RowExtent(w) - w.stride[1]) / 2 : 0;
    const double by_rows = (static_cast<double>(share) + std::max(0.0, twice)) *
                           static_cast<double>(per_image) / static_cast<double>(rows);
    by_groups_ = small_group && GroupImbalance() <= by_rows && (first || weight_bytes > map_bytes);
    if (!by_groups_) chunk_rows_ = share;
  }
  // The depthwise kernel cuts the channels of a tensor itself.
  if (!first && !by_groups_) groups_ = {{0, middle_channels(), 0, 0}};
  band_rows_ = chunk_rows_;
  const auto fits = [&](int64_t r) {
    return RowsRead(w, r) * input_row + r * output_row <= budget;
  };
  if (!by_groups_ && !(first && small_group)) {
    while (band_rows_ > 1 && !fits(band_rows_)) --band_rows_;
    const int64_t bands = (chunk_rows_ + band_rows_ - 1) / band_rows_;
    band_rows_ = (chunk_rows_ + bands - 1) / bands;
    // The depthwise kernel takes two rows at a time.
    if (band_rows_ % 2 == 1 && band_rows_ < chunk_rows_)
      band_rows_ += band_rows_ == 1 || fits(band_rows_ + 1) ? 1 : -1;
  }
  ring_rows_ = RowsRead(w, band_rows_);
  if (const auto* gemm = std::get_if<ConvGemm>(&first_)) {
    // The first convolution's pixels, which each panel of a group reads, share the budget with the
    // group's weights.
    const int64_t bytes = gemm->call().k * kFloat;
    block_pixels_ = std::max(kLeastBlock, budget / bytes - kDepthwiseGroup);
  }
  band_stride_ = ScratchPixelStride(middle_channels());
}

// Of a group's rows in scratch.
int64_t DepthwiseBands::GroupFloats() const { return ring_rows_ * window().in[2] * pixel_stride_; }

size_t DepthwiseBands::ScratchBytes() const {
  size_t bytes = 0;
  if (first_.index() != 0) {
    const int64_t groups = one_band() ? 1 : static_cast<int64_t>(groups_.size());
    bytes += AlignUp(static_cast<size_t>(groups * GroupFloats()) * sizeof(float));
  } else {
    bytes += AlignUp(middle_.ring_floats() * sizeof(float));
  }
  if (last_ && !by_groups_)
    bytes +=
        AlignUp(static_cast<size_t>(band_rows_ * window().out[2] * band_stride_) * sizeof(float));
  if (const auto* planar = std::get_if<ConvPlanar>(&first_))
    bytes += AlignUp(planar->scratch_bytes());
  return bytes;
}

size_t DepthwiseBands::workspace_bytes() const {
  size_t bytes = ScratchBytes() * static_cast<size_t>(machine_.threads);
  if (by_groups_ && last_)
    bytes += AlignUp(static_cast<size_t>(window().out_pixels() * band_stride_) * sizeof(float)) +
             AlignUp(last_->workspace_bytes());
  return bytes;
}

size_t DepthwiseBands::constant_bytes() const {
  size_t bytes = middle_.constant_bytes();
  if (const auto* gemm = std::get_if<ConvGemm>(&first_)) bytes += gemm->constant_bytes();
  if (const auto* planar = std::get_if<ConvPlanar>(&first_)) bytes += planar->constant_bytes();
  if (last_) bytes += last_->constant_bytes();
  return bytes;
}

DepthwiseBands::Scratch DepthwiseBands::ScratchOf(void* workspace, int worker) const {
  auto* at = static_cast<std::byte*>(workspace) + static_cast<size_t>(worker) * ScratchBytes();
  const auto take = [&](size_t bytes) {
    std::byte* const p = at;
    at += AlignUp(bytes);
    return p;
  };
  Scratch s;
  if (first_.index() != 0) {
    const int64_t groups = one_band() ? 1 : static_cast<int64_t>(groups_.size());
    s.rows = reinterpret_cast<float*>(take(static_cast<size_t>(groups * GroupFloats()) * 4));
  } else if (middle_.ring_floats() > 0) {
    s.ring = reinterpret_cast<float*>(take(middle_.ring_floats() * 4));
  }
  if (last_ && !by_groups_)
    s.band = reinterpret_cast<float*>(
        take(static_cast<size_t>(band_rows_ * window().out[2] * band_stride_) * 4));
  if (std::holds_alternative<ConvPlanar>(first_)) s.planar = at;
  return s;
}

MapRows DepthwiseBands::RowsOf(const Scratch& scratch, size_t group) const {
  const int64_t slot = one_band() ? 0 : static_cast<int64_t>(group);
  return {scratch.rows + slot * GroupFloats(), ring_rows_, window().in[2] * pixel_stride_,
          pixel_stride_};
}

void DepthwiseBands::RunGroup(const Image& image, size_t index, Range fresh, Range rows, float* out,
                              int64_t out_stride, int64_t first_row, const Scratch& scratch) const {
  const Window& w = window();
  const Group& group = groups_[index];
  const MapRows inside = RowsOf(scratch, index);
  if (const auto* gemm = std::get_if<ConvGemm>(&first_)) {
    GemmCall call = gemm->call();
    call.a_stride = image.in_stride, call.c_stride = pixel_stride_;
    call.panels = panels_.data();
    call.bias += group.column;
    // Rows follow each other as far as the scratch goes.
    for (int64_t y = fresh.begin, end; y < fresh.end; y = end) {
      end = std::min(fresh.end, (y / ring_rows_ + 1) * ring_rows_);
      call.a = image.in + y * w.in[2] * image.in_stride;
      call.c = inside.row(y);
      const int64_t pixels = (end - y) * w.in[2];
      for (int64_t p = 0; p < pixels; p += block_pixels_)
        gemm->kernels().run(call, p, std::min(p + block_pixels_, pixels),
                            static_cast<int>(group.panel_begin), static_cast<int>(group.panel_end));
    }
  } else if (const auto* planar = std::get_if<ConvPlanar>(&first_)) {
    planar->RunRows(image.in, fresh, inside, nullptr, 0, scratch.planar);
  }
  DepthwiseCall call = middle_.call();
  if (scratch.rows) {
    call.rows = &inside, call.first_channel = group.column;
  } else {
    call.in = image.in, call.in_stride = image.in_stride, call.ring = scratch.ring;
  }
  call.out = out, call.out_stride = out_stride, call.first_row = first_row;
  if (!last_) call.residual = image.residual, call.residual_stride = image.residual_stride;
  middle_.RunRows(call, rows, group.column, group.columns);
}

void DepthwiseBands::RunChunk(const Image& image, Range chunk, const Scratch& scratch) const {
  const Window& w = window();
  int64_t done = 0;  // input rows up to here have been computed
  for (int64_t y = chunk.begin; y < chunk.end; y += band_rows_) {
    const Range rows{y, std::min(y + band_rows_, chunk.end)};
    const Range need = InputRows(w, rows);
    const Range fresh{std::max(need.begin, done), need.end};
    done = std::max(done, need.end);
    for (size_t g = 0; g < groups_.size(); ++g) {
      if (last_) {
        RunGroup(image, g, fresh, rows, scratch.band, band_stride_, y, scratch);
      } else {
        RunGroup(image, g, fresh, rows, image.out, image.out_stride, 0, scratch);
      }
    }
    if (!last_) continue;
    GemmCall call = last_->call();
    call.a_stride = band_stride_;
    call.c_stride = image.out_stride, call.residual_stride = image.residual_stride;
    const int64_t pixels = (rows.end - rows.begin) * w.out[2], block = last_->blocks().rows;
    for (int64_t p = 0; p < pixels; p += block) {
      call.a = scratch.band + p * band_stride_;
      call.c = image.out + (y * w.out[2] + p) * image.out_stride;
      if (image.residual)
        call.residual = image.residual + (y * w.out[2] + p) * image.residual_stride;
      last_->kernels().run(call, 0, std::min(block, pixels - p), 0,
                           static_cast<int>(last_->weights().panels.size()));
    }
  }
}

void DepthwiseBands::RunGroups(const ConvArgs& args, const Parallel& parallel) const {
  const Window& w = window();
  auto* shared = static_cast<std::byte*>(args.workspace) +
                 ScratchBytes() * static_cast<size_t>(machine_.threads);
  const Range all{0, w.out[1]}, fresh = InputRows(w, all);
  for (int64_t b = 0; b < depthwise_.batch; ++b) {
    const Image image = ImageOf(args, b);
    auto* band = reinterpret_cast<float*>(shared);
    parallel.For(static_cast<int64_t>(groups_.size()), [&](int64_t group, int worker) {
      const Scratch scratch = ScratchOf(args.workspace, worker);
      RunGroup(image, static_cast<size_t>(group), fresh, all, last_ ? band : image.out,
               last_ ? band_stride_ : image.out_stride, 0, scratch);
    });
    if (!last_) continue;
    ConvArgs last = args;
    last.in = band, last.in_stride = band_stride_;
    last.out = image.out, last.residual = image.residual;
    last.workspace =
        shared + AlignUp(static_cast<size_t>(w.out_pixels() * band_stride_) * sizeof(float));
    last_->Run(last, parallel);
  }
}

DepthwiseBands::Image DepthwiseBands::ImageOf(const ConvArgs& args, int64_t image) const {
  const Window& w = window();
  Image r;
  int64_t in_floats = w.in_pixels() * args.in_stride;
  if (const auto* planar = std::get_if<ConvPlanar>(&first_)) in_floats = planar->image_floats();
  r.in = args.in + image * in_floats, r.in_stride = args.in_stride;
  r.out = args.out + image * w.out_pixels() * args.out_stride, r.out_stride = args.out_stride;
  if (args.residual) r.residual = args.residual + image * w.out_pixels() * args.residual_stride;
  r.residual_stride = args.residual_stride;
  return r;
}

void DepthwiseBands::Run(const ConvArgs& args, const Parallel& parallel) const {
  if (by_groups_) return RunGroups(args, parallel);
  const int64_t rows = window().out[1];
  parallel.For(depthwise_.batch * chunks(), [&](int64_t task, int worker) {
    const int64_t begin = task % chunks() * chunk_rows_;
    const Scratch scratch = ScratchOf(args.workspace, worker);
    RunChunk(ImageOf(args, task / chunks()), {begin, std::min(begin + chunk_rows_, rows)}, scratch);
  });
}

}  // namespace sula::cpu
