// Strassen's algorithm as tables of block products: V. Strassen, Gaussian elimination is not
// optimal (1969). Each product is (sum of blocks of a) x (sum of blocks of b), added to or
// subtracted from some blocks of c. Two levels are the Kronecker product of the table with itself.
// Of the forms with 7 products this one, with 18 additions, is the faster one here, since its
// additions are done while blocks are read and written anyway: Winograd's with 15 needs
// temporaries, or more reads and writes (Huang et al., Strassen's algorithm reloaded, SC 2016).
#pragma once

#include <array>
#include <span>

namespace sula::cpu {

struct StrassenTerm {
  int block = 0;  // row * grid + column
  int sign = 1;
};
struct StrassenSum {
  static constexpr int kMax = 4;  // of two levels
  int count = 0;
  std::array<StrassenTerm, kMax> terms{};

  constexpr void Add(int block, int sign) { terms[static_cast<size_t>(count++)] = {block, sign}; }
};
struct StrassenProduct {
  StrassenSum a, b, c;
  // By term of c: no product before, or none behind this one, goes to that block.
  std::array<bool, StrassenSum::kMax> first{}, last{};
};

// Cuts each matrix into grid x grid blocks.
template <size_t kProducts>
struct StrassenTable {
  int grid = 1;
  std::array<StrassenProduct, kProducts> products{};

  constexpr void MarkEnds() {
    for (size_t p = 0; p < kProducts; ++p) {
      for (int t = 0; t < products[p].c.count; ++t) {
        const int block = products[p].c.terms[static_cast<size_t>(t)].block;
        bool before = false, behind = false;
        for (size_t q = 0; q < kProducts; ++q)
          for (int u = 0; u < products[q].c.count; ++u) {
            const bool same = products[q].c.terms[static_cast<size_t>(u)].block == block;
            before |= same && q < p;
            behind |= same && q > p;
          }
        products[p].first[static_cast<size_t>(t)] = !before;
        products[p].last[static_cast<size_t>(t)] = !behind;
      }
    }
  }
};

inline constexpr StrassenTable<7> kStrassenOne = [] {
  StrassenTable<7> t;
  t.grid = 2;
  const auto set = [&t](size_t p, std::array<int, 4> a, std::array<int, 4> b,
                        std::array<int, 4> c) {
    for (int i = 0; i < 4; ++i) {
      const auto at = static_cast<size_t>(i);
      if (a[at] != 0) t.products[p].a.Add(i, a[at]);
      if (b[at] != 0) t.products[p].b.Add(i, b[at]);
      if (c[at] != 0) t.products[p].c.Add(i, c[at]);
    }
  };
  set(0, {1, 0, 0, 1}, {1, 0, 0, 1}, {1, 0, 0, 1});
  set(1, {0, 0, 1, 1}, {1, 0, 0, 0}, {0, 0, 1, -1});
  set(2, {1, 0, 0, 0}, {0, 1, 0, -1}, {0, 1, 0, 1});
  set(3, {0, 0, 0, 1}, {-1, 0, 1, 0}, {1, 0, 1, 0});
  set(4, {1, 1, 0, 0}, {0, 0, 0, 1}, {-1, 1, 0, 0});
  set(5, {-1, 0, 1, 0}, {1, 1, 0, 0}, {0, 0, 0, 1});
  set(6, {0, 1, 0, -1}, {0, 0, 1, 1}, {1, 0, 0, 0});
  t.MarkEnds();
  return t;
}();

inline constexpr StrassenTable<49> kStrassenTwo = [] {
  StrassenTable<49> t;
  t.grid = 4;
  const auto cross = [](const StrassenSum& outer, const StrassenSum& inner) {
    StrassenSum sum;
    for (int i = 0; i < outer.count; ++i)
      for (int j = 0; j < inner.count; ++j) {
        const StrassenTerm x = outer.terms[static_cast<size_t>(i)];
        const StrassenTerm y = inner.terms[static_cast<size_t>(j)];
        const int row = x.block / 2 * 2 + y.block / 2, column = x.block % 2 * 2 + y.block % 2;
        sum.Add(row * 4 + column, x.sign * y.sign);
      }
    return sum;
  };
  for (size_t p = 0; p < 7; ++p)
    for (size_t q = 0; q < 7; ++q) {
      const StrassenProduct &x = kStrassenOne.products[p], &y = kStrassenOne.products[q];
      StrassenProduct& product = t.products[p * 7 + q];
      product.a = cross(x.a, y.a), product.b = cross(x.b, y.b), product.c = cross(x.c, y.c);
    }
  t.MarkEnds();
  return t;
}();

}  // namespace sula::cpu
