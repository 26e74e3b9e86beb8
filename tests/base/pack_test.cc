#include "base/pack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace sula {
namespace {

TEST(Pack, IsZeroFilledBeforeItIsFilled) {
  for (size_t bytes : {1ul, 100ul, (2ul << 20) - 1, (5ul << 20) + 3}) {
    bool zero = false;
    const Pack pack = Pack::Fresh(bytes, [&](std::byte* to) {
      zero = std::all_of(to, to + bytes + 64, [](std::byte b) { return b == std::byte{0}; });
      to[bytes - 1] = std::byte{7};
    });
    EXPECT_TRUE(zero);
    ASSERT_EQ(pack.bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pack.data()) % 64, 0u);
    EXPECT_EQ(pack.data()[bytes - 1], std::byte{7});
  }
}

TEST(Pack, CopiesShareAndTheLastOneFrees) {
  Pack first = Pack::Fresh(8, [](std::byte* to) { to[0] = std::byte{1}; });
  const std::weak_ptr<const void> owner = first.owner();
  Pack second = first;
  first = Pack();
  EXPECT_EQ(second.data()[0], std::byte{1});
  EXPECT_FALSE(owner.expired());
  second = Pack();
  EXPECT_TRUE(owner.expired());
}

TEST(MakePack, WithoutSourceIsFresh) {
  const Pack pack = MakePack<float>(nullptr, "any", 3, [](float* to) { to[2] = 5; });
  ASSERT_EQ(pack.bytes(), 12u);
  EXPECT_EQ(pack.as<float>()[2], 5);
}

TEST(MakePack, AsksItsSource) {
  class Source : public PackSource {
   public:
    Pack Get(std::string_view recipe, size_t bytes, FunctionRef<void(std::byte*)>) override {
      asked = std::string(recipe) + " " + std::to_string(bytes);
      return {};
    }
    std::string asked;
  } source;
  MakePack<double>(&source, "recipe", 2, [](double*) { ADD_FAILURE() << "the source decides"; });
  EXPECT_EQ(source.asked, "recipe 16");
}

TEST(MakePack, NothingForImpossibleCounts) {
  for (int64_t count : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::max()})
    EXPECT_EQ(MakePack<double>(nullptr, "", count, [](double*) {}).data(), nullptr) << count;
}

}  // namespace
}  // namespace sula
