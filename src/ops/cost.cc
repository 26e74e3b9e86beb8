#include "ops/cost.h"

namespace sula {

double Elements(const TensorType& type) {
  if (!type.shape) return 0;
  double n = 1;
  for (const Dim& d : *type.shape) n *= static_cast<double>(d.TryValue().value_or(0));
  return n;
}

double SliceElements(const TensorType& type) {
  const double all = Elements(type);
  return all == 0 || type.shape->rank() == 0 ? all
                                             : all / static_cast<double>((*type.shape)[0].value());
}

Cost Traffic(std::span<const TensorType> inputs, std::span<const TensorType> outputs,
             double flops) {
  Cost cost{.flops = flops};
  for (const TensorType& t : inputs) cost.bytes_read += Elements(t) * SizeOf(t.dtype);
  for (const TensorType& t : outputs) cost.bytes_written += Elements(t) * SizeOf(t.dtype);
  return cost;
}

}  // namespace sula
