// What the adapters between operators and kernels share: checks of a request, translation of
// parameters, and the cost model.
#pragma once

#include "backend/backend.h"
#include "backends/cpu/kernels/conv/conv.h"
#include "ops/conv.h"

namespace sula::cpu {

Epilogue EpilogueOf(const Activation& activation);
Window WindowOf(const ConvGeometry& g);
Machine MachineOf(const KernelRequest& request);

// No unless all tensors present are float32 and none is empty.
Verdict AcceptFloat(const KernelRequest& request);

// Data of constant input i, null if it is absent. Precondition: absent or constant.
const float* ConstantData(const KernelRequest& request, size_t i);

// ---- costs. One number each for arithmetic, memory and threads is enough to rank kernels; the
// arithmetic is measured on first use (under 10 ms), the rest are typical of the kind.

// Multiply-adds in flight: flops per second of one thread out of registers with these kernels.
double PeakFlops(Target target);

struct Work {
  double flops = 0;
  double efficiency = 1;  // share of the peak that the arithmetic alone reaches
  double bytes = 0;       // read from and written to L3 or memory
};
double Seconds(const Work& work, Target target, int threads);

// Bytes of one tensor's elements.
double BytesOf(const TensorDesc& t);

// The instruction set for a product with `columns` output channels in each of its groups. The
// strongest, unless the processor runs wide vectors at half rate and narrow ones waste fewer lanes.
Target TargetForColumns(int64_t columns);

}  // namespace sula::cpu
