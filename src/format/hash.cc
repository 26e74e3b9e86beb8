#include "format/hash.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace sula {
namespace {

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F,
                   kPrime3 = 0x165667B19E3779F9, kPrime4 = 0x85EBCA77C2B2AE63,
                   kPrime5 = 0x27D4EB2F165667C5;
constexpr size_t kStripe = 32;

template <class T>
T Load(const std::byte* p) {
  static_assert(std::endian::native == std::endian::little);
  T v;
  std::memcpy(&v, p, sizeof(T));
  return v;
}

uint64_t Round(uint64_t lane, uint64_t input) {
  return std::rotl(lane + input * kPrime2, 31) * kPrime1;
}

void AddStripe(uint64_t* lanes, const std::byte* p) {
  for (int i = 0; i < 4; ++i) lanes[i] = Round(lanes[i], Load<uint64_t>(p + 8 * i));
}

}  // namespace

Xxh64::Xxh64() : lanes_{kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1} {}

void Xxh64::Update(std::span<const std::byte> bytes) {
  const std::byte* p = bytes.data();
  size_t left = bytes.size();
  size_t held = total_ % kStripe;
  total_ += left;
  if (held > 0) {
    size_t take = std::min(left, kStripe - held);
    std::copy_n(p, take, pending_ + held);
    p += take, left -= take, held += take;
    if (held < kStripe) return;
    AddStripe(lanes_, pending_);
  }
  for (; left >= kStripe; p += kStripe, left -= kStripe) AddStripe(lanes_, p);
  std::copy_n(p, left, pending_);
}

uint64_t Xxh64::Digest() const {
  uint64_t h;
  if (total_ >= kStripe) {
    h = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
        std::rotl(lanes_[3], 18);
    for (uint64_t lane : lanes_) h = (h ^ Round(0, lane)) * kPrime1 + kPrime4;
  } else {
    h = kPrime5;
  }
  h += total_;
  const std::byte* p = pending_;
  size_t left = total_ % kStripe;
  for (; left >= 8; p += 8, left -= 8)
    h = std::rotl(h ^ Round(0, Load<uint64_t>(p)), 27) * kPrime1 + kPrime4;
  for (; left >= 4; p += 4, left -= 4)
    h = std::rotl(h ^ Load<uint32_t>(p) * kPrime1, 23) * kPrime2 + kPrime3;
  for (; left > 0; ++p, --left) h = std::rotl(h ^ Load<uint8_t>(p) * kPrime5, 11) * kPrime1;
  h = (h ^ h >> 33) * kPrime2;
  h = (h ^ h >> 29) * kPrime3;
  return h ^ h >> 32;
}

uint64_t HashBytes(std::span<const std::byte> bytes) {
  Xxh64 hash;
  hash.Update(bytes);
  return hash.Digest();
}

}  // namespace sula
