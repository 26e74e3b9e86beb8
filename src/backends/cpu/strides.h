// From the descriptions of tensors to the strides that kernels walk by.
#pragma once

#include "backend/backend.h"
#include "backends/cpu/kernels/box.h"

namespace sula::cpu {

// Elements between neighbours along each logical axis.
Dims LogicalStrides(const TensorDesc& desc);

// The strides with which `desc` is read when broadcast (numpy's rule) to `dims`: aligned at the
// last axis, 0 along axes where it has size 1 or none. Precondition: it broadcasts to dims.
Dims BroadcastStrides(const TensorDesc& desc, std::span<const int64_t> dims);

// True if all of the tensors' ranks fit a Box with an axis to spare for EnsureUnitRows.
bool FitsBox(const KernelRequest& request);

// Gives the box an innermost axis along which the written array has stride 1 and all others 0 or
// 1, of size 1 if need be: what row kernels ask for.
template <int K>
void EnsureUnitRows(Box<K>& box) {
  bool unit = box.rank > 0;
  for (int k = 0; k < K && unit; ++k) {
    const int64_t s = box.strides[box.rank - 1][k];
    unit = s == 1 || (k > 0 && s == 0);
  }
  if (!unit) {
    typename Box<K>::Strides ones;
    ones.fill(1);
    box.AddAxis(1, ones);
  }
}

// Expected seconds of a kernel that reads its inputs and writes its outputs once and does
// `operations` vector operations per element written.
double StreamSeconds(const KernelRequest& request, double operations = 1);

// Expected seconds of a copy between two descriptions of the same tensor (Backend::CopyBuffer).
double CopySeconds(const TensorDesc& from, const TensorDesc& to, int threads);

}  // namespace sula::cpu
