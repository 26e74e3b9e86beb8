#include "backends/cpu/kernels/copy/strided_copy.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <vector>

namespace sula::cpu {
namespace {

template <class T>
void CheckRandomCopies(int seed) {
  std::mt19937 rng(seed);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(rng);
  };
  for (int round = 0; round < 300; ++round) {
    // A permuted source with gaps: rank 0..5, sizes up to 40 on two axes.
    const int rank = pick(0, 5);
    std::vector<int64_t> dims(rank);
    for (auto& d : dims) d = pick(1, 4);
    for (int k = 0; k < 2 && rank > 0; ++k) dims[pick(0, rank - 1)] = pick(1, 40);
    std::vector<int> order(rank);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), rng);
    std::vector<int64_t> in(rank), out(rank);
    int64_t in_size = 1, out_size = 1;
    for (int i = rank - 1; i >= 0; --i) {
      out[i] = out_size, out_size *= dims[i] + (i > 0 ? pick(0, 1) : 0);
    }
    for (int axis : order) {
      in[axis] = in_size, in_size *= dims[axis] + pick(0, 1);
    }
    CopyRegion region;
    for (int i = 0; i < rank; ++i) {
      int64_t stride = in[i];
      const int kind = pick(0, 7);
      if (kind == 0) stride = 0;
      if (kind == 1) {
        region.offsets[1] += stride * (dims[i] - 1);
        stride = -stride;
      }
      region.AddAxis(dims[i], {out[i], stride});
    }
    std::vector<T> src(in_size), got(out_size, T(99)), want(out_size, T(99));
    for (int64_t i = 0; i < in_size; ++i) src[i] = static_cast<T>(i * 7 + 1);
    for (int64_t n = 0; n < region.num_elements(); ++n) {
      int64_t rest = n, from = region.offsets[1], to = region.offsets[0];
      for (int i = rank - 1; i >= 0; --i) {
        from += rest % dims[i] * region.strides[i][1], to += rest % dims[i] * region.strides[i][0];
        rest /= dims[i];
      }
      want[to] = src[from];
    }
    RunCopy(Simplify(region), src.data(), got.data(), sizeof(T), Parallel(1 + round % 2));
    ASSERT_EQ(got, want) << "round " << round;
  }
}

TEST(StridedCopy, RandomBoxesOfBytes) { CheckRandomCopies<uint8_t>(1); }
TEST(StridedCopy, RandomBoxesOfHalves) { CheckRandomCopies<uint16_t>(2); }
TEST(StridedCopy, RandomBoxesOfFloats) { CheckRandomCopies<uint32_t>(3); }
TEST(StridedCopy, RandomBoxesOfDoubles) { CheckRandomCopies<uint64_t>(4); }

TEST(StridedCopy, LargeTransposeAndCopyAreShared) {
  const int64_t rows = 300, cols = 517;
  std::vector<uint32_t> src(rows * cols), dst(rows * cols);
  std::iota(src.begin(), src.end(), 0);
  CopyRegion t;
  t.AddAxis(cols, {rows, 1});
  t.AddAxis(rows, {1, cols});
  RunCopy(Simplify(t), src.data(), dst.data(), 4, Parallel(2));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j) ASSERT_EQ(dst[j * rows + i], src[i * cols + j]);
  CopyRegion flat;
  flat.AddAxis(rows, {cols, cols});
  flat.AddAxis(cols, {1, 1});
  EXPECT_EQ(Simplify(flat).rank, 1);
  RunCopy(Simplify(flat), src.data(), dst.data(), 4, Parallel(2));
  EXPECT_EQ(src, dst);
}

TEST(StridedCopy, TransposesIntoEveryOtherElement) {
  const int64_t rows = 70, cols = 37, gap = 2;
  std::vector<uint32_t> src(rows * cols), dst(rows * cols * gap, 7);
  std::iota(src.begin(), src.end(), 100);
  CopyRegion t;
  t.AddAxis(rows, {cols * gap, 1});
  t.AddAxis(cols, {gap, rows});
  RunCopy(Simplify(t), src.data(), dst.data(), 4, Parallel(2));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      ASSERT_EQ(dst[(i * cols + j) * gap], src[i + j * rows]);
      ASSERT_EQ(dst[(i * cols + j) * gap + 1], 7u);
    }
  }
}

TEST(StridedCopy, EmptyBox) {
  CopyRegion r;
  r.AddAxis(0, {1, 1});
  RunCopy(Simplify(r), nullptr, nullptr, 4, Parallel(1));
}

}  // namespace
}  // namespace sula::cpu
