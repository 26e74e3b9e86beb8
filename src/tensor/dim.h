// One size of a shape: a number, or an expression over named sizes known only at run time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace sula {

// Values of named sizes: {"batch": 4}.
using DimBindings = std::map<std::string, int64_t, std::less<>>;

// An integer polynomial over atoms, in a normal form, so that equal expressions compare equal:
// (H + 2) / 2 - 1 + H == H + H / 2. An atom is a symbol, floor(a / b), min(a, b) or max(a, b).
// Immutable; copies are cheap (a shared pointer, or nothing for a number).
//
// Arithmetic that overflows 64 bits, divides by the number 0 or grows beyond bounds (256 terms,
// 64 levels) gives an undefined size: not is_const(), absorbing in all arithmetic, printed
// "undefined()", and an error when evaluated. Simplifications may assume that divisors are not 0.
class Dim {
 public:
  Dim(int64_t value = 0) : value_(value) {}  // NOLINT: implicit by design
  // name: [A-Za-z_][A-Za-z0-9_.]*; other bytes become .xHH, so that different names stay different.
  static Dim Symbol(std::string_view name);

  bool is_const() const { return expr_ == nullptr; }
  int64_t value() const;  // precondition: is_const()
  std::optional<int64_t> TryValue() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  // Rounding towards minus infinity and plus infinity.
  friend Dim FloorDiv(const Dim& a, const Dim& b);
  friend Dim CeilDiv(const Dim& a, const Dim& b);
  friend Dim Min(const Dim& a, const Dim& b);
  friend Dim Max(const Dim& a, const Dim& b);
  friend bool operator==(const Dim& a, const Dim& b);

  // The number under these bindings; errors: a symbol without a binding (named), a division by
  // zero, an overflow.
  Result<int64_t> Evaluate(const DimBindings& bindings) const;
  // The same expression with bound symbols replaced; others stay.
  Dim Substitute(const DimBindings& bindings) const;
  // The names of all symbols, sorted, each once.
  std::vector<std::string> Symbols() const;

  // "224", "N", "floor((H+1)/2)*4", "max(N,1)"; Parse reads back what ToString wrote.
  std::string ToString() const;
  static Result<Dim> Parse(std::string_view text);

  struct Expr;  // the polynomial; defined in dim.cc

 private:
  explicit Dim(std::shared_ptr<const Expr> expr) : expr_(std::move(expr)) {}
  friend struct DimOps;
  int64_t value_ = 0;
  std::shared_ptr<const Expr> expr_;  // null for a number
};

}  // namespace sula
