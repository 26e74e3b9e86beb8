// How far two tensors are apart.
#pragma once

#include <array>
#include <string>

#include "sula/tensor.h"

namespace sula::cli {

// Distances in units of the last place are counted in classes; a class ends at this distance.
inline constexpr std::array<double, 7> kUlpLimits = {0, 1, 4, 16, 256, 4096, 65536};

struct Difference {
  // Not empty if element types or sizes differ; all else is void then.
  std::string mismatch;
  int64_t elements = 0;
  double largest = 0;   // |a|, over finite elements
  double absolute = 0;  // largest |a - b|; infinite where only one is NaN, or infinite
  double relative = 0;  // absolute / largest; 0 if nothing differs
  double cosine = 1;    // of the angle between both as vectors; 1 if both are 0
  Dims worst;           // index of the largest difference, if absolute is not 0
  double worst_a = 0, worst_b = 0;
  // Elements by distance in units of the last place of the element type; the last class has what is
  // beyond every limit. Integers and booleans: by absolute difference.
  std::array<int64_t, kUlpLimits.size() + 1> ulps{};
};

// a is what b is held against. NaN equals NaN.
Difference Compare(const TensorView& a, const TensorView& b);

// One character for each class, higher for more elements (on a logarithmic scale): "█▆▂     ".
std::string Histogram(const Difference& difference);

}  // namespace sula::cli
