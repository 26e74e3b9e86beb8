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

double NoiseGain(const WinogradMatrices& m) {
  double sum = 0;
  for (int k = 0; k < m.n; ++k) {
    for (int i = 0; i < m.size(); ++i) {
      const double a = m.at[k][i].ToDouble();
      sum += a * a * SquaredNorm(m.g[i]) * SquaredNorm(m.bt[i]) / m.r;
    }
  }
  return std::sqrt(sum / m.n);
}

}  // namespace sula::cpu
