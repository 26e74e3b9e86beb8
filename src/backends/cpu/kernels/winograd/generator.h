// Winograd's minimal filtering F(n, r): n outputs of an r-tap filter from n + r - 1 products,
//
//   y = A^T ((G g) * (B^T d))        ("*" by element; 2-D nests the same matrices)
//
// made for any n and r from interpolation points by the Cook-Toom construction in exact rational
// arithmetic, at compile time for the transforms and at load time for the filters.
// Sources: S. Winograd, Arithmetic Complexity of Computations (1980); A. Lavin, S. Gray, Fast
// Algorithms for Convolutional Neural Networks (2015).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sula::cpu {

// A fraction in lowest terms, denominator positive. Arithmetic is exact; products beyond 64 bits
// make `valid` false, which is contagious.
struct Rational {
  int64_t num = 0, den = 1;
  bool valid = true;

  constexpr Rational() = default;
  constexpr Rational(int64_t n) : num(n) {}  // NOLINT: implicit, as between numbers
  static constexpr Rational Of(__int128 n, __int128 d) {
    if (d < 0) n = -n, d = -d;
    __int128 a = n < 0 ? -n : n, b = d;
    while (b != 0) {
      const __int128 t = a % b;
      a = b, b = t;
    }
    if (a > 1) n /= a, d /= a;
    constexpr __int128 kMax = INT64_MAX;
    Rational r;
    r.valid = d != 0 && n <= kMax && n >= -kMax && d <= kMax;
    if (r.valid) r.num = static_cast<int64_t>(n), r.den = static_cast<int64_t>(d);
    return r;
  }
  friend constexpr Rational operator*(Rational a, Rational b) {
    return Of(static_cast<__int128>(a.num) * b.num, static_cast<__int128>(a.den) * b.den).And(a, b);
  }
  friend constexpr Rational operator/(Rational a, Rational b) {
    return Of(static_cast<__int128>(a.num) * b.den, static_cast<__int128>(a.den) * b.num).And(a, b);
  }
  friend constexpr Rational operator+(Rational a, Rational b) {
    return Of(static_cast<__int128>(a.num) * b.den + static_cast<__int128>(b.num) * a.den,
              static_cast<__int128>(a.den) * b.den)
        .And(a, b);
  }
  friend constexpr Rational operator-(Rational a, Rational b) { return a + b * Rational(-1); }
  friend constexpr bool operator==(const Rational&, const Rational&) = default;
  constexpr double ToDouble() const { return static_cast<double>(num) / static_cast<double>(den); }

 private:
  constexpr Rational And(Rational a, Rational b) const {
    Rational r = *this;
    r.valid = valid && a.valid && b.valid;
    return r;
  }
};

inline constexpr int kMaxWinogradSize = 12;  // n + r - 1

// Rows and columns beyond the sizes are zero.
using WinogradMatrix = std::array<std::array<Rational, kMaxWinogradSize>, kMaxWinogradSize>;

// A^T is n x size, G size x r, B^T size x size, with size = n + r - 1.
struct WinogradMatrices {
  int n = 1, r = 1;
  WinogradMatrix at, g, bt;
  bool valid = true;
  constexpr int size() const { return n + r - 1; }
};

// `count` finite points for F(n, r), n + r - 2 = count; the last point is infinity. They depend on
// n + r alone, since A^T and G exchange roles. Pairs of opposite points let the transforms share
// work; zero costs nothing; all are dyadic, so that A^T and B^T are exact in float. Chosen by
// search for the least noise (NoiseGain) among such sets; the best real-valued sets gain under 5 %
// more.
struct WinogradPoints {
  int count = 0;
  std::array<Rational, kMaxWinogradSize> value;
};
constexpr WinogradPoints PointsFor(int count) {
  WinogradPoints p;
  auto pair = [&p](int64_t num, int64_t den) {
    p.value[static_cast<size_t>(p.count++)] = Rational::Of(num, den);
    p.value[static_cast<size_t>(p.count++)] = Rational::Of(-num, den);
  };
  if (count % 2 == 1) p.value[static_cast<size_t>(p.count++)] = 0;
  switch (count) {
    case 2: pair(1, 1); break;
    case 3: pair(1, 1); break;
    case 4: pair(3, 8), pair(5, 4); break;
    case 5: pair(5, 8), pair(3, 2); break;
    case 6: pair(1, 4), pair(7, 8), pair(7, 4); break;
    case 7: pair(1, 2), pair(1, 1), pair(2, 1); break;
    case 8: pair(1, 4), pair(5, 8), pair(9, 8), pair(2, 1); break;
    case 9: pair(3, 8), pair(7, 8), pair(5, 4), pair(5, 2); break;
    case 10: pair(1, 4), pair(5, 8), pair(7, 8), pair(5, 4), pair(5, 2); break;
    case 11: pair(3, 8), pair(5, 8), pair(1, 1), pair(3, 2), pair(3, 1); break;
    default: break;
  }
  return p;
}

namespace winograd_internal {

// The least odd integer that makes x times it dyadic, given that `m` does for others.
constexpr int64_t OddLcm(int64_t m, Rational x) {
  int64_t d = x.den;
  while (d % 2 == 0) d /= 2;
  int64_t a = m, b = d;
  while (b != 0) {
    const int64_t t = a % b;
    a = b, b = t;
  }
  return m / a * d;
}

}  // namespace winograd_internal

// F(n, r) for the given points. Rows and columns are scaled so that each row of B^T ends in 1 and
// A^T and B^T hold dyadic numbers only; every other factor goes to G, which is applied once, in
// double. Not valid: n + r - 1 above kMaxWinogradSize, a wrong number of points, or overflow.
constexpr WinogradMatrices CookToom(int n, int r, const WinogradPoints& points) {
  WinogradMatrices m;
  m.n = n, m.r = r;
  const int size = n + r - 1;
  m.valid = n >= 1 && r >= 1 && size <= kMaxWinogradSize && points.count == size - 1;
  if (!m.valid) return m;
  // The product of (x - p) over all finite points, grown factor by factor.
  std::array<Rational, kMaxWinogradSize + 1> whole;
  whole[0] = 1;
  for (int i = 0; i < size - 1; ++i) {
    const auto pi = points.value[i];
    // Row i of B^T: the product over the other points, divided by its value at p_i.
    std::array<Rational, kMaxWinogradSize + 1> row;
    row[0] = 1;
    Rational norm = 1;
    int degree = 0;
    for (int j = 0; j < size - 1; ++j) {
      if (j == i) continue;
      for (int c = ++degree; c >= 0; --c)
        row[c] = (c > 0 ? row[c - 1] : Rational(0)) - points.value[j] * row[c];
      norm = norm * (pi - points.value[j]);
    }
    Rational power = 1;
    for (int k = 0; k < n || k < r; ++k, power = power * pi) {
      if (k < n) m.at[k][i] = power;
      if (k < r) m.g[i][k] = power;
    }
    // B^T's row is taken without the division, so that it ends in 1; G gets the factor. Odd
    // denominators are cleared from B^T and from the column of A^T likewise.
    int64_t odd_b = 1, odd_a = 1;
    for (int c = 0; c < size - 1; ++c) odd_b = winograd_internal::OddLcm(odd_b, row[c]);
    for (int k = 0; k < n; ++k) odd_a = winograd_internal::OddLcm(odd_a, m.at[k][i]);
    for (int c = 0; c < size - 1; ++c) m.bt[i][c] = row[c] * Rational(odd_b);
    for (int k = 0; k < n; ++k) m.at[k][i] = m.at[k][i] * Rational(odd_a);
    for (int k = 0; k < r; ++k) m.g[i][k] = m.g[i][k] / (norm * Rational(odd_a) * Rational(odd_b));
    for (int c = i + 1; c >= 0; --c)
      whole[c] = (c > 0 ? whole[c - 1] : Rational(0)) - pi * whole[c];
  }
  m.at[n - 1][size - 1] = 1;
  m.g[size - 1][r - 1] = 1;
  for (int c = 0; c < size; ++c) m.bt[size - 1][c] = whole[c];
  for (const WinogradMatrix* matrix : {&m.at, &m.g, &m.bt})
    for (const auto& matrix_row : *matrix)
      for (const Rational& x : matrix_row) m.valid &= x.valid;
  return m;
}
constexpr WinogradMatrices CookToom(int n, int r) { return CookToom(n, r, PointsFor(n + r - 2)); }

// Proof by exact arithmetic that the matrices compute the filter: for all k < n, j < r and l,
// sum over i of A_ki G_ij B_il is 1 if l = j + k, else 0.
constexpr bool IsExact(const WinogradMatrices& m) {
  for (int k = 0; k < m.n; ++k)
    for (int j = 0; j < m.r; ++j)
      for (int l = 0; l < m.size(); ++l) {
        Rational sum = 0;
        for (int i = 0; i < m.size(); ++i) sum = sum + m.at[k][i] * m.g[i][j] * m.bt[i][l];
        if (!(sum == Rational(l == j + k ? 1 : 0))) return false;
      }
  return m.valid;
}

// How much the rounding noise of a float computation grows against a direct one, in one dimension:
// the root of the mean over outputs k of sum_i A_ki^2 |G_i|^2 |B_i|^2 / r. In two dimensions gains
// multiply. It does not depend on scaling. Measured over many sets, the largest error relative to
// the largest output stays below gain * 1e-6.
double NoiseGain(const WinogradMatrices& m);

}  // namespace sula::cpu
