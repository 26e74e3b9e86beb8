// What the adapters between operators and kernels share: checks of a request, translation of
// parameters.
#pragma once

#include "backend/backend.h"
#include "backends/cpu/cost.h"
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

// Bytes of one tensor's elements.
double BytesOf(const TensorDesc& t);

}  // namespace sula::cpu
