// Walks along one axis of a row-major tensor: extrema, running sums, the best k. One form, compiled
// for any processor.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sula::cpu {

// Element i of line (o, s) lies at (o * size + i) * inner + s, for o < outer, s < inner.
struct Lines {
  int64_t outer = 1, size = 1, inner = 1;
  int64_t count() const { return outer * inner; }
};

// y[line] = where the line is largest, else smallest; of equal ones the first, or the last. A NaN
// counts as the extremum. Lines [begin, end) of lines.count(); size >= 1. T: float, int32_t,
// int64_t, as in all of these.
struct ExtremumCall {
  Lines lines;
  bool largest = true, last = false;
};
template <class T>
void FindExtremum(const ExtremumCall& call, const T* x, int64_t* y, int64_t begin, int64_t end);

// y[i] = the sum of the line up to i, without i itself if exclusive; from the end if reverse.
// Integers wrap; floats are summed in double. y may be x.
struct SumCall {
  Lines lines;
  bool exclusive = false, reverse = false;
};
template <class T>
void SumLines(const SumCall& call, const T* x, T* y, int64_t begin, int64_t end);

// The k best elements of each line, best first, of equal ones the first, and, unless null, where
// they lie: outputs with k elements where x has lines.size. A NaN counts as larger than any number.
struct TopCall {
  Lines lines;
  int64_t k = 0;
  bool largest = true;
};
inline size_t TopScratchBytes(const Lines& lines) {
  return static_cast<size_t>(lines.size) * 2 * sizeof(int64_t);
}
template <class T>
void FindTop(const TopCall& call, const T* x, T* values, int64_t* indices, int64_t begin,
             int64_t end, void* scratch);

}  // namespace sula::cpu
