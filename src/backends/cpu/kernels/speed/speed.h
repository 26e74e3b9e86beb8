// What a processor can do at most: loops that do nothing but multiply-adds, or nothing but read.
#pragma once

#include "backends/cpu/kernels/target.h"

namespace sula::cpu {

struct SpeedKernels {
  // Floating-point operations of one round of multiply_add.
  int flops_per_round = 0;
  // Runs rounds of independent multiply-adds out of registers, enough of them in flight to hide
  // their latency. The result only keeps the compiler from leaving them out.
  float (*multiply_add)(int rounds) = nullptr;
  // Reads n floats, a multiple of 128, in order and adds them up. data: aligned to 64 bytes.
  float (*read)(const float* data, int64_t n) = nullptr;
  // Copies n floats, a multiple of 128, in order, with ordinary stores. Aligned to 64 bytes.
  void (*copy)(const float* src, float* dst, int64_t n) = nullptr;
};

// Precondition: the target is available and not kScalar16, which no machine is measured with.
const SpeedKernels& SpeedFor(Target target);

}  // namespace sula::cpu
