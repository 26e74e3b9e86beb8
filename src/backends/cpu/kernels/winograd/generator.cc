#include "backends/cpu/kernels/winograd/generator.h"

#include <cmath>

namespace sula::cpu {
namespace {

double SquaredNorm(const std::array<Rational, kMaxWinogradSize>& row) {
  double s = 0;
  for (const Rational& x : row) s += x.ToDouble() * x.ToDouble();
  return s;
}

}  // namespace

double NoiseGain(const WinogradAxis& axis) {
  const WinogradMatrices m = MatricesOf(axis);
  const double taps = axis.transposed ? 1. * axis.r / axis.stride : axis.r;
  double sum = 0;
  for (int k = 0; k < m.outputs; ++k) {
    for (int i = 0; i < m.products; ++i) {
      const double a = m.at[k][i].ToDouble();
      sum += a * a * SquaredNorm(m.g[i]) * SquaredNorm(m.bt[i]) / taps;
    }
  }
  return std::sqrt(sum / m.outputs);
}

}  // namespace sula::cpu
