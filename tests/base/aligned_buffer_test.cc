#include "base/aligned_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

namespace sula {
namespace {

TEST(AlignedBuffer, IsAlignedZeroFilledAndReadableBehindTheEnd) {
  for (size_t bytes :
       {1ul, 63ul, 64ul, 65ul, 4096ul, (2ul << 20) - 1, 2ul << 20, (5ul << 20) + 3}) {
    AlignedBuffer buffer(bytes);
    ASSERT_NE(buffer.data(), nullptr);
    EXPECT_EQ(buffer.bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % kAlignment, 0u);
    EXPECT_TRUE(std::all_of(buffer.data(), buffer.data() + bytes + 64,
                            [](std::byte b) { return b == std::byte{0}; }));
    std::fill_n(buffer.data(), bytes, std::byte{1});
  }
}

TEST(AlignedBuffer, NothingForNoBytesOrTooMany) {
  EXPECT_EQ(AlignedBuffer(0).data(), nullptr);
  EXPECT_EQ(AlignedBuffer(std::numeric_limits<size_t>::max()).data(), nullptr);
  EXPECT_EQ(AlignedBuffer(std::numeric_limits<size_t>::max() - 63).bytes(), 0u);
}

TEST(AlignedBuffer, Moves) {
  AlignedBuffer a(100);
  std::byte* const data = a.data();
  AlignedBuffer b(std::move(a));
  EXPECT_EQ(b.data(), data);
  AlignedBuffer c(7);
  c = std::move(b);
  EXPECT_EQ(c.data(), data);
  EXPECT_EQ(c.bytes(), 100u);
}

}  // namespace
}  // namespace sula
