#include "ir/text.h"

namespace sula {

Tensor RandomTensor(DType dtype, const Dims& dims, uint64_t seed) {
  // SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
  uint64_t state = seed;
  const auto next = [&] {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  };
  Tensor t(dtype, dims);
  DispatchDType(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (T& x : t.mutable_data<T>()) {
      const auto bits = static_cast<int64_t>(next() >> 40);  // 24 of them
      if constexpr (std::is_same_v<T, bool>) {
        x = bits >> 23;
      } else if constexpr (std::is_unsigned_v<T>) {
        x = static_cast<T>(bits >> 21);
      } else if constexpr (std::is_integral_v<T>) {
        x = static_cast<T>((bits >> 21) - 4);
      } else {
        x = static_cast<float>(bits - (1 << 23)) / (1 << 23);
      }
    }
  });
  return t;
}

}  // namespace sula
