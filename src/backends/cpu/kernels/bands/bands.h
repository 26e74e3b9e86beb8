// Several layers of one image computed by bands of rows, so that the maps between them stay in the
// L2 cache as private scratch of a thread and never become tensors: a convolution, a depthwise one
// and a pointwise one (the inverted residuals of MobileNets, and the entries of nets), a
// convolution and a pool.
//
// Within a thread no row is computed twice; a thread that begins in the middle of an image computes
// the rows that its first windows reach back to once more.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "backends/cpu/kernels/conv/conv.h"
#include "backends/cpu/kernels/depthwise/depthwise.h"
#include "backends/cpu/kernels/pool/pool.h"

namespace sula::cpu {

// The pixel stride of scratch rows: an odd number of cache lines, so that the same channel of many
// pixels uses all sets of the L1 cache.
constexpr int64_t ScratchPixelStride(int64_t channels) {
  constexpr int64_t kLine = 16;
  return ((channels + kLine - 1) / kLine | 1) * kLine;
}

// A convolution of a chain. weights: [out_channels][in_channels / groups][taps]; bias:
// [out_channels] or null. Both are copied.
struct BandConv {
  ConvSpec spec;
  const float* weights = nullptr;
  const float* bias = nullptr;
  bool planar = false;          // ConvPlanar instead of ConvGemm
  PackSource* packs = nullptr;  // as in Machine, of this node
};

// The machine on which a convolution of a chain is made.
inline Machine MachineFor(const BandConv& conv, Machine machine) {
  machine.packs = conv.packs;
  return machine;
}

// [convolution,] depthwise convolution [, pointwise convolution]; at least two of them.
//
// The first convolution (pointwise or planar) writes groups of at most kDepthwiseGroup channels:
// rows of pixels that are one group wide. For each band of rows it is, group after group, computed
// and convolved while it lies in the nearest cache; then the pointwise convolution takes all
// channels of the band. A map that is small enough is one band: then only one group at a time
// exists.
class DepthwiseBands {
 public:
  // Spatial axes: two, of the same batch. Preconditions: DepthwiseIsFast; a pointwise or planar
  // `first` of one group; a pointwise `last` of one group; neither has a residual, nor has
  // `depthwise` one if there is a `last`. Error: out of memory.
  static Result<DepthwiseBands> Make(const std::optional<BandConv>& first,
                                     const BandConv& depthwise, const std::optional<BandConv>& last,
                                     const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const;
  void Run(const ConvArgs& args, const Parallel& parallel) const;

  int64_t band_rows() const { return band_rows_; }  // of output; of a whole map at most
  bool by_groups() const { return by_groups_; }

 private:
  // Consecutive panels of the first convolution, or channels where there is none.
  struct Group {
    int64_t column = 0, columns = 0;
    size_t panel_begin = 0, panel_end = 0;
  };
  // Scratch of one thread.
  struct Scratch {
    float* rows = nullptr;   // of the first convolution's output, group after group
    float* band = nullptr;   // of the depthwise convolution's output
    float* ring = nullptr;   // of the depthwise kernel, where it reads a tensor and needs one
    void* planar = nullptr;  // of a planar first convolution
  };
  // What of an image a thread computes, and where.
  struct Image {
    const float* in = nullptr;
    int64_t in_stride = 0;
    float* out = nullptr;
    int64_t out_stride = 0;
    const float* residual = nullptr;
    int64_t residual_stride = 0;
  };

  const Window& window() const { return depthwise_.window; }
  bool one_band() const { return band_rows_ >= chunk_rows_; }
  int64_t chunks() const { return (window().out[1] + chunk_rows_ - 1) / chunk_rows_; }
  int64_t middle_channels() const { return depthwise_.out_channels; }
  Image ImageOf(const ConvArgs& args, int64_t image) const;
  void MakeGroups();
  double GroupImbalance() const;
  void ChooseBands(int64_t weight_bytes);
  size_t ScratchBytes() const;
  Scratch ScratchOf(void* workspace, int worker) const;
  int64_t GroupFloats() const;
  MapRows RowsOf(const Scratch& scratch, size_t group) const;

  void RunChunk(const Image& image, Range rows, const Scratch& scratch) const;
  void RunGroups(const ConvArgs& args, const Parallel& parallel) const;
  // One group of input rows `fresh`, then of output rows `rows`; output row y goes to out + (y -
  // first_row) * out[2] * out_stride.
  void RunGroup(const Image& image, size_t group, Range fresh, Range rows, float* out,
                int64_t out_stride, int64_t first_row, const Scratch& scratch) const;

  Machine machine_;
  ConvSpec depthwise_;
  std::variant<std::monostate, ConvGemm, ConvPlanar> first_;
  Depthwise middle_;
  std::optional<ConvGemm> last_;
  std::vector<Group> groups_;
  std::vector<Panel> panels_;  // of a ConvGemm first_, columns counted from their group's
  int64_t band_rows_ = 0;      // output rows of a band
  int64_t chunk_rows_ = 0;     // output rows that a thread takes at a time
  int64_t ring_rows_ = 0;      // input rows of a band
  int64_t block_pixels_ = 0;   // of input that a first pointwise convolution takes at a time
  int64_t pixel_stride_ = 0;   // floats between pixels of Scratch::rows
  bool by_groups_ = false;     // threads share an image by groups of channels, not by rows
  int64_t band_stride_ = 0;    // floats between pixels of Scratch::band
};

// Convolution (planar or not), then a pool over its rows.
class PoolBands {
 public:
  // How many parts an image is cut into at most: two for each thread, if there are several. Little
  // is computed twice, and one thread may be slower than the others.
  static int Shares(int threads) { return threads > 1 ? 2 * threads : 1; }
  // pool: kind, window, pad_end, batch and channels are used. Precondition: no residual.
  static Result<PoolBands> Make(const BandConv& conv, const PoolCall& pool, const Machine& machine);
  size_t workspace_bytes() const;
  size_t constant_bytes() const;
  void Run(const ConvArgs& args, const Parallel& parallel) const;
  int64_t band_rows() const { return band_rows_; }

 private:
  void RunChunk(const ConvArgs& args, int64_t image, Range rows, std::byte* scratch) const;
  size_t row_floats() const;

  Machine machine_;
  ConvSpec conv_;
  PoolCall pool_;
  std::variant<ConvGemm, ConvPlanar> first_;
  int64_t band_rows_ = 0, chunk_rows_ = 0, kept_rows_ = 0;
  int64_t pixel_stride_ = 0;
};

}  // namespace sula::cpu
