#include "tensor/dim.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>
#include <set>

namespace sula {
namespace {

// Beyond these an expression becomes undefined: a hostile model could otherwise grow one without
// bound. Real networks stay below a tenth of each.
constexpr size_t kMaxTerms = 256;
constexpr size_t kMaxText = 1 << 14;
constexpr int kMaxDepth = 64;

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

enum class AtomKind { kSymbol, kFloorDiv, kMin, kMax };

struct Atom {
  AtomKind kind;
  std::string name;  // of a symbol
  Dim a, b;          // operands of the others
  std::string text;  // equal atoms have equal texts
  int depth;         // 1 for a symbol
};
using AtomPtr = std::shared_ptr<const Atom>;

// A product of atoms, sorted by text, repeated for powers; empty for the constant term.
using Monomial = std::vector<AtomPtr>;

struct Term {
  int64_t coefficient;
  Monomial factors;
};
// Sorted by LeadsBefore, each monomial once, no coefficient 0 or kMin.
using Terms = std::vector<Term>;

bool AtomLess(const AtomPtr& x, const AtomPtr& y) { return x->text < y->text; }
bool AtomEqual(const AtomPtr& x, const AtomPtr& y) { return x->text == y->text; }

// Graded lexicographic order, greatest first. It is compatible with multiplication, which the
// polynomial division below relies on (Cox, Little, O'Shea: Ideals, Varieties and Algorithms, 2.2).
bool LeadsBefore(const Monomial& x, const Monomial& y) {
  if (x.size() != y.size()) return x.size() > y.size();
  return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end(), AtomLess);
}
bool SameMonomial(const Monomial& x, const Monomial& y) {
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), AtomEqual);
}

int64_t FloorDivide(int64_t a, int64_t b) {
  const int64_t q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}

bool IsSymbolChar(char c, bool first) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
         (!first && ((c >= '0' && c <= '9') || c == '.'));
}

}  // namespace

struct Dim::Expr {
  Terms terms;       // none: undefined
  std::string text;  // equal expressions have equal texts
  int depth = 0;
  bool undefined() const { return terms.empty(); }
};

struct DimOps {
  static const Dim::Expr* ExprOf(const Dim& d) { return d.expr_.get(); }
  static bool IsUndefined(const Dim& d) { return d.expr_ != nullptr && d.expr_->undefined(); }

  // The outcome of arithmetic that has none; absorbs whatever it meets.
  static Dim Undefined() {
    static const auto expr = [] {
      auto e = std::make_shared<Dim::Expr>();
      e->text = "undefined()";
      return std::shared_ptr<const Dim::Expr>(std::move(e));
    }();
    return Dim(expr);
  }

  static Terms TermsOf(const Dim& d) {
    if (!d.is_const()) return d.expr_->terms;
    if (d.value_ == 0) return {};
    return {{d.value_, {}}};
  }

  static std::string TextOf(const Terms& terms) {
    std::string text;
    for (const Term& term : terms) {
      const bool negative = term.coefficient < 0;
      if (negative) {
        text += '-';
      } else if (!text.empty()) {
        text += '+';
      }
      const int64_t magnitude = negative ? -term.coefficient : term.coefficient;
      for (size_t i = 0; i < term.factors.size(); ++i) {
        if (i > 0) text += '*';
        text += term.factors[i]->text;
      }
      if (term.factors.empty()) {
        text += std::to_string(magnitude);
      } else if (magnitude != 1) {
        text += '*' + std::to_string(magnitude);
      }
    }
    return text;
  }

  // Sorts, merges and checks; any order and repetition is welcome.
  static Dim FromTerms(Terms terms) {
    std::sort(terms.begin(), terms.end(),
              [](const Term& x, const Term& y) { return LeadsBefore(x.factors, y.factors); });
    Terms merged;
    int depth = 0;
    for (Term& term : terms) {
      if (!merged.empty() && SameMonomial(merged.back().factors, term.factors)) {
        int64_t& sum = merged.back().coefficient;
        if (__builtin_add_overflow(sum, term.coefficient, &sum)) return Undefined();
      } else {
        merged.push_back(std::move(term));
      }
    }
    std::erase_if(merged, [](const Term& t) { return t.coefficient == 0; });
    if (merged.empty()) return Dim(0);
    if (merged.size() == 1 && merged[0].factors.empty()) return Dim(merged[0].coefficient);
    for (const Term& term : merged) {
      if (term.coefficient == kMin) return Undefined();
      for (const AtomPtr& atom : term.factors) depth = std::max(depth, atom->depth);
    }
    if (merged.size() > kMaxTerms || depth > kMaxDepth) return Undefined();
    auto expr = std::make_shared<Dim::Expr>();
    expr->text = TextOf(merged);
    if (expr->text.size() > kMaxText) return Undefined();
    expr->terms = std::move(merged);
    expr->depth = depth;
    return Dim(std::shared_ptr<const Dim::Expr>(std::move(expr)));
  }

  static Dim FromAtom(Atom atom) {
    return FromTerms({{1, {std::make_shared<const Atom>(std::move(atom))}}});
  }

  // Needed around x as an operand of '/' (or as its divisor, where products need them too).
  static std::string Parenthesized(const Dim& x, bool divisor) {
    std::string text = x.ToString();
    const bool sum = !x.is_const() && ExprOf(x)->terms.size() > 1;
    const bool product = divisor && text.find('*') != std::string::npos;
    return sum || product || text[0] == '-' ? "(" + text + ")" : text;
  }

  static Dim Binary(AtomKind kind, const Dim& a, const Dim& b) {
    Atom atom{kind, "", a, b, "", 0};
    atom.depth =
        1 + std::max(a.is_const() ? 0 : ExprOf(a)->depth, b.is_const() ? 0 : ExprOf(b)->depth);
    if (kind == AtomKind::kFloorDiv) {
      atom.text = "floor(" + Parenthesized(a, false) + "/" + Parenthesized(b, true) + ")";
    } else {
      atom.text =
          (kind == AtomKind::kMin ? "min(" : "max(") + a.ToString() + "," + b.ToString() + ")";
    }
    return FromAtom(std::move(atom));
  }

  // a + factor * b.
  static Dim AddScaled(const Dim& a, const Dim& b, int64_t factor) {
    if (a.is_const() && b.is_const()) {
      int64_t sum;
      if (__builtin_mul_overflow(b.value_, factor, &sum) ||
          __builtin_add_overflow(sum, a.value_, &sum))
        return Undefined();
      return Dim(sum);
    }
    if (IsUndefined(a) || IsUndefined(b)) return Undefined();
    Terms terms = TermsOf(a);
    for (Term term : TermsOf(b)) {
      if (__builtin_mul_overflow(term.coefficient, factor, &term.coefficient)) return Undefined();
      terms.push_back(std::move(term));
    }
    return FromTerms(std::move(terms));
  }

  static Dim Multiply(const Dim& a, const Dim& b) {
    if (a.is_const() && b.is_const()) {
      int64_t product;
      return __builtin_mul_overflow(a.value_, b.value_, &product) ? Undefined() : Dim(product);
    }
    if (IsUndefined(a) || IsUndefined(b)) return Undefined();
    const Terms x = TermsOf(a), y = TermsOf(b);
    if (x.size() * y.size() > kMaxTerms) return Undefined();
    Terms product;
    for (const Term& s : x) {
      for (const Term& t : y) {
        Term term;
        if (__builtin_mul_overflow(s.coefficient, t.coefficient, &term.coefficient)) {
          return Undefined();
        }
        std::merge(s.factors.begin(), s.factors.end(), t.factors.begin(), t.factors.end(),
                   std::back_inserter(term.factors), AtomLess);
        product.push_back(std::move(term));
      }
    }
    return FromTerms(std::move(product));
  }

  // a / b if b divides a as a polynomial with integer coefficients: long division.
  static std::optional<Dim> ExactQuotient(Dim a, const Dim& b) {
    const Term lead = TermsOf(b).front();
    Terms quotient;
    while (!(a.is_const() && a.value_ == 0)) {
      if (IsUndefined(a) || quotient.size() > kMaxTerms) return std::nullopt;
      const Term first = TermsOf(a).front();
      if (!std::includes(first.factors.begin(), first.factors.end(), lead.factors.begin(),
                         lead.factors.end(), AtomLess) ||
          first.coefficient % lead.coefficient != 0) {
        return std::nullopt;
      }
      Term term{first.coefficient / lead.coefficient, {}};
      std::set_difference(first.factors.begin(), first.factors.end(), lead.factors.begin(),
                          lead.factors.end(), std::back_inserter(term.factors), AtomLess);
      quotient.push_back(term);
      a = AddScaled(a, Multiply(FromTerms({term}), b), -1);
    }
    return FromTerms(std::move(quotient));
  }

  // floor(a / c), c > 1: whole multiples of c leave the floor, common factors are cancelled, and
  // floor((floor(x / d) + k) / c) becomes floor((x + d*k) / (d*c)).
  static Dim FloorDivByNumber(const Dim& a, int64_t c) {
    Terms whole, rest;
    for (const Term& term : TermsOf(a)) {
      const int64_t q = FloorDivide(term.coefficient, c);
      if (q != 0) whole.push_back({q, term.factors});
      const int64_t r = term.coefficient % c + (term.coefficient % c < 0 ? c : 0);
      if (r != 0) rest.push_back({r, term.factors});
    }
    const Dim outside = FromTerms(std::move(whole));
    // Coefficients are in [1, c) now, and the constant, if there is one, is the last term.
    if (rest.empty() || rest[0].factors.empty()) return outside;
    int64_t common = c;
    for (const Term& term : rest) {
      if (!term.factors.empty()) common = std::gcd(common, term.coefficient);
    }
    if (common > 1) {
      for (Term& term : rest) term.coefficient /= common;
      const Dim inside = FromTerms(std::move(rest));
      return outside + FloorDiv(inside, Dim(c / common));
    }
    const int64_t constant = rest.back().factors.empty() ? rest.back().coefficient : 0;
    const bool single = rest.size() == (constant == 0 ? 1 : 2) && rest[0].factors.size() == 1 &&
                        rest[0].coefficient == 1;
    if (single && rest[0].factors[0]->kind == AtomKind::kFloorDiv) {
      const Atom& inner = *rest[0].factors[0];
      int64_t divisor, shift;
      if (inner.b.is_const() && inner.b.value_ > 0 &&
          !__builtin_mul_overflow(inner.b.value_, c, &divisor) &&
          !__builtin_mul_overflow(inner.b.value_, constant, &shift)) {
        return outside + FloorDiv(inner.a + Dim(shift), Dim(divisor));
      }
    }
    return outside + Binary(AtomKind::kFloorDiv, FromTerms(std::move(rest)), Dim(c));
  }

  static Dim Divide(const Dim& a, const Dim& b) {
    if (IsUndefined(a) || IsUndefined(b)) return Undefined();
    if (b.is_const()) {
      const int64_t c = b.value_;
      if (c == 0) return Undefined();
      if (a.is_const()) {
        if (c == -1) return AddScaled(Dim(0), a, -1);
        return Dim(FloorDivide(a.value_, c));
      }
      if (c == kMin) return Undefined();
      if (c < 0) return Divide(AddScaled(Dim(0), a, -1), Dim(-c));
      return c == 1 ? a : FloorDivByNumber(a, c);
    }
    if (a.is_const() && a.value_ == 0) return a;
    if (std::optional<Dim> quotient = ExactQuotient(a, b)) return *quotient;
    if (TermsOf(b).front().coefficient < 0) {
      return Divide(AddScaled(Dim(0), a, -1), AddScaled(Dim(0), b, -1));
    }
    return Binary(AtomKind::kFloorDiv, a, b);
  }

  // The operands of min(min(x, y), z), or d itself if it isn't one.
  static void Operands(AtomKind kind, const Dim& d, std::vector<Dim>* operands) {
    if (!d.is_const()) {
      const Terms& terms = ExprOf(d)->terms;
      if (terms.size() == 1 && terms[0].coefficient == 1 && terms[0].factors.size() == 1 &&
          terms[0].factors[0]->kind == kind) {
        Operands(kind, terms[0].factors[0]->a, operands);
        Operands(kind, terms[0].factors[0]->b, operands);
        return;
      }
    }
    operands->push_back(d);
  }

  // Flattens, drops what another operand is known to beat, and nests anew in the order of texts.
  static Dim Extreme(AtomKind kind, const Dim& a, const Dim& b) {
    if (a.is_const() && b.is_const())
      return Dim(kind == AtomKind::kMin ? std::min(a.value_, b.value_)
                                        : std::max(a.value_, b.value_));
    if (IsUndefined(a) || IsUndefined(b)) return Undefined();
    std::vector<Dim> all, kept;
    Operands(kind, a, &all);
    Operands(kind, b, &all);
    for (const Dim& candidate : all) {
      bool beaten = false;
      for (Dim& other : kept) {
        const Dim difference = AddScaled(candidate, other, -1);
        if (!difference.is_const()) continue;
        if ((kind == AtomKind::kMin) == (difference.value_ < 0)) other = candidate;
        beaten = true;
        break;
      }
      if (!beaten) kept.push_back(candidate);
    }
    std::sort(kept.begin(), kept.end(),
              [](const Dim& x, const Dim& y) { return x.ToString() < y.ToString(); });
    Dim result = kept.back();
    for (size_t i = kept.size() - 1; i-- > 0;) result = Binary(kind, kept[i], result);
    return result;
  }

  static Result<int64_t> EvaluateAtom(const Atom& atom, const DimBindings& bindings) {
    if (atom.kind == AtomKind::kSymbol) {
      const auto found = bindings.find(atom.name);
      if (found == bindings.end()) {
        return InvalidArgument("the size '", atom.name, "' has no value");
      }
      return found->second;
    }
    ASSIGN_OR_RETURN(const int64_t a, atom.a.Evaluate(bindings));
    ASSIGN_OR_RETURN(const int64_t b, atom.b.Evaluate(bindings));
    if (atom.kind == AtomKind::kMin) return std::min(a, b);
    if (atom.kind == AtomKind::kMax) return std::max(a, b);
    if (b == 0) return InvalidArgument("the size ", atom.text, " divides by zero");
    if (a == kMin && b == -1) return InvalidArgument("the size ", atom.text, " overflows 64 bits");
    return FloorDivide(a, b);
  }

  static Result<int64_t> Evaluate(const Dim::Expr& expr, const DimBindings& bindings) {
    if (expr.undefined()) {
      return InvalidArgument(
          "a size has no value: its arithmetic overflows 64 bits, divides by zero or is too "
          "complex; give the sizes of the inputs as numbers");
    }
    int64_t sum = 0;
    for (const Term& term : expr.terms) {
      int64_t product = term.coefficient;
      bool overflow = false;
      for (const AtomPtr& atom : term.factors) {
        ASSIGN_OR_RETURN(const int64_t value, EvaluateAtom(*atom, bindings));
        overflow = overflow || __builtin_mul_overflow(product, value, &product);
      }
      if (overflow || __builtin_add_overflow(sum, product, &sum)) {
        return InvalidArgument("the size ", expr.text, " overflows 64 bits");
      }
    }
    return sum;
  }

  static Dim SubstituteAtom(const AtomPtr& atom, const DimBindings& bindings) {
    if (atom->kind == AtomKind::kSymbol) {
      const auto found = bindings.find(atom->name);
      return found == bindings.end() ? FromTerms({{1, {atom}}}) : Dim(found->second);
    }
    const Dim a = atom->a.Substitute(bindings), b = atom->b.Substitute(bindings);
    if (atom->kind == AtomKind::kFloorDiv) return Divide(a, b);
    return Extreme(atom->kind, a, b);
  }

  static void CollectSymbols(const Dim& d, std::set<std::string>* names) {
    if (d.is_const()) return;
    for (const Term& term : ExprOf(d)->terms) {
      for (const AtomPtr& atom : term.factors) {
        if (atom->kind == AtomKind::kSymbol) names->insert(atom->name);
        CollectSymbols(atom->a, names);
        CollectSymbols(atom->b, names);
      }
    }
  }
};

namespace {

// sum     = ["-"] product {("+" | "-") product}
// product = primary {"*" primary}
// primary = number | symbol | "(" sum ")" | "floor(" product "/" primary ")"
//         | ("min" | "max") "(" sum "," sum ")" | "undefined()"
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Dim> Parse() {
    ASSIGN_OR_RETURN(Dim sum, Sum());
    if (at_ != text_.size()) return Unexpected();
    return sum;
  }

 private:
  Result<Dim> Sum() {
    if (++depth_ > 4 * kMaxDepth) return InvalidArgument("the size's text is nested too deeply");
    Dim sum;
    bool first = true;
    for (;;) {
      const bool minus = Take('-');
      if (!minus && !first && !Take('+')) break;
      first = false;
      ASSIGN_OR_RETURN(Dim product, Product(minus));
      sum = sum + product;
    }
    --depth_;
    return sum;
  }

  Result<Dim> Product(bool minus) {
    ASSIGN_OR_RETURN(Dim product, Primary(minus));
    while (Take('*')) {
      ASSIGN_OR_RETURN(Dim factor, Primary(false));
      product = product * factor;
    }
    return product;
  }

  Result<Dim> Primary(bool minus) {
    if (Peek() >= '0' && Peek() <= '9') {
      // With its sign: the magnitude of the least number is not a number itself.
      const size_t digits = text_.find_first_not_of("0123456789", at_);
      const size_t end = digits == std::string_view::npos ? text_.size() : digits;
      std::string number(minus ? "-" : "");
      number += text_.substr(at_, end - at_);
      int64_t value = 0;
      const auto [p, error] = std::from_chars(number.data(), number.data() + number.size(), value);
      if (error != std::errc())
        return InvalidArgument("the number ", number, " needs over 64 bits");
      at_ = end;
      return Dim(value);
    }
    ASSIGN_OR_RETURN(Dim primary, Unsigned());
    return minus ? Dim(0) - primary : primary;
  }

  Result<Dim> Unsigned() {
    if (Take('(')) {
      ASSIGN_OR_RETURN(Dim sum, Sum());
      if (!Take(')')) return Unexpected();
      return sum;
    }
    const size_t begin = at_;
    while (at_ < text_.size() && IsSymbolChar(text_[at_], at_ == begin)) ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (name.empty()) return Unexpected();
    if (!Take('(')) return Dim::Symbol(name);
    if (name == "undefined") {
      if (!Take(')')) return Unexpected();
      return DimOps::Undefined();
    }
    if (name == "floor") {
      if (++depth_ > 4 * kMaxDepth) return InvalidArgument("the size's text is nested too deeply");
      ASSIGN_OR_RETURN(Dim a, Product(false));
      if (!Take('/')) return Unexpected();
      ASSIGN_OR_RETURN(Dim b, Primary(false));
      if (!Take(')')) return Unexpected();
      --depth_;
      return FloorDiv(a, b);
    }
    if (name != "min" && name != "max") {
      return InvalidArgument("unknown function '", name, "' in the size '", text_, "'");
    }
    ASSIGN_OR_RETURN(Dim a, Sum());
    if (!Take(',')) return Unexpected();
    ASSIGN_OR_RETURN(Dim b, Sum());
    if (!Take(')')) return Unexpected();
    return name == "min" ? Min(a, b) : Max(a, b);
  }

  char Peek() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool Take(char c) {
    if (Peek() != c) return false;
    ++at_;
    Peek();
    return true;
  }
  Status Unexpected() const {
    if (at_ == text_.size()) return InvalidArgument("the size '", text_, "' ends too early");
    return InvalidArgument("unexpected '", text_[at_], "' at character ", at_ + 1, " of the size '",
                           text_, "'");
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Dim Dim::Symbol(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (IsSymbolChar(c, text.empty())) {
      text += c;
    } else {
      if (text.empty()) text += '_';
      if (c >= '0' && c <= '9') {
        text += c;
      } else {
        constexpr char kHex[] = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(c);
        text += {'.', 'x', kHex[byte >> 4], kHex[byte & 15]};
      }
    }
  }
  if (text.empty()) text = "_";
  return DimOps::FromAtom({AtomKind::kSymbol, text, 0, 0, text, 1});
}

int64_t Dim::value() const {
  SULA_CHECK(is_const());
  return value_;
}

std::optional<int64_t> Dim::TryValue() const {
  return is_const() ? std::optional<int64_t>(value_) : std::nullopt;
}

Dim operator+(const Dim& a, const Dim& b) { return DimOps::AddScaled(a, b, 1); }
Dim operator-(const Dim& a, const Dim& b) { return DimOps::AddScaled(a, b, -1); }
Dim operator*(const Dim& a, const Dim& b) { return DimOps::Multiply(a, b); }
Dim FloorDiv(const Dim& a, const Dim& b) { return DimOps::Divide(a, b); }

Dim CeilDiv(const Dim& a, const Dim& b) {
  // The same normal form as floor((a + b - 1) / b), which is how most formulas are written.
  if (b.is_const() && b.value_ > 0) return FloorDiv(a + (b - 1), b);
  return Dim(0) - FloorDiv(Dim(0) - a, b);
}

Dim Min(const Dim& a, const Dim& b) { return DimOps::Extreme(AtomKind::kMin, a, b); }
Dim Max(const Dim& a, const Dim& b) { return DimOps::Extreme(AtomKind::kMax, a, b); }

bool operator==(const Dim& a, const Dim& b) {
  if (a.is_const() || b.is_const()) return a.is_const() && b.is_const() && a.value_ == b.value_;
  return a.expr_ == b.expr_ || a.expr_->text == b.expr_->text;
}

Result<int64_t> Dim::Evaluate(const DimBindings& bindings) const {
  if (is_const()) return value_;
  return DimOps::Evaluate(*expr_, bindings);
}

Dim Dim::Substitute(const DimBindings& bindings) const {
  if (is_const() || expr_->undefined()) return *this;
  Dim sum;
  for (const Term& term : expr_->terms) {
    Dim product(term.coefficient);
    for (const AtomPtr& atom : term.factors) {
      product = product * DimOps::SubstituteAtom(atom, bindings);
    }
    sum = sum + product;
  }
  return sum;
}

std::vector<std::string> Dim::Symbols() const {
  std::set<std::string> names;
  DimOps::CollectSymbols(*this, &names);
  return {names.begin(), names.end()};
}

std::string Dim::ToString() const { return is_const() ? std::to_string(value_) : expr_->text; }

Result<Dim> Dim::Parse(std::string_view text) {
  if (text.size() > kMaxText) return InvalidArgument("a size's text is longer than ", kMaxText);
  return Parser(text).Parse();
}

}  // namespace sula
