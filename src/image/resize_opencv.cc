// OpenCV's INTER_LINEAR and INTER_AREA for 8-bit pictures.
#include <cmath>
#include <vector>

#include "image/geometry.h"

namespace sula {
namespace {

// ---- linear: two taps in each direction, weights in units of 2^-11

constexpr int kOne = 1 << 11;

struct LinearTap {
  int near = 0, far = 0;  // source positions
  int near_weight = kOne, far_weight = 0;
};

int RoundHalfEven(float v) { return static_cast<int>(std::lrint(v)); }

// `area` chooses the positions of INTER_AREA when enlarging. `snap`: a tap beyond the border takes
// the border pixel with weight one (columns); otherwise it keeps its two weights, both for that
// pixel, and loses in rounding what the two products lose (rows).
std::vector<LinearTap> LinearTaps(int from, int to, bool area, bool snap) {
  std::vector<LinearTap> taps(to);
  const double inverse = static_cast<double>(to) / from, step = 1.0 / inverse;
  for (int i = 0; i < to; ++i) {
    int at;
    float f;
    if (area) {
      at = static_cast<int>(std::floor(i * step));
      f = static_cast<float>((i + 1) - (at + 1) * inverse);
      f = f <= 0 ? 0 : f - std::floor(f);
    } else {
      f = static_cast<float>((i + 0.5) * step - 0.5);
      at = static_cast<int>(std::floor(f));
      f -= static_cast<float>(at);
    }
    if (snap && (at < 0 || at >= from - 1)) f = 0;
    taps[i] = {std::clamp(at, 0, from - 1), std::clamp(at + 1, 0, from - 1),
               RoundHalfEven((1 - f) * kOne), RoundHalfEven(f * kOne)};
  }
  return taps;
}

template <int C>
void LinearRow(const uint8_t* src, const std::vector<LinearTap>& taps, int32_t* dst) {
  for (const LinearTap& t : taps)
    for (int c = 0; c < C; ++c)
      *dst++ = src[size_t{1} * t.near * C + c] * t.near_weight +
               src[size_t{1} * t.far * C + c] * t.far_weight;
}

void Linear(const Image& in, bool area, Image& out) {
  const std::vector<LinearTap> columns = LinearTaps(in.width, out.width, area, true);
  const std::vector<LinearTap> rows = LinearTaps(in.height, out.height, area, false);
  const size_t line = RowBytes(out);
  // The last two source rows after the horizontal pass: row y in slot y % 2.
  std::vector<int32_t> made(2 * line);
  int held[2] = {-1, -1};
  auto widen = [&](int y) {
    int32_t* dst = made.data() + line * static_cast<size_t>(y % 2);
    if (held[y % 2] == y) return dst;
    held[y % 2] = y;
    if (in.channels == 1) {
      LinearRow<1>(Row(in, y), columns, dst);
    } else {
      LinearRow<3>(Row(in, y), columns, dst);
    }
    return dst;
  };
  for (int y = 0; y < out.height; ++y) {
    const LinearTap& t = rows[y];
    const int32_t *a = widen(t.near), *b = widen(t.far);
    const int32_t wa = t.near_weight, wb = t.far_weight;
    uint8_t* dst = Row(out, y);
    for (size_t i = 0; i < line; ++i)
      dst[i] =
          static_cast<uint8_t>((((wa * (a[i] >> 4)) >> 16) + ((wb * (b[i] >> 4)) >> 16) + 2) >> 2);
  }
}

// ---- area, whole factors: the mean of a block

void BlockMeans(const Image& in, int factor_x, int factor_y, Image& out) {
  const int c = in.channels;
  const float scale = 1.0f / static_cast<float>(factor_x * factor_y);
  const bool quarter = factor_x == 2 && factor_y == 2;
  std::vector<int32_t> sum(RowBytes(out));
  for (int y = 0; y < out.height; ++y) {
    std::fill(sum.begin(), sum.end(), 0);
    for (int j = 0; j < factor_y; ++j) {
      const uint8_t* src = Row(in, y * factor_y + j);
      int32_t* s = sum.data();
      for (int x = 0; x < out.width; ++x, s += c)
        for (int i = 0; i < factor_x; ++i)
          for (int k = 0; k < c; ++k) s[k] += *src++;
    }
    uint8_t* dst = Row(out, y);
    // Halves are rounded up in blocks of four, otherwise to even.
    for (size_t i = 0; i < sum.size(); ++i)
      dst[i] = quarter ? static_cast<uint8_t>((sum[i] + 2) >> 2)
                       : ClampToByte(RoundHalfEven(static_cast<float>(sum[i]) * scale));
  }
}

// ---- area, any factors of at least 1: the mean weighted by what is covered

struct AreaTap {
  int from, to;  // a source position counts with this weight in a position of the result
  float weight;
};

std::vector<AreaTap> AreaTaps(int from, int to, double step) {
  std::vector<AreaTap> taps;
  for (int i = 0; i < to; ++i) {
    const double begin = i * step, end = begin + step;
    const double cell = std::min(step, from - begin);
    const int last = std::min(static_cast<int>(std::floor(end)), from - 1);
    const int first = std::min(static_cast<int>(std::ceil(begin)), last);
    if (first - begin > 1e-3)
      taps.push_back({first - 1, i, static_cast<float>((first - begin) / cell)});
    for (int s = first; s < last; ++s) taps.push_back({s, i, static_cast<float>(1 / cell)});
    if (end - last > 1e-3)
      taps.push_back(
          {last, i, static_cast<float>(std::min(std::min(end - last, 1.0), cell) / cell)});
  }
  return taps;
}

template <int C>
void AreaRow(const uint8_t* src, const std::vector<AreaTap>& taps, float* dst) {
  for (const AreaTap& t : taps)
    for (int c = 0; c < C; ++c)
      dst[size_t{1} * t.to * C + c] +=
          static_cast<float>(src[size_t{1} * t.from * C + c]) * t.weight;
}

void AreaMeans(const Image& in, double step_x, double step_y, Image& out) {
  const std::vector<AreaTap> columns = AreaTaps(in.width, out.width, step_x);
  const std::vector<AreaTap> rows = AreaTaps(in.height, out.height, step_y);
  const size_t line = RowBytes(out);
  std::vector<float> narrow(line), sum(line);
  for (size_t r = 0; r < rows.size(); ++r) {
    std::fill(narrow.begin(), narrow.end(), 0.0f);
    if (in.channels == 1) {
      AreaRow<1>(Row(in, rows[r].from), columns, narrow.data());
    } else {
      AreaRow<3>(Row(in, rows[r].from), columns, narrow.data());
    }
    const float w = rows[r].weight;
    const bool begins = r == 0 || rows[r - 1].to != rows[r].to;
    for (size_t i = 0; i < line; ++i) sum[i] = begins ? w * narrow[i] : sum[i] + w * narrow[i];
    if (r + 1 < rows.size() && rows[r + 1].to == rows[r].to) continue;
    uint8_t* dst = Row(out, rows[r].to);
    for (size_t i = 0; i < line; ++i) dst[i] = ClampToByte(RoundHalfEven(sum[i]));
  }
}

// The factor of reduction if it is whole, else 0.
int WholeFactor(int from, int to) { return from % to == 0 ? from / to : 0; }

}  // namespace

void ResizeBilinearOpenCv(const Image& in, Image& out) {
  // Halving both sides gives the same four pixels equal weights, and is rounded as a mean.
  if (WholeFactor(in.width, out.width) == 2 && WholeFactor(in.height, out.height) == 2) {
    BlockMeans(in, 2, 2, out);
  } else {
    Linear(in, false, out);
  }
}

void ResizeAreaOpenCv(const Image& in, Image& out) {
  const double step_x = 1.0 / (static_cast<double>(out.width) / in.width);
  const double step_y = 1.0 / (static_cast<double>(out.height) / in.height);
  const int factor_x = WholeFactor(in.width, out.width);
  const int factor_y = WholeFactor(in.height, out.height);
  if (step_x < 1 || step_y < 1) {
    Linear(in, true, out);
  } else if (factor_x > 0 && factor_y > 0) {
    BlockMeans(in, factor_x, factor_y, out);
  } else {
    AreaMeans(in, step_x, step_y, out);
  }
}

}  // namespace sula
