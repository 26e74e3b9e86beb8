#include "backends/cpu/strides.h"

#include <cstdlib>

#include "backends/cpu/adapter.h"

namespace sula::cpu {
namespace {

constexpr double kCallSeconds = 0.3e-6;  // of a kernel that has next to nothing to do

// Operations of 16 bytes for each element that a copy moves: along rows, between axes of which one
// has only few elements, and transposed in blocks.
constexpr double kRowOperations = 0.5, kNearOperations = 4, kFarOperations = 2;

}  // namespace

Dims LogicalStrides(const TensorDesc& desc) {
  Dims strides(desc.dims.size());
  desc.WriteStrides(strides);
  return strides;
}

Dims BroadcastStrides(const TensorDesc& desc, std::span<const int64_t> dims) {
  const Dims own = LogicalStrides(desc);
  Dims strides(dims.size(), 0);
  for (size_t i = 0; i < own.size(); ++i) {
    if (desc.dims[i] != 1) strides[dims.size() - own.size() + i] = own[i];
  }
  return strides;
}

bool FitsBox(const KernelRequest& request) {
  const auto fits = [&](const TensorDesc& d) {
    return static_cast<int>(d.dims.size()) + 1 <= Box<2>::kMaxRank;
  };
  for (const TensorDesc& d : request.inputs)
    if (!fits(d)) return false;
  for (const TensorDesc& d : request.outputs)
    if (!fits(d)) return false;
  return true;
}

double CopySeconds(const TensorDesc& from, const TensorDesc& to, int threads) {
  const size_t rank = from.dims.size();
  Dims read(rank), written(rank);
  from.WriteStrides(read);
  to.WriteStrides(written);
  int64_t step = 1;  // in `to`, for one element in `from`
  for (size_t i = 0; i < rank; ++i)
    if (from.dims[i] != 1 && read[i] == 1) step = std::abs(written[i]);
  const double operations = step == 1   ? kRowOperations
                            : step <= 4 ? kNearOperations
                                        : kFarOperations;
  Work work;
  const auto elements = static_cast<double>(from.num_elements());
  work.bytes = 2 * BytesOf(from);
  work.seconds = VectorSeconds(BestTarget(), operations * elements);
  return kCallSeconds + Seconds(work, BestTarget(), threads);
}

double StreamSeconds(const KernelRequest& request, double operations) {
  Work work;
  double elements = 0;
  for (const TensorDesc& d : request.inputs) work.bytes += BytesOf(d);
  for (const TensorDesc& d : request.outputs) {
    work.bytes += BytesOf(d);
    if (d.present) elements += static_cast<double>(d.num_elements());
  }
  const Target target = BestTarget();
  work.seconds = VectorSeconds(target, operations * elements / GemmFor(target).lanes);
  return kCallSeconds + Seconds(work, target, request.threads);
}

}  // namespace sula::cpu
