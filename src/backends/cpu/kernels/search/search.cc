#include "backends/cpu/kernels/search/search.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <type_traits>

namespace sula::cpu {
namespace {

// Neighbouring lines are walked together, as many as fit a small array.
constexpr int64_t kStrip = 64;

// Calls fn(offset, line, n) for runs of n <= kStrip lines whose first elements follow each other.
template <class Fn>
void ForStrips(const Lines& lines, int64_t begin, int64_t end, Fn&& fn) {
  while (begin < end) {
    const int64_t o = begin / lines.inner, s = begin % lines.inner;
    const int64_t n = std::min({end - begin, lines.inner - s, kStrip});
    fn(o * lines.size * lines.inner + s, begin, n);
    begin += n;
  }
}

template <class T>
bool IsNan(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::isnan(x);
  return false;
}

template <class T>
bool Beats(T a, T b, bool largest) {
  if (IsNan(a) || IsNan(b)) return IsNan(a) && !IsNan(b);
  return largest ? b < a : a < b;
}

// Puts NaN above all numbers.
template <class T>
bool Below(T a, T b) {
  return a < b || (IsNan(b) && !IsNan(a));
}

template <class T>
using Sum = std::conditional_t<
    std::is_floating_point_v<T>, double,
    std::make_unsigned_t<std::conditional_t<std::is_floating_point_v<T>, int32_t, T>>>;

}  // namespace

template <class T>
void FindExtremum(const ExtremumCall& call, const T* x, int64_t* y, int64_t begin, int64_t end) {
  ForStrips(call.lines, begin, end, [&](int64_t offset, int64_t line, int64_t n) {
    T best[kStrip];
    std::copy_n(x + offset, n, best);
    std::fill_n(y + line, n, 0);
    for (int64_t i = 1; i < call.lines.size; ++i) {
      const T* row = x + offset + i * call.lines.inner;
      for (int64_t s = 0; s < n; ++s) {
        const bool wins = call.last ? !Beats(best[s], row[s], call.largest)
                                    : Beats(row[s], best[s], call.largest);
        if (wins) best[s] = row[s], y[line + s] = i;
      }
    }
  });
}

template <class T>
void SumLines(const SumCall& call, const T* x, T* y, int64_t begin, int64_t end) {
  ForStrips(call.lines, begin, end, [&](int64_t offset, int64_t, int64_t n) {
    Sum<T> sums[kStrip] = {};
    for (int64_t i = 0; i < call.lines.size; ++i) {
      const int64_t at = offset + (call.reverse ? call.lines.size - 1 - i : i) * call.lines.inner;
      for (int64_t s = 0; s < n; ++s) {
        const Sum<T> with = sums[s] + static_cast<Sum<T>>(x[at + s]);
        y[at + s] = static_cast<T>(call.exclusive ? sums[s] : with);
        sums[s] = with;
      }
    }
  });
}

template <class T>
void FindTop(const TopCall& call, const T* x, T* values, int64_t* indices, int64_t begin,
             int64_t end, void* scratch) {
  const Lines& lines = call.lines;
  int64_t* const order = static_cast<int64_t*>(scratch);
  T* const line = reinterpret_cast<T*>(order + lines.size);
  const auto before = [&](int64_t a, int64_t b) {
    const bool less = Below(line[a], line[b]), greater = Below(line[b], line[a]);
    if (less || greater) return call.largest ? greater : less;
    return a < b;
  };
  for (int64_t l = begin; l < end; ++l) {
    const int64_t o = l / lines.inner, s = l % lines.inner;
    const T* from = x + o * lines.size * lines.inner + s;
    for (int64_t i = 0; i < lines.size; ++i) line[i] = from[i * lines.inner];
    std::iota(order, order + lines.size, 0);
    std::partial_sort(order, order + call.k, order + lines.size, before);
    for (int64_t i = 0; i < call.k; ++i) {
      const int64_t to = (o * call.k + i) * lines.inner + s;
      if (values) values[to] = line[order[i]];
      if (indices) indices[to] = order[i];
    }
  }
}

template void FindExtremum(const ExtremumCall&, const float*, int64_t*, int64_t, int64_t);
template void FindExtremum(const ExtremumCall&, const int32_t*, int64_t*, int64_t, int64_t);
template void FindExtremum(const ExtremumCall&, const int64_t*, int64_t*, int64_t, int64_t);
template void SumLines(const SumCall&, const float*, float*, int64_t, int64_t);
template void SumLines(const SumCall&, const int32_t*, int32_t*, int64_t, int64_t);
template void SumLines(const SumCall&, const int64_t*, int64_t*, int64_t, int64_t);
template void FindTop(const TopCall&, const float*, float*, int64_t*, int64_t, int64_t, void*);
template void FindTop(const TopCall&, const int32_t*, int32_t*, int64_t*, int64_t, int64_t, void*);
template void FindTop(const TopCall&, const int64_t*, int64_t*, int64_t*, int64_t, int64_t, void*);

}  // namespace sula::cpu
