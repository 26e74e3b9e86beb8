// The cost model: seconds that a kernel will take, from what it does and what the machine can do
// (machine_profile.h). Everything that ranks kernels goes through Seconds.
#pragma once

#include <array>
#include <span>

#include "backends/cpu/machine_profile.h"

namespace sula::cpu {

// What one run of a kernel does, all threads together.
struct Work {
  double flops = 0;
  double efficiency = 1;  // share of the peak that these flops reach out of L1
  double bytes = 0;       // inputs and outputs, each once: what comes from the producer or goes to
                          // the consumer
  double seconds = 0;     // of one thread out of L1, for arithmetic with a formula of its own
  // Bytes that are read besides, again and again, each from a working set of so many bytes that is
  // gone through before they come round: weights, further passes over a map, transformed data.
  struct Stream {
    double bytes = 0, set = 0;
    bool copied = false;  // half of the bytes are written
  };
  std::array<Stream, 5> streams = {};
  double tasks = 0;     // equal parts that threads share; 0: as many as it takes
  double sections = 1;  // times that threads are forked and joined
};
double Seconds(const Work& work, Target target, int threads);

// Constants that are read once in a run: other layers have been since, so L2 has lost them.
Work::Stream ColdStream(double bytes);

// Multiply-adds of one thread out of L1, in flops a second, with these kernels.
double PeakFlops(Target target);

// Seconds of one thread for so many operations on whole vectors, as many at a time as
// multiply-adds.
double VectorSeconds(Target target, double operations);

// Seconds of one thread for rows x panels of a product with `depth` values of k (over all taps), as
// kernels of gemm.h cut it into tiles; operands in L1, rows of them at equal distances.
double GemmSeconds(Target target, std::span<const Panel> panels, int64_t rows, int64_t depth);

// A product that is run in blocks: arithmetic, weights read by each block and tile, input by each
// panel. row_bytes: fresh input of a row, as for ChooseGemmBlocks. `bytes` is left to the caller.
Work ProductWork(Target target, std::span<const Panel> panels, const GemmBlocks& blocks,
                 int64_t rows, int64_t taps, int64_t k, double row_bytes);

// The instruction set for a product with `columns` output channels in each of its groups. The
// strongest, unless the processor runs wide vectors at half rate and narrow ones waste fewer lanes.
Target TargetForColumns(int64_t columns);

}  // namespace sula::cpu
