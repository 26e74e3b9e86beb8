// What a kernel is made for.
#pragma once

#include <cstddef>

#include "backends/cpu/kernels/target.h"
#include "base/pack.h"

namespace sula::cpu {

// Instruction set, threads it will run on (and is made on), size of the L2 cache.
struct Machine {
  Target target = Target::kScalar;
  int threads = 1;
  size_t l2_bytes = 512 << 10;
  PackSource* packs = nullptr;  // valid while a kernel is made; null: it makes its own
};

}  // namespace sula::cpu
