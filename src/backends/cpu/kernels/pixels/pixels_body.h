// One row of a picture made one row of floats, in three steps:
//
//   down:   the rows of the picture that are needed, added up with their weights, as floats
//   across: pixels of that row, added up with their weights, as vectors of four channels
//   mix:    channels of the result from the channels of each pixel
//
// Each reads what the one before left in the nearest cache. A step that changes nothing is left
// out. Vectors are GCC's own, of 8 lanes whatever the machine has: there is little arithmetic, and
// what takes the time are shuffles that 8 lanes can do in place. Widen is a type of the file that
// instantiates the body, which tells the variants apart:
//
//   static PixelInts Load(const uint8_t* p);  // 8 bytes as integers
#pragma once

#include <cstring>

#include "backends/cpu/kernels/pixels/pixels.h"

namespace sula::cpu {

typedef int32_t PixelInts __attribute__((vector_size(32)));

template <class Widen>
struct PixelBody {
  static constexpr int kLanes = 8;
  typedef float Quad __attribute__((vector_size(16)));  // the channels of a pixel
  typedef float Vec __attribute__((vector_size(32)));   // one channel of 8 pixels
  using Ints = PixelInts;
  typedef uint8_t Bytes16 __attribute__((vector_size(16)));
  typedef uint8_t Bytes32 __attribute__((vector_size(32)));

  template <class T>
  [[gnu::always_inline]] static T Load(const void* p) {
    T v;
    std::memcpy(&v, p, sizeof(v));
    return v;
  }
  template <class T>
  [[gnu::always_inline]] static void Store(void* p, T v) {
    std::memcpy(p, &v, sizeof(v));
  }

  // ---- down: n bytes of `taps` rows that are row_bytes apart

  // Four vectors at a time, so that sums of many rows stay in registers.
  template <int kVectors>
  [[gnu::always_inline]] static void DownSome(const uint8_t* rows, int64_t row_bytes,
                                              const float* weights, int64_t taps, float* to) {
    Vec sum[kVectors] = {};
    for (int64_t k = 0; k < taps; ++k, rows += row_bytes) {
      for (int v = 0; v < kVectors; ++v)
        sum[v] += __builtin_convertvector(Widen::Load(rows + v * kLanes), Vec) * weights[k];
    }
    for (int v = 0; v < kVectors; ++v) Store(to + v * kLanes, sum[v]);
  }
  static void Down(const uint8_t* rows, int64_t row_bytes, const float* weights, int64_t taps,
                   int64_t n, float* to) {
    constexpr int kVectors = 4, kMany = kVectors * kLanes;
    int64_t i = 0;
    for (; i + kMany <= n; i += kMany)
      DownSome<kVectors>(rows + i, row_bytes, weights, taps, to + i);
    for (; i + kLanes <= n; i += kLanes) DownSome<1>(rows + i, row_bytes, weights, taps, to + i);
    for (; i < n; ++i) {
      float sum = 0;
      for (int64_t k = 0; k < taps; ++k)
        sum += weights[k] * static_cast<float>(rows[k * row_bytes + i]);
      to[i] = sum;
    }
  }

  // ---- across: n pixels of the result; row[0] is that of input pixel `origin`

  // What lies beyond the channels of a pixel is not used; after the last pixel follow zeros up to a
  // multiple of 8.
  template <int kTaps>
  static void Across(const float* row, int64_t channels, const PixelTaps& columns, int64_t origin,
                     float* to) {
    const int64_t taps = kTaps > 0 ? kTaps : columns.taps;
    const auto [begin, end] = columns.visible;
    const int32_t* first = columns.first.data();
    const float* weights = columns.weights.data() + begin * taps;
    row -= origin * channels;
    for (int64_t j = begin; j < end; ++j, to += kMaxPixelChannels, weights += taps) {
      const float* pixel = row + first[j] * channels;
      Quad sum = Load<Quad>(pixel) * weights[0];
      for (int64_t k = 1; k < taps; ++k) sum += Load<Quad>(pixel + k * channels) * weights[k];
      Store(to, sum);
    }
    for (int64_t j = end - begin; j % kLanes != 0; ++j, to += kMaxPixelChannels) Store(to, Quad{});
  }

  // ---- mix: what 8 pixels hold, by channel, from each of the forms they come in

  struct Quads {  // floats, four channels each
    static constexpr int kBytes = 16, kChannels = 4;
    [[gnu::always_inline]] static void Read(const void* p, Vec (&c)[4]) {
      const auto* q = static_cast<const float*>(p);
      Vec r[4], t[4];
      for (int i = 0; i < 4; ++i)
        r[i] = __builtin_shufflevector(Load<Quad>(q + 4 * i), Load<Quad>(q + 4 * i + 16), 0, 1, 2,
                                       3, 4, 5, 6, 7);
      for (int i = 0; i < 2; ++i) {
        t[i] = __builtin_shufflevector(r[2 * i], r[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        t[i + 2] = __builtin_shufflevector(r[2 * i], r[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
      }
      for (int i = 0; i < 2; ++i) {
        c[2 * i] = __builtin_shufflevector(t[2 * i], t[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13);
        c[2 * i + 1] = __builtin_shufflevector(t[2 * i], t[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
      }
    }
  };
  [[gnu::always_inline]] static void Split(Ints pixels, Vec (&c)[4]) {
    c[0] = __builtin_convertvector(pixels & 255, Vec);
    c[1] = __builtin_convertvector(pixels >> 8 & 255, Vec);
    c[2] = __builtin_convertvector(pixels >> 16 & 255, Vec);
    c[3] = __builtin_convertvector(pixels >> 24 & 255, Vec);
  }
  struct Bytes4 {
    static constexpr int kBytes = 4, kChannels = 4;
    [[gnu::always_inline]] static void Read(const void* p, Vec (&c)[4]) { Split(Load<Ints>(p), c); }
  };
  struct Bytes3 {  // reads 4 bytes more
    static constexpr int kBytes = 3, kChannels = 3;
    [[gnu::always_inline]] static void Read(const void* p, Vec (&c)[4]) {
      const auto* b = static_cast<const uint8_t*>(p);
      const Bytes16 low = Load<Bytes16>(b), high = Load<Bytes16>(b + 12);
      Bytes32 v =
          __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                                  16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
      v = __builtin_shufflevector(v, v, 0, 1, 2, 15, 3, 4, 5, 15, 6, 7, 8, 15, 9, 10, 11, 15, 16,
                                  17, 18, 31, 19, 20, 21, 31, 22, 23, 24, 31, 25, 26, 27, 31);
      Split(reinterpret_cast<Ints>(v), c);
    }
  };
  struct Bytes1 {
    static constexpr int kBytes = 1, kChannels = 1;
    [[gnu::always_inline]] static void Read(const void* p, Vec (&c)[4]) {
      c[0] = __builtin_convertvector(Widen::Load(static_cast<const uint8_t*>(p)), Vec);
    }
  };

  struct Numbers {  // mix and shift in vectors
    Vec mix[kMaxPixelChannels][4], shift[kMaxPixelChannels];
    explicit Numbers(const PixelSpec& spec) {
      for (size_t o = 0; o < static_cast<size_t>(spec.channels); ++o) {
        for (size_t c = 0; c < 4; ++c) mix[o][c] = Vec{} + spec.mix[o][c];
        shift[o] = Vec{} + spec.shift[o];
      }
    }
  };

  // Eight pixels. Row o of the result goes to `to` + o * stride.
  template <class Form>
  [[gnu::always_inline]] static void MixEight(const Numbers& numbers, int64_t channels,
                                              const void* pixels, float* to, int64_t stride) {
    Vec c[4];
    Form::Read(pixels, c);
    for (int64_t o = 0; o < channels; ++o) {
      const Vec(&m)[4] = numbers.mix[o];
      Vec sum = numbers.shift[o];
      for (int i = 0; i < Form::kChannels; ++i) sum += c[i] * m[i];
      Store(to + o * stride, sum);
    }
  }

  // n pixels. No byte beyond them is read: the last ones are copied before. What does not go to
  // planes, or is not eight pixels, is copied behind.
  template <class Form>
  static void Mix(const PixelSpec& spec, const void* from, int64_t n, const PixelRow& to) {
    constexpr int64_t kEight = kLanes * Form::kBytes, kSlack = 2;  // pixels
    const Numbers numbers(spec);
    const int64_t channels = spec.channels;
    const auto* at = static_cast<const std::byte*>(from);
    int64_t j = 0;
    if (to.pixel_stride == 1)
      for (; j + kLanes + kSlack <= n; j += kLanes, at += kEight)
        MixEight<Form>(numbers, channels, at, to.at + j, to.channel_stride);
    for (; j < n; j += kLanes, at += kEight) {
      const int64_t count = n - j < kLanes ? n - j : kLanes;
      std::byte last[(kLanes + kSlack) * Form::kBytes] = {};
      std::memcpy(last, at, static_cast<size_t>(count * Form::kBytes));
      float result[kMaxPixelChannels * kLanes];
      MixEight<Form>(numbers, channels, last, result, kLanes);
      Scatter(result, channels, count, to, j);
    }
  }
  [[gnu::noinline]] static void Scatter(const float* result, int64_t channels, int64_t count,
                                        const PixelRow& to, int64_t j) {
    for (int64_t o = 0; o < channels; ++o)
      for (int64_t i = 0; i < count; ++i)
        to.at[o * to.channel_stride + (j + i) * to.pixel_stride] = result[o * kLanes + i];
  }

  // ---- the row

  static void Beyond(const PixelSpec& spec, Range columns, const PixelRow& to) {
    for (size_t o = 0; o < static_cast<size_t>(spec.channels); ++o)
      for (int64_t j = columns.begin; j < columns.end; ++j)
        to.at[static_cast<int64_t>(o) * to.channel_stride + j * to.pixel_stride] = spec.beyond[o];
  }

  static void Row(const PixelSpec& spec, const uint8_t* picture, int64_t i, const PixelRow& to,
                  float* scratch) {
    const PixelTaps &rows = spec.rows, &columns = spec.columns;
    const Range seen = columns.visible;
    if (i < rows.visible.begin || i >= rows.visible.end || seen.begin == seen.end)
      return Beyond(spec, {0, spec.width}, to);
    Beyond(spec, {0, seen.begin}, to);
    Beyond(spec, {seen.end, spec.width}, to);
    const int64_t n = seen.end - seen.begin, channels = spec.in_channels;
    const PixelRow inside = {to.at + seen.begin * to.pixel_stride, to.channel_stride,
                             to.pixel_stride};
    // The columns of the picture that are read.
    const int64_t origin = columns.first[static_cast<size_t>(seen.begin)];
    const int64_t end = columns.first[static_cast<size_t>(seen.end - 1)] + columns.taps;
    const int64_t row_bytes = spec.in_width * channels;
    const uint8_t* from =
        picture + rows.first[static_cast<size_t>(i)] * row_bytes + origin * channels;
    if (columns.plain && rows.plain) {
      if (channels == 1) return Mix<Bytes1>(spec, from, n, inside);
      if (channels == 3) return Mix<Bytes3>(spec, from, n, inside);
      if (channels == 4) return Mix<Bytes4>(spec, from, n, inside);
    }
    const int64_t floats = (end - origin) * channels;
    float* row = scratch;
    Down(from, row_bytes, rows.weights.data() + i * rows.taps, rows.taps, floats, row);
    for (int64_t k = 0; k < kMaxPixelChannels; ++k) row[floats + k] = 0;
    float* quads = row + spec.in_width * channels + 2 * kMaxPixelChannels;
    if (columns.taps == 2) {
      Across<2>(row, channels, columns, origin, quads);
    } else {
      Across<0>(row, channels, columns, origin, quads);
    }
    Mix<Quads>(spec, quads, n, inside);
  }
};

template <class Widen>
constexpr PixelKernels MakePixelKernels() {
  return {.row = PixelBody<Widen>::Row};
}

}  // namespace sula::cpu
