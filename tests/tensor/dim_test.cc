#include "tensor/dim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <random>

namespace sula {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();

Dim S(std::string_view name) { return Dim::Symbol(name); }

TEST(Dim, NumbersAreNumbers) {
  EXPECT_EQ(Dim(3) + 4, Dim(7));
  EXPECT_EQ((Dim(3) * Dim(4)).value(), 12);
  EXPECT_EQ(FloorDiv(Dim(-7), 2), Dim(-4));
  EXPECT_EQ(FloorDiv(Dim(7), -2), Dim(-4));
  EXPECT_EQ(CeilDiv(Dim(7), 2), Dim(4));
  EXPECT_EQ(CeilDiv(Dim(-7), 2), Dim(-3));
  EXPECT_EQ(Min(Dim(3), 4), Dim(3));
  EXPECT_EQ(Max(Dim(3), 4), Dim(4));
  EXPECT_EQ(S("N").TryValue(), std::nullopt);
  EXPECT_EQ(Dim(5).TryValue(), 5);
}

TEST(Dim, EqualExpressionsAreEqual) {
  const Dim h = S("H"), w = S("W"), n = S("N");
  EXPECT_EQ(FloorDiv(h + 2, 2) - 1 + h, h + FloorDiv(h + 2, 2) - 1);
  EXPECT_EQ(FloorDiv(h + 2, 2) - 1, FloorDiv(h, 2));
  EXPECT_EQ((h + w) * (h - w), h * h - w * w);
  EXPECT_EQ(h - h, Dim(0));
  EXPECT_EQ(FloorDiv(FloorDiv(h + 1, 2) + 1, 2), FloorDiv(h + 3, 4));
  EXPECT_EQ(FloorDiv(h * 2 + 1, 4), FloorDiv(h, 2));
  EXPECT_EQ(CeilDiv(h, 2), FloorDiv(h + 1, 2));
  EXPECT_EQ(Min(h, w), Min(w, h));
  EXPECT_EQ(Max(Max(h, w), n), Max(n, Max(w, h)));
  EXPECT_EQ(Max(h + 1, h), h + 1);
  EXPECT_EQ(Min(Min(h, 3), 2), Min(h, 2));
  EXPECT_NE(h, w);
  EXPECT_NE(h, Dim(1));
  EXPECT_NE(Min(h, w), Max(h, w));
}

TEST(Dim, ExactMultiplesLeaveNoFloor) {
  const Dim h = S("H"), w = S("W"), n = S("N");
  EXPECT_EQ(FloorDiv(n * h * 12, n * 4), h * 3);
  EXPECT_EQ(FloorDiv(n * h * w, w * h), n);
  EXPECT_EQ(FloorDiv(h * 6 + 9, 3), h * 2 + 3);
  EXPECT_EQ(FloorDiv((h + 1) * (w + 2) * n, h + 1), (w + 2) * n);
  const Dim half = FloorDiv(h + 1, 2);
  EXPECT_EQ(FloorDiv(n * half * half * 8, n * half * 2), half * 4);
  EXPECT_EQ(FloorDiv(h, h * -1), Dim(-1));
  EXPECT_FALSE(FloorDiv(h + 1, h).is_const());
}

TEST(Dim, TextForms) {
  const Dim h = S("H"), n = S("N");
  EXPECT_EQ(Dim(224).ToString(), "224");
  EXPECT_EQ(n.ToString(), "N");
  EXPECT_EQ((FloorDiv(h + 1, 2) * 4).ToString(), "floor((H+1)/2)*4");
  EXPECT_EQ(Max(n, 1).ToString(), "max(1,N)");
  EXPECT_EQ((n * -3 + 2).ToString(), "-N*3+2");
  EXPECT_EQ(FloorDiv(n, h * 2 + 1).ToString(), "floor(N/(H*2+1))");
}

TEST(Dim, ParseRejectsWhatIsNoSize) {
  for (const char* text : {"",
                           "+",
                           "N+",
                           "1 2",
                           "N M",
                           "(N",
                           "N)",
                           "foo(N,1)",
                           "min(N)",
                           "floor(N)",
                           "floor(N,2)",
                           "9223372036854775808",
                           "-9223372036854775809",
                           "N*-3",
                           "--N",
                           "#",
                           "max(,)",
                           "undefined(",
                           "undefined(1)",
                           "N/2"}) {
    EXPECT_FALSE(Dim::Parse(text)) << text;
  }
  EXPECT_FALSE(Dim::Parse(std::string(10000, '(')));
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += "max(";
  EXPECT_FALSE(Dim::Parse(deep));
  EXPECT_FALSE(Dim::Parse(std::string(100000, '1')));
  EXPECT_EQ(*Dim::Parse(" ( N + 1 ) * 2 "), S("N") * 2 + 2);
  EXPECT_EQ(*Dim::Parse("-9223372036854775808"), Dim(kLeast));
}

TEST(Dim, AnySymbolNameIsUsableAndDistinct) {
  const std::vector<std::string> names = {"batch size", "batch-size", "batch_size", "1",  "",
                                          "s0 + s1",    "\xc3\xa9",   "a.b",        "min"};
  for (const std::string& a : names) {
    const Dim d = Dim::Symbol(a);
    ASSERT_TRUE(Dim::Parse(d.ToString())) << a;
    EXPECT_EQ(*Dim::Parse(d.ToString()), d) << a;
    for (const std::string& b : names) EXPECT_EQ(a == b, d == Dim::Symbol(b)) << a << " " << b;
  }
  EXPECT_EQ(S("a.b").ToString(), "a.b");
}

TEST(Dim, EvaluateNamesWhatIsMissing) {
  const Dim d = S("batch") * 3 + S("H");
  EXPECT_EQ(*d.Evaluate({{"batch", 2}, {"H", 5}, {"other", 1}}), 11);
  EXPECT_THAT(d.Evaluate({{"batch", 2}}).error().message(), HasSubstr("'H'"));
  EXPECT_THAT(d.Symbols(), ElementsAre("H", "batch"));
  EXPECT_THAT(FloorDiv(S("a"), Max(S("c"), S("b"))).Symbols(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(FloorDiv(S("a"), S("b")).Evaluate({{"a", 1}, {"b", 0}}).error().message(),
              HasSubstr("divides by zero"));
}

TEST(Dim, SubstituteReplacesWhatIsBound) {
  const Dim d = FloorDiv(S("H") + 1, 2) * S("N") + Max(S("W"), S("H"));
  EXPECT_EQ(d.Substitute({{"H", 7}}), S("N") * 4 + Max(S("W"), 7));
  EXPECT_EQ(d.Substitute({{"H", 7}, {"N", 2}, {"W", 1}}), Dim(15));
  EXPECT_EQ(d.Substitute({}), d);
}

TEST(Dim, OverflowIsUndefinedAndAbsorbs) {
  const Dim n = S("N");
  const Dim undefined = Dim(kMost) + 1;
  for (const Dim& d :
       {undefined, Dim(kMost) * 2, Dim(kLeast) - 1, FloorDiv(Dim(kLeast), -1), FloorDiv(n, 0),
        FloorDiv(Dim(1), 0), n * kMost * 2, n * kLeast, n + kMost + 1, undefined * 0,
        Min(undefined, 1), FloorDiv(undefined, 2), FloorDiv(1, undefined), CeilDiv(n, 0)}) {
    EXPECT_FALSE(d.is_const());
    EXPECT_EQ(d, undefined) << d.ToString();
    EXPECT_FALSE(d.Evaluate({{"N", 1}}));
    EXPECT_EQ(d.Substitute({{"N", 1}}), undefined);
    EXPECT_EQ(*Dim::Parse(d.ToString()), undefined);
  }
  EXPECT_FALSE((n * n).Evaluate({{"N", kMost}}));
  EXPECT_FALSE((n * n + n).Evaluate({{"N", kLeast}}));
  EXPECT_EQ(FloorDiv(n * -kMost, kMost - 1).is_const(), false);
  EXPECT_EQ(*FloorDiv(n, -1).Evaluate({{"N", 5}}), -5);
  EXPECT_FALSE(FloorDiv(n, S("M")).Evaluate({{"N", kLeast}, {"M", -1}}));
}

TEST(Dim, GrowthIsBounded) {
  Dim product = 1, chain = S("N");
  for (int i = 0; i < 40; ++i) product = product * (S("a" + std::to_string(i)) + 1);
  EXPECT_FALSE(product.Evaluate({}));
  for (int i = 0; i < 10000; ++i) chain = Max(chain * 2, S("x")) + 1;
  EXPECT_FALSE(chain.Evaluate({{"N", 1}, {"x", 1}}));
}

// A random expression, at once as a Dim and as a function that computes the number directly.
struct Expression {
  Dim dim;
  std::function<std::optional<int64_t>(const DimBindings&)> direct;  // nothing: divided by zero
};

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  Expression Make(int depth) {
    if (depth == 0 || Below(8) == 0) {
      if (Below(3) == 0) {
        const int64_t c = Below(13) - 4;
        return {Dim(c), [c](const DimBindings&) { return c; }};
      }
      const std::string name(1, "HWN"[Below(3)]);
      return {Dim::Symbol(name), [name](const DimBindings& b) { return b.find(name)->second; }};
    }
    const Expression a = Make(depth - 1), b = Make(depth - 1);
    const int op = Below(8);
    using Fn = std::optional<int64_t> (*)(int64_t, int64_t);
    static constexpr Fn kFns[] = {
        [](int64_t x, int64_t y) { return std::optional(x + y); },
        [](int64_t x, int64_t y) { return std::optional(x - y); },
        [](int64_t x, int64_t y) { return std::optional(x * y); },
        [](int64_t x, int64_t y) {
          if (y == 0) return std::optional<int64_t>();
          int64_t q = x / y;
          while ((q * y > x) == (y > 0) && q * y != x) --q;
          return std::optional(q);
        },
        [](int64_t x, int64_t y) {
          if (y == 0) return std::optional<int64_t>();
          int64_t q = x / y;
          while ((q * y < x) == (y > 0) && q * y != x) ++q;
          return std::optional(q);
        },
        [](int64_t x, int64_t y) { return std::optional(std::min(x, y)); },
        [](int64_t x, int64_t y) { return std::optional(std::max(x, y)); },
    };
    // Division by numbers, which has most of the rules, twice as often.
    if (op == 7) {
      const int64_t c = 1 + Below(6);
      return {FloorDiv(a.dim, c), [a, c](const DimBindings& s) -> std::optional<int64_t> {
                const auto x = a.direct(s);
                return x ? kFns[3](*x, c) : std::nullopt;
              }};
    }
    const Dim dims[] = {a.dim + b.dim,          a.dim - b.dim,         a.dim * b.dim,
                        FloorDiv(a.dim, b.dim), CeilDiv(a.dim, b.dim), Min(a.dim, b.dim),
                        Max(a.dim, b.dim)};
    return {dims[op], [a, b, op](const DimBindings& s) -> std::optional<int64_t> {
              const auto x = a.direct(s), y = b.direct(s);
              return x && y ? kFns[op](*x, *y) : std::nullopt;
            }};
  }

  int64_t Below(int n) { return static_cast<int64_t>(random_() % n); }

 private:
  std::mt19937 random_;
};

TEST(Dim, AgreesWithDirectEvaluation) {
  Generator generator(7);
  int compared = 0;
  for (int i = 0; i < 4000; ++i) {
    const Expression e = generator.Make(1 + i % 4);
    for (int j = 0; j < 5; ++j) {
      const DimBindings bindings = {{"H", generator.Below(40) - 3},
                                    {"W", generator.Below(9) - 1},
                                    {"N", generator.Below(1000)}};
      const std::optional<int64_t> expected = e.direct(bindings);
      if (!expected) continue;  // the direct way divided by zero
      const Result<int64_t> value = e.dim.Evaluate(bindings);
      ASSERT_TRUE(value) << e.dim.ToString() << ": " << value.error().ToString();
      ASSERT_EQ(*value, *expected) << e.dim.ToString();
      ASSERT_EQ(e.dim.Substitute(bindings), Dim(*expected)) << e.dim.ToString();
      DimBindings part = bindings;
      part.erase("H");
      ASSERT_EQ(*e.dim.Substitute(part).Evaluate(bindings), *expected) << e.dim.ToString();
      ++compared;
    }
    const std::string text = e.dim.ToString();
    const Result<Dim> parsed = Dim::Parse(text);
    ASSERT_TRUE(parsed) << text << ": " << parsed.error().ToString();
    ASSERT_EQ(parsed->ToString(), text);
  }
  EXPECT_GT(compared, 10000);
}

TEST(Dim, ParseSurvivesAnyText) {
  std::mt19937 random(3);
  const std::string alphabet = "HN0129+-*/(),. ";
  const char* const words[] = {"floor(", "min(", "max(", "undefined()", "9223372036854775807"};
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (uint32_t n = random() % 12; n > 0; --n) {
      if (random() % 4 == 0) {
        text += words[random() % 5];
      } else {
        text += alphabet[random() % alphabet.size()];
      }
    }
    if (const Result<Dim> d = Dim::Parse(text)) {
      EXPECT_EQ(Dim::Parse(d->ToString())->ToString(), d->ToString()) << text;
    }
  }
}

}  // namespace
}  // namespace sula
