#include "backends/cpu/kernels/copy/strided_copy.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backends/cpu/kernels/copy/vector16.h"

namespace sula::cpu {
namespace {

using vector16::CopyEvens, vector16::kLanes, vector16::Load, vector16::Store, vector16::Vector,
    vector16::Zip;

// Bytes worth a task of their own: some microseconds of copying, ten times a thread's wake-up.
constexpr int64_t kTaskBytes = 64 << 10;
// Edge of the square blocks in which a transposition goes: 16 rows of 64 bytes fill 16 lines of
// each side, well inside L1 even where the stride is a power of two (8-way sets).
constexpr int64_t kBlock = 16;
// Elements from one that is written to the next, among which a cache line has some still.
constexpr int64_t kNearlyDense = 4;

template <class T>
void CopyRow(const T* src, int64_t src_stride, T* dst, int64_t dst_stride, int64_t n) {
  if (dst_stride == 1 && src_stride == 1) {
    std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(T));
  } else if (dst_stride == 1 && src_stride == 0) {
    std::fill_n(dst, n, *src);
  } else {
    if (dst_stride == 1 && src_stride == 2) return CopyEvens(src, dst, n);
    for (int64_t i = 0; i < n; ++i) dst[i * dst_stride] = src[i * src_stride];
  }
}

// dst[i * di + j] = src[i + j * sj], i, j < kLanes: rows k and k + n/2 zipped, log2(n) times.
template <class T>
void TransposeTile(const T* src, int64_t sj, T* dst, int64_t di) {
  constexpr int kN = kLanes<T>;
  Vector<T> v[kN], zipped[kN];
#pragma GCC unroll 16
  for (int j = 0; j < kN; ++j) v[j] = Load(src + j * sj);
#pragma GCC unroll 4
  for (int done = 1; done < kN; done *= 2) {
#pragma GCC unroll 8
    for (int k = 0; k < kN / 2; ++k) Zip<T>(v[k], v[k + kN / 2], zipped[2 * k], zipped[2 * k + 1]);
#pragma GCC unroll 16
    for (int k = 0; k < kN; ++k) v[k] = zipped[k];
  }
#pragma GCC unroll 16
  for (int i = 0; i < kN; ++i) Store(dst + i * di, v[i]);
}

// TransposeBlocks for a few columns: what a shuffle of two to four groups is.
template <int kCols, class T>
void Interleave(const T* src, int64_t sj, T* dst, int64_t di, int64_t rows) {
  int64_t i = 0;
  if (kCols == 2 && di == 2) {
    constexpr int kN = kLanes<T>;
    for (; i + kN <= rows; i += kN) {
      Vector<T> low, high;
      Zip<T>(Load(src + i), Load(src + i + sj), low, high);
      Store(dst + 2 * i, low);
      Store(dst + 2 * i + kN, high);
    }
  }
  for (; i < rows; ++i)
    for (int j = 0; j < kCols; ++j) dst[i * di + j] = src[i + j * sj];
}

// dst[i * di + j * dj] = src[i + j * sj], i < rows, j < cols: by blocks, for each cache line of
// either side to be used while it is there.
template <class T>
void TransposeScattered(const T* src, int64_t sj, T* dst, int64_t di, int64_t dj, int64_t rows,
                        int64_t cols) {
  for (int64_t i0 = 0; i0 < rows; i0 += kBlock) {
    const int64_t i1 = std::min(rows, i0 + kBlock);
    for (int64_t j0 = 0; j0 < cols; j0 += kBlock) {
      const int64_t j1 = std::min(cols, j0 + kBlock);
      for (int64_t i = i0; i < i1; ++i)
        for (int64_t j = j0; j < j1; ++j) dst[i * di + j * dj] = src[i + j * sj];
    }
  }
}

// dst[i * di + j] = src[i + j * sj], i < rows, j < cols.
template <class T>
void TransposeBlocks(const T* src, int64_t sj, T* dst, int64_t di, int64_t rows, int64_t cols) {
  constexpr int kN = kLanes<T>;
  if (cols == 2) return Interleave<2>(src, sj, dst, di, rows);
  if (cols == 3) return Interleave<3>(src, sj, dst, di, rows);
  if (cols == 4 && kN > 4) return Interleave<4>(src, sj, dst, di, rows);
  for (int64_t i0 = 0; i0 < rows; i0 += kBlock) {
    const int64_t i1 = std::min(rows, i0 + kBlock);
    const int64_t i_tiles = i0 + (i1 - i0) / kN * kN;
    for (int64_t j0 = 0; j0 < cols; j0 += kBlock) {
      const int64_t j1 = std::min(cols, j0 + kBlock);
      const int64_t j_tiles = j0 + (j1 - j0) / kN * kN;
      for (int64_t i = i0; i < i_tiles; i += kN) {
        for (int64_t j = j0; j < j_tiles; j += kN)
          TransposeTile(src + i + j * sj, sj, dst + i * di + j, di);
        for (int64_t k = i; k < i + kN; ++k)
          for (int64_t j = j_tiles; j < j1; ++j) dst[k * di + j] = src[k + j * sj];
      }
      for (int64_t i = i_tiles; i < i1; ++i)
        for (int64_t j = j0; j < j1; ++j) dst[i * di + j] = src[i + j * sj];
    }
  }
}

// The axis before the last one whose source stride is 1, if the last axis is written densely, or
// nearly so, but read with a stride: the pair is a transposition. -1: none.
int TransposedAxis(const CopyRegion& r) {
  const int last = r.rank - 1;
  if (r.rank < 2 || r.strides[last][0] > kNearlyDense || r.strides[last][1] <= 1) return -1;
  for (int i = last - 1; i >= 0; --i)
    if (r.strides[i][1] == 1) return i;
  return -1;
}

template <class T>
void Run(CopyRegion r, const T* src, T* dst, const Parallel& parallel) {
  if (r.num_elements() == 0) return;
  if (r.rank == 0) r.AddAxis(1, {1, 1});
  int inner = 1;
  if (const int t = TransposedAxis(r); t >= 0) {  // its partner moves next to the last axis
    for (int i = t; i < r.rank - 2; ++i) {
      std::swap(r.dims[i], r.dims[i + 1]);
      std::swap(r.strides[i], r.strides[i + 1]);
    }
    inner = 2;
  }
  const BoxTasks tasks = ShareBox(r, inner, kTaskBytes / sizeof(T), kBlock);
  const auto step = r.strides[tasks.cut];
  parallel.For(tasks.tasks, [&](int64_t task, int) {
    ForPieces(r, tasks, task, [&](const CopyRegion::Strides& at, int64_t n) {
      if (inner == 1) {
        CopyRow(src + at[1], step[1], dst + at[0], step[0], n);
      } else if (const auto& last = r.strides[r.rank - 1]; last[0] == 1) {
        TransposeBlocks(src + at[1], last[1], dst + at[0], step[0], n, r.dims[r.rank - 1]);
      } else {
        TransposeScattered(src + at[1], last[1], dst + at[0], step[0], last[0], n,
                           r.dims[r.rank - 1]);
      }
    });
  });
}

}  // namespace

void RunCopy(const CopyRegion& region, const void* src, void* dst, size_t element_bytes,
             const Parallel& parallel) {
  switch (element_bytes) {
    case 1:
      return Run(region, static_cast<const uint8_t*>(src), static_cast<uint8_t*>(dst), parallel);
    case 2:
      return Run(region, static_cast<const uint16_t*>(src), static_cast<uint16_t*>(dst), parallel);
    case 4:
      return Run(region, static_cast<const uint32_t*>(src), static_cast<uint32_t*>(dst), parallel);
    default:
      return Run(region, static_cast<const uint64_t*>(src), static_cast<uint64_t*>(dst), parallel);
  }
}

}  // namespace sula::cpu
