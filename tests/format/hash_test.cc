#include "format/hash.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sula {
namespace {

uint64_t HashText(std::string_view text) { return HashBytes(std::as_bytes(std::span(text))); }

TEST(Hash, PublishedValues) {
  EXPECT_EQ(HashText(""), 0xEF46DB3751D8E999u);
  EXPECT_EQ(HashText("a"), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(HashText("abc"), 0x44BC2CF5AD770999u);
  EXPECT_EQ(HashText("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1u);
}

TEST(Hash, PiecesDoNotMatter) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += static_cast<char>(i * 37);
  std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  const uint64_t whole = HashBytes(bytes);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    Xxh64 hash;
    hash.Update(bytes.first(cut));
    hash.Update(bytes.subspan(cut));
    ASSERT_EQ(hash.Digest(), whole) << cut;
  }
  Xxh64 hash;
  for (size_t i = 0; i < bytes.size(); ++i) hash.Update(bytes.subspan(i, 1));
  EXPECT_EQ(hash.Digest(), whole);
}

}  // namespace
}  // namespace sula
