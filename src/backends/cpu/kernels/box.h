// Boxes of elements seen through the strides of several arrays at once: the loop nest of copies and
// of broadcasting element-wise operators.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace sula::cpu {

// An iteration space with, for each of K arrays, an offset and a stride per axis, in elements.
// Array 0 is the one written. A stride may be 0 (broadcast) or, for arrays read, negative.
template <int K>
struct Box {
  static constexpr int kMaxRank = 10;
  using Strides = std::array<int64_t, K>;
  int rank = 0;
  std::array<int64_t, kMaxRank> dims{};
  std::array<Strides, kMaxRank> strides{};
  Strides offsets{};

  // Precondition: rank < kMaxRank.
  void AddAxis(int64_t dim, const Strides& s) {
    dims[rank] = dim, strides[rank] = s;
    ++rank;
  }
  int64_t num_elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }
};

// The same box with axes of size 1 dropped, sorted by falling stride of the written array, and
// neighbours merged where all arrays allow it. Allocates nothing.
template <int K>
Box<K> Simplify(const Box<K>& box) {
  std::array<int, Box<K>::kMaxRank> order{};
  int n = 0;
  for (int i = 0; i < box.rank; ++i)
    if (box.dims[i] != 1) order[n++] = i;
  // Insertion, because stable_sort allocates.
  for (int i = 1; i < n; ++i)
    for (int k = i; k > 0 && box.strides[order[k - 1]][0] < box.strides[order[k]][0]; --k)
      std::swap(order[k - 1], order[k]);
  Box<K> out;
  out.offsets = box.offsets;
  for (int i = 0; i < n; ++i) {
    const int64_t dim = box.dims[order[i]];
    const auto& s = box.strides[order[i]];
    const int last = out.rank - 1;
    bool merge = last >= 0;
    for (int k = 0; k < K && merge; ++k) merge = out.strides[last][k] == s[k] * dim;
    if (merge) {
      out.dims[last] *= dim, out.strides[last] = s;
    } else {
      out.AddAxis(dim, s);
    }
  }
  return out;
}

// How the innermost `inner` axes of a box are shared among tasks: the first of them is cut into
// pieces where it is long, the axes outside it are walked one by one.
struct BoxTasks {
  int64_t outer = 1;     // pieces times the product of the outer axes
  int64_t pieces = 1;    // of axis `cut`
  int64_t per_task = 1;  // of `outer`
  int64_t tasks = 1;
  int cut = 0;
};
template <int K>
BoxTasks ShareBox(const Box<K>& box, int inner, int64_t elements_per_task, int64_t min_piece) {
  BoxTasks t;
  t.cut = box.rank - inner;
  int64_t block = 1;
  for (int i = t.cut; i < box.rank; ++i) block *= box.dims[i];
  t.pieces = std::clamp<int64_t>(block / elements_per_task, 1,
                                 std::max<int64_t>(1, box.dims[t.cut] / min_piece));
  t.outer = t.pieces;
  for (int i = 0; i < t.cut; ++i) t.outer *= box.dims[i];
  t.per_task = std::max<int64_t>(1, elements_per_task / std::max<int64_t>(1, block / t.pieces));
  t.tasks = (t.outer + t.per_task - 1) / t.per_task;
  return t;
}

// Calls fn(at, n) for each piece of one task: `at` holds each array's offset of the piece's
// first element, n the piece's length along axis `cut`.
template <int K, class Fn>
void ForPieces(const Box<K>& box, const BoxTasks& t, int64_t task, Fn&& fn) {
  const int64_t begin = task * t.per_task, end = std::min(t.outer, begin + t.per_task);
  const int64_t length = box.dims[t.cut];
  // Divisions find the first piece, steps the others: rows may be short.
  int64_t piece = begin % t.pieces, rest = begin / t.pieces;
  std::array<int64_t, Box<K>::kMaxRank> position{};
  auto row = box.offsets;
  for (int i = t.cut - 1; i >= 0; --i) {
    position[i] = rest % box.dims[i];
    rest /= box.dims[i];
    for (int k = 0; k < K; ++k) row[k] += position[i] * box.strides[i][k];
  }
  for (int64_t index = begin; index < end; ++index) {
    if (t.pieces == 1) {
      fn(row, length);
    } else {
      const int64_t from = length * piece / t.pieces, to = length * (piece + 1) / t.pieces;
      auto at = row;
      for (int k = 0; k < K; ++k) at[k] += from * box.strides[t.cut][k];
      fn(at, to - from);
      if (++piece < t.pieces) continue;
      piece = 0;
    }
    for (int i = t.cut - 1; i >= 0; --i) {
      const bool carry = ++position[i] == box.dims[i];
      if (carry) position[i] = 0;
      const int64_t steps = carry ? 1 - box.dims[i] : 1;
      for (int k = 0; k < K; ++k) row[k] += steps * box.strides[i][k];
      if (!carry) break;
    }
  }
}

}  // namespace sula::cpu
