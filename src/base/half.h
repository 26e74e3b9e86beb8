// 16-bit floating-point types as storage: conversion to and from float, nothing else.
#pragma once

#include <bit>
#include <cstdint>

namespace sula {

// IEEE 754 binary16; conversions round to nearest even, keep infinities, NaN and subnormals.
uint16_t FloatToHalfBits(float f);
float HalfBitsToFloat(uint16_t h);

struct Half {
  uint16_t bits = 0;
  Half() = default;
  Half(float f) : bits(FloatToHalfBits(f)) {}  // NOLINT: implicit, as between float types
  operator float() const { return HalfBitsToFloat(bits); }  // NOLINT
};

// The upper half of a float; conversion rounds to nearest even, NaN stays NaN.
struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  BFloat16(float f) {  // NOLINT
    uint32_t u = std::bit_cast<uint32_t>(f);
    if ((u & 0x7fffffff) > 0x7f800000) {
      bits = static_cast<uint16_t>(u >> 16 | 0x40);
    } else {
      bits = static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
    }
  }
  operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }  // NOLINT
};

}  // namespace sula
