// Resampling that picks one source pixel for each pixel of the result.
#include <cmath>
#include <vector>

#include "image/geometry.h"

namespace sula {
namespace {

// The source position for each position of the result along one axis. The arithmetic is that of
// the libraries down to the order of additions: at exact ties rounding decides.
std::vector<int> Sources(int from, int to, ResizeKind kind) {
  std::vector<int> sources(to);
  if (kind == ResizeKind::kNearestPil) {
    const double step = static_cast<double>(from) / to;
    double centre = step * 0.5;
    for (int& s : sources) {
      s = std::min(static_cast<int>(centre), from - 1);
      centre += step;
    }
  } else {
    const double step = 1.0 / (static_cast<double>(to) / from);
    for (int i = 0; i < to; ++i)
      sources[i] = std::min(static_cast<int>(std::floor(i * step)), from - 1);
  }
  return sources;
}

template <int C>
void PickRow(const uint8_t* src, const std::vector<int>& columns, uint8_t* dst) {
  for (int x : columns)
    for (int c = 0; c < C; ++c) *dst++ = src[size_t{1} * x * C + c];
}

}  // namespace

void ResizeNearest(const Image& in, ResizeKind kind, Image& out) {
  const std::vector<int> columns = Sources(in.width, out.width, kind);
  const std::vector<int> rows = Sources(in.height, out.height, kind);
  for (int y = 0; y < out.height; ++y) {
    if (in.channels == 1) {
      PickRow<1>(Row(in, rows[y]), columns, Row(out, y));
    } else {
      PickRow<3>(Row(in, rows[y]), columns, Row(out, y));
    }
  }
}

}  // namespace sula
