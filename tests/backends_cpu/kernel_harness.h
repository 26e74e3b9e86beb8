// Runs the CPU kernels of a one-node graph against the operator's reference meaning.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sula::cpu {

struct HarnessOptions {
  // Allowed error: absolute + relative * |expected|, by element.
  double absolute = 0, relative = 0;
  std::string only;          // the name of one kernel; empty: all that accept the node
  float low = -1, high = 1;  // range of the random float inputs
  std::vector<int> threads = {1, 2};
};

// `text` is a graph (ir/text.h) with a single node. Its inputs get random values; its kernels that
// accept the node each run with every layout they allow (row-major, channel-last, channel-last with
// a pixel stride larger than the channel count; strided in three ways) and every thread count.
// Failures are reported through GoogleTest: wrong values, writes outside the output (also between
// its pixels), reads of uninitialised workspace. Returns the names of the kernels that ran.
std::vector<std::string> CheckKernels(std::string_view text, const HarnessOptions& options = {});

}  // namespace sula::cpu
