// Winograd's minimal filtering F(n, r): n outputs of an r-tap filter from n + r - 1 products,
//
//   y = A^T ((G g) * (B^T d))        ("*" by element; 2-D nests the same matrices)
//
// made for any n and r from interpolation points by the Cook-Toom construction in exact rational
// arithmetic, at compile time for the transforms and at load time for the filters. A stride, and a
// transposed convolution, is a sum of such filters over the phases of the stride.
// Sources: S. Winograd, Arithmetic Complexity of Computations (1980); A. Toom, S. Cook, as in
// R. Blahut, Fast Algorithms for Signal Processing (2010), chapter 5; A. Lavin, S. Gray, Fast
// Algorithms for Convolutional Neural Networks (2015). On points and errors: B. Barabasz, A.
// Anderson, K. M. Soodhalter, D. Gregg, Error Analysis and Improving the Accuracy of Winograd
// Convolution for Deep Neural Networks (2018); S. A. Alam, A. Anderson, B. Barabasz, D. Gregg,
// Winograd Convolution for Deep Neural Networks: Efficient Point Selection (2022).
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

inline constexpr int kMaxWinogradSize = 12;  // products of a tile

// Rows and columns beyond the sizes are zero.
using WinogradMatrix = std::array<std::array<Rational, kMaxWinogradSize>, kMaxWinogradSize>;

// What a tile of one axis computes: `n` neighbouring outputs of each phase of an r-tap filter.
// A convolution of stride s splits its taps and inputs by phases and adds up F(n, ceil((r - p) /
// s)) over p < s. A transposed convolution computes for each of s neighbouring outputs a filter of
// its own, from the taps k with (output + pad - k) divisible by s: `shift` is pad modulo s.
struct WinogradAxis {
  int n = 1, r = 1;
  int stride = 1;
  bool transposed = false;
  int shift = 0;

  // Taps of phase p of a convolution, of output p of a transposed one, and the first of them.
  constexpr int first_tap(int p) const { return transposed ? (p + shift) % stride : p; }
  constexpr int phase_taps(int p) const {
    const int first = first_tap(p);
    return first < r ? (r - first + stride - 1) / stride : 0;
  }
  constexpr int products() const {
    int sum = 0;
    for (int p = 0; p < stride; ++p) sum += phase_taps(p) > 0 ? n + phase_taps(p) - 1 : 0;
    return sum;
  }
  constexpr int outputs() const { return transposed ? n * stride : n; }
  // The first input of the tile whose first output is at 0, without padding (with padding `shift`
  // if transposed): 0 or, transposed, negative.
  constexpr int first_input() const { return transposed ? -((r - 1 - shift) / stride) : 0; }
  constexpr int inputs() const {
    return transposed ? (shift + n * stride - 1) / stride - first_input() + 1
                      : (n - 1) * stride + r;
  }
  constexpr int input_step() const { return transposed ? n : n * stride; }  // from tile to tile
  // Nothing to transform: one tap, input i is output i.
  constexpr bool IsIdentity() const { return n == 1 && r == 1 && stride == 1; }
  friend constexpr bool operator==(const WinogradAxis&, const WinogradAxis&) = default;
};

// A^T is outputs x products, G products x taps, B^T products x inputs.
struct WinogradMatrices {
  int outputs = 1, products = 1, taps = 1, inputs = 1;
  WinogradMatrix at, g, bt;
  bool valid = true;
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
  const int size = n + r - 1;
  m.outputs = n, m.products = m.inputs = size, m.taps = r;
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

// The matrices of any axis. Not valid: sizes above kMaxWinogradSize, or an output without taps.
constexpr WinogradMatrices MatricesOf(const WinogradAxis& axis) {
  if (axis.stride == 1 && !axis.transposed) return CookToom(axis.n, axis.r);
  const int s = axis.stride;
  WinogradMatrices m;
  m.outputs = axis.outputs(), m.products = axis.products();
  m.taps = axis.r, m.inputs = axis.inputs();
  m.valid = m.outputs <= kMaxWinogradSize && m.products <= kMaxWinogradSize &&
            m.inputs <= kMaxWinogradSize && axis.shift < s && (!axis.transposed || axis.r >= s);
  // Named in order, element by element, because g++ 12 can't read a constant that was filled with
  // gaps.
  for (WinogradMatrix* matrix : {&m.at, &m.g, &m.bt})
    for (auto& matrix_row : *matrix)
      for (Rational& x : matrix_row) x = 0;
  int row = 0;
  for (int p = 0; p < s && m.valid; ++p) {
    const int taps = axis.phase_taps(p), first = axis.first_tap(p);
    if (taps == 0) continue;
    const WinogradMatrices phase = CookToom(axis.n, taps);
    m.valid &= phase.valid;
    // Transposed: output q of the phase meets tap first + s * j at input q + ahead - j.
    const int ahead = (p + axis.shift - first) / s - axis.first_input();
    const bool t = axis.transposed;
    const int output = t ? p : 0, output_step = t ? s : 1;
    const int tap = t ? first + s * (taps - 1) : first, tap_step = t ? -s : s;
    const int input = t ? ahead - (taps - 1) : p, input_step = t ? 1 : s;
    for (int i = 0; i < phase.products; ++i, ++row) {
      for (int q = 0; q < axis.n; ++q) m.at[output + output_step * q][row] = phase.at[q][i];
      for (int j = 0; j < taps; ++j) m.g[row][tap + tap_step * j] = phase.g[i][j];
      for (int l = 0; l < phase.inputs; ++l) m.bt[row][input + input_step * l] = phase.bt[i][l];
    }
  }
  return m;
}

// Neighbouring products that belong to opposite points p and -p share work: their rows of B^T are a
// polynomial's even part plus and minus its odd part, and in A^T their columns are equal in even
// powers and opposite in odd ones. By product: 0 alone, 1 first of a pair, 2 second.
using WinogradPairs = std::array<int, kMaxWinogradSize>;
// Pairs of rows of m, each of `length`, or of columns.
constexpr WinogradPairs PairsOf(const WinogradMatrix& m, bool of_rows, int products, int length) {
  WinogradPairs kinds{};
  for (int i = 0; i + 1 < products; ++i) {
    bool same = false, opposite = false, other = false;
    for (int k = 0; k < length; ++k) {
      const Rational a = of_rows ? m[i][k] : m[k][i], b = of_rows ? m[i + 1][k] : m[k][i + 1];
      if (a == Rational(0) && b == a) continue;
      same |= a == b;
      opposite |= a == Rational(0) - b;
      other |= !(a == b) && !(a == Rational(0) - b);
    }
    if (same && opposite && !other) kinds[i] = 1, kinds[i + 1] = 2, ++i;
  }
  return kinds;
}

// Proof by exact arithmetic that the matrices compute the axis: for all outputs k, taps j and
// inputs l, the sum over i of A_ki G_ij B_il is 1 if tap j of output k meets input l, else 0.
constexpr bool IsExact(const WinogradAxis& axis, const WinogradMatrices& m) {
  for (int k = 0; k < m.outputs; ++k)
    for (int j = 0; j < m.taps; ++j)
      for (int l = 0; l < m.inputs; ++l) {
        Rational sum = 0;
        for (int i = 0; i < m.products; ++i) sum = sum + m.at[k][i] * m.g[i][j] * m.bt[i][l];
        const bool meet = axis.transposed
                              ? k + axis.shift == (l + axis.first_input()) * axis.stride + j
                              : l == j + axis.stride * k;
        if (!(sum == Rational(meet ? 1 : 0))) return false;
      }
  return m.valid;
}

// The noise gain is how much the rounding noise of a float computation grows against a direct one,
// in one dimension: the root of the mean over outputs k of sum_i A_ki^2 |G_i|^2 |B_i|^2 / t, t
// being the taps of an output. In two dimensions gains multiply. It does not depend on scaling.
constexpr double SquaredNoiseGain(const WinogradAxis& axis) {
  const WinogradMatrices m = MatricesOf(axis);
  const double taps = axis.transposed ? 1. * axis.r / axis.stride : axis.r;
  double sum = 0;
  for (int i = 0; i < m.products; ++i) {
    double a = 0, b = 0, g = 0;
    for (int k = 0; k < m.outputs; ++k) a += m.at[k][i].ToDouble() * m.at[k][i].ToDouble();
    for (int l = 0; l < m.inputs; ++l) b += m.bt[i][l].ToDouble() * m.bt[i][l].ToDouble();
    for (int j = 0; j < m.taps; ++j) g += m.g[i][j].ToDouble() * m.g[i][j].ToDouble();
    sum += a * b * g / taps;
  }
  return sum / m.outputs;
}

}  // namespace sula::cpu
