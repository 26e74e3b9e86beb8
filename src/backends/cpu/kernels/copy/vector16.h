// Vectors of 16 bytes, which every processor of interest has: the compiler's own, so that there is
// one source for all of them, and moves of elements that are no work for wider ones.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

namespace sula::cpu::vector16 {

template <class T>
struct VectorOf {
  typedef T Type __attribute__((vector_size(16)));
};
template <class T>
using Vector = typename VectorOf<T>::Type;
template <class T>
inline constexpr int kLanes = 16 / static_cast<int>(sizeof(T));

template <class T>
Vector<T> Load(const T* p) {
  Vector<T> v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
template <class T>
void Store(T* p, Vector<T> v) {
  std::memcpy(p, &v, sizeof(v));
}

// low, high = a0 b0 a1 b1 ...
template <class T, size_t... kI>
void Zip(Vector<T> a, Vector<T> b, Vector<T>& low, Vector<T>& high, std::index_sequence<kI...>) {
  constexpr int n = kLanes<T>;
  low = __builtin_shufflevector(a, b, (kI / 2 + kI % 2 * n)...);
  high = __builtin_shufflevector(a, b, (n / 2 + kI / 2 + kI % 2 * n)...);
}
template <class T>
void Zip(Vector<T> a, Vector<T> b, Vector<T>& low, Vector<T>& high) {
  Zip<T>(a, b, low, high, std::make_index_sequence<kLanes<T>>());
}

// a0 a2 ... b0 b2 ...
template <class T, size_t... kI>
Vector<T> Evens(Vector<T> a, Vector<T> b, std::index_sequence<kI...>) {
  return __builtin_shufflevector(a, b, (2 * kI)...);
}

// dst[i] = src[2 * i], i < n; nothing behind the last of them is read.
template <class T>
void CopyEvens(const T* src, T* dst, int64_t n) {
  constexpr int kN = kLanes<T>;
  int64_t i = 0;
  for (; i + kN < n; i += kN)  // the last load must end before the element after the last
    Store(dst + i,
          Evens<T>(Load(src + 2 * i), Load(src + 2 * i + kN), std::make_index_sequence<kN>()));
  for (; i < n; ++i) dst[i] = src[2 * i];
}

}  // namespace sula::cpu::vector16
