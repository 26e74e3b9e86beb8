// Pillow's resampling: two passes, horizontal then vertical, each rounded to 8 bits, with weights
// in units of 2^-22. The filter grows with the reduction, so every source pixel counts.
#include <cmath>
#include <numbers>
#include <vector>

#include "image/geometry.h"

namespace sula {
namespace {

constexpr int kWeightBits = 22;

struct Filter {
  double radius;  // in source pixels when enlarging
  double (*value)(double x);
};

double Box(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }

double Triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

double Cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double Sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double Lanczos(double x) { return x >= -3 && x < 3 ? Sinc(x) * Sinc(x / 3) : 0; }

Filter FilterOf(ResizeKind kind) {
  switch (kind) {
    case ResizeKind::kBoxPil: return {0.5, Box};
    case ResizeKind::kBicubicPil: return {2, Cubic};
    case ResizeKind::kLanczosPil: return {3, Lanczos};
    default: return {1, Triangle};
  }
}

// For each position along one axis of the result: the source positions it is made of.
struct Taps {
  int most = 0;  // largest count
  std::vector<int> first, count;
  std::vector<int32_t> weights;  // `most` for each position
};

Taps MakeTaps(int from, int to, const Filter& filter) {
  const double step = static_cast<double>(from) / to;
  const double stretch = std::max(step, 1.0), squeeze = 1.0 / stretch;
  const double radius = filter.radius * stretch;
  Taps taps{
      .most = static_cast<int>(std::ceil(radius)) * 2 + 1, .first = {}, .count = {}, .weights = {}};
  taps.weights.resize(size_t{1} * to * taps.most);
  std::vector<double> w(taps.most);
  for (int i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * step;
    const int first = std::max(0, static_cast<int>(centre - radius + 0.5));
    const int count = std::min(from, static_cast<int>(centre + radius + 0.5)) - first;
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      w[k] = filter.value((k + first - centre + 0.5) * squeeze);
      sum += w[k];
    }
    for (int k = 0; k < count; ++k) {
      const double scaled = (sum != 0 ? w[k] / sum : w[k]) * (1 << kWeightBits);
      taps.weights[size_t{1} * i * taps.most + k] =
          static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
    taps.first.push_back(first);
    taps.count.push_back(count);
  }
  return taps;
}

constexpr int32_t kHalf = 1 << (kWeightBits - 1);

template <int C>
void ResampleRow(const uint8_t* src, const Taps& taps, uint8_t* dst) {
  for (size_t x = 0; x < taps.first.size(); ++x, dst += C) {
    const uint8_t* p = src + size_t{1} * taps.first[x] * C;
    const int32_t* w = &taps.weights[x * taps.most];
    int32_t sum[C];
    for (int c = 0; c < C; ++c) sum[c] = kHalf;
    for (int k = 0; k < taps.count[x]; ++k)
      for (int c = 0; c < C; ++c) sum[c] += p[k * C + c] * w[k];
    for (int c = 0; c < C; ++c) dst[c] = ClampToByte(sum[c] >> kWeightBits);
  }
}

}  // namespace

void ResizePil(const Image& in, ResizeKind kind, Image& out) {
  const Filter filter = FilterOf(kind);
  const Taps columns = MakeTaps(in.width, out.width, filter);
  const Taps rows = MakeTaps(in.height, out.height, filter);
  const size_t line = RowBytes(out);
  // The rows that the vertical filter still needs, after the horizontal pass: row y in slot
  // y % rows.most. The windows only move down, so each row is made once.
  std::vector<uint8_t> ring(line * rows.most);
  auto slot = [&](int y) { return ring.data() + line * static_cast<size_t>(y % rows.most); };
  std::vector<int32_t> sum(line);
  int next = 0;
  for (int y = 0; y < out.height; ++y) {
    const int first = rows.first[y], end = first + rows.count[y];
    for (next = std::max(next, first); next < end; ++next) {
      if (in.width == out.width) {
        std::copy_n(Row(in, next), line, slot(next));
      } else if (in.channels == 1) {
        ResampleRow<1>(Row(in, next), columns, slot(next));
      } else {
        ResampleRow<3>(Row(in, next), columns, slot(next));
      }
    }
    uint8_t* dst = Row(out, y);
    if (in.height == out.height) {
      std::copy_n(slot(y), line, dst);
      continue;
    }
    std::fill(sum.begin(), sum.end(), kHalf);
    for (int k = first; k < end; ++k) {
      const int32_t w = rows.weights[size_t{1} * y * rows.most + (k - first)];
      const uint8_t* src = slot(k);
      for (size_t i = 0; i < line; ++i) sum[i] += src[i] * w;
    }
    for (size_t i = 0; i < line; ++i) dst[i] = ClampToByte(sum[i] >> kWeightBits);
  }
}

}  // namespace sula
