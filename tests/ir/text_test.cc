#include "ir/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "ir/test_ops.h"

namespace sula {
namespace {

using ::testing::HasSubstr;

Result<Graph> Parse(std::string_view text) { return ParseGraph(text, test::TestOps()); }
std::string ErrorOf(std::string_view text) {
  const Result<Graph> g = Parse(text);
  return g.has_value() ? "no error" : g.status().ToString();
}

constexpr std::string_view kEverything = R"(graph "every \"thing\"" {
  meta "producer" = "a\nb"
  input %x: float32[N,3,floor((H+1)/2)]
  input %"odd name:0": float32[?]
  input %c: bool[]
  const %f: float32[3] = [0.1, -1e-30, inf]
  const %h: float16[2] = [0.5, 65504]
  const %b: bfloat16[1] = [1.5]
  const %d: float64[1] = [0.1]
  const %i: int8[2] = [-128, 127]
  const %u: uint8[2] = [0, 255]
  const %l: int64[1] = [-9223372036854775808]
  const %t: bool[2] = [true, false]
  const %scalar: int32[] = [7]
  const %none: float32[0,4] = []
  %k: float32[N,3,floor((H+1)/2)] = Knob(%x, _) {axis=-1, scale=0.1, flip=true, to="int64", text="q\"\\", ints=[1, 2], floats=[0.1, 2.0], strings=["a", "b"], small=-3} "knob"
  %p: float32[N,3,floor((H+1)/2)], _, %q: float32[N,3,floor((H+1)/2)] = Pieces(%k) "cut/1"
  %y: float32[N,3,floor((H+1)/2)] = Branch(%c, %q, %x) "if" {
    graph "then" {
      captures %q
      input %a: float32[N,3,floor((H+1)/2)]
      %r: float32[N,3,floor((H+1)/2)] = Copy(%a) "copy"
      output %r
    }
    graph "else" {
      captures %x
      input %x: float32[N,3,floor((H+1)/2)]
      output %x
    }
  }
  output %y, %p
}
)";

TEST(Text, RoundTrip) {
  const Result<Graph> g = Parse(kEverything);
  ASSERT_TRUE(g.has_value()) << g.status().ToString();
  EXPECT_EQ(Print(*g, {.all_elements = true}), kEverything);
  const auto& knob = g->node(*g->FindNode("knob")).As<test::KnobParams>();
  EXPECT_EQ(knob.scale, 0.1f);
  EXPECT_EQ(knob.floats, (std::vector<float>{0.1f, 2.f}));
  EXPECT_EQ(knob.text, "q\"\\");
  EXPECT_EQ(g->Constant(*g->FindValue("f"))->data<float>()[0], 0.1f);
  EXPECT_EQ(g->metadata.at("producer"), "a\nb");
}

TEST(Text, AllElementsOfRandomConstantsRoundTrip) {
  for (int t = 0; t < kDTypeCount; ++t) {
    Graph g;
    g.AddConstant("c", RandomTensor(static_cast<DType>(t), {7, 11, 13}, t));
    EXPECT_THAT(Print(g), HasSubstr("= ...\n"));
    const Result<Graph> back = Parse(Print(g, {.all_elements = true}));
    ASSERT_TRUE(back.has_value()) << back.status().ToString();
    EXPECT_EQ(*back->Constant(0), *g.Constant(0));
  }
}

TEST(Text, RandomIsReproducibleAndInRange) {
  const Result<Graph> g = Parse(
      "graph \"r\" { const %a: float32[1000] = random(5) const %b: float32[1000] = random(5)"
      " const %c: float32[1000] = random(6) const %i: int8[1000] = random(1)"
      " const %u: uint8[1000] = random(1) }");
  ASSERT_TRUE(g.has_value()) << g.status().ToString();
  EXPECT_EQ(*g->Constant(0), *g->Constant(1));
  EXPECT_FALSE(*g->Constant(0) == *g->Constant(2));
  EXPECT_EQ(*g->Constant(0), RandomTensor(DType::kFloat32, {1000}, 5));
  // The published first output of SplitMix64 from seed 0 is 0xe220a8397b1dcdaf.
  EXPECT_EQ(RandomTensor(DType::kFloat32, {1}, 0).data<float>()[0],
            (0xe220a8 - 0x800000) / static_cast<float>(0x800000));
  double sum = 0;
  for (float x : g->Constant(0)->data<float>()) {
    EXPECT_GE(x, -1.f);
    EXPECT_LT(x, 1.f);
    sum += x;
  }
  EXPECT_LT(std::abs(sum / 1000), 0.1);  // 5.5 standard deviations of the mean
  for (int8_t x : g->Constant(3)->data<int8_t>()) EXPECT_TRUE(x >= -4 && x < 4);
  for (uint8_t x : g->Constant(4)->data<uint8_t>()) EXPECT_LT(x, 8);
}

TEST(Text, WithoutTypes) {
  const Result<Graph> g = Parse("graph \"t\" { input %x: float32[2] %y = Copy(%x) output %y }");
  ASSERT_TRUE(g.has_value());
  EXPECT_EQ(Print(*g, {.types = false}),
            "graph \"t\" {\n  input %x: float32[2]\n  %y = Copy(%x) \"Copy\"\n  output %y\n}\n");
}

TEST(Text, ParseErrorsNameLineAndColumn) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("line 1, column 1: expected 'graph'"));
  EXPECT_THAT(ErrorOf("graph \"a\" {\n  input x: float32[2]\n}"),
              HasSubstr("line 2, column 9: expected '%'"));
  EXPECT_THAT(ErrorOf("graph \"a\" {\n  input %x: float33[2]\n}"), HasSubstr("line 2, column 13"));
  EXPECT_THAT(ErrorOf("graph \"a\" {\n  input %x: float32[2\n}"), HasSubstr("line 3, column 1"));
  EXPECT_THAT(ErrorOf("graph \"a\" {\n %y = Nope()\n}"),
              HasSubstr("line 2, column 7: unknown operator 'Nope'"));
  EXPECT_THAT(ErrorOf("graph \"a\" {\n %y = Copy(%x)\n}"),
              HasSubstr("line 2, column 12: no value 'x'"));
  EXPECT_THAT(ErrorOf("graph \"a\" { input %x: float32[]\n input %x: float32[] }"),
              HasSubstr("line 2, column 8: value 'x' is defined twice"));
  EXPECT_THAT(ErrorOf("graph \"a\" { input %x: float32[] %y = Copy(%x) {axis=1} }"),
              HasSubstr("unknown field 'axis'"));
  EXPECT_THAT(ErrorOf("graph \"a\" { input %x: float32[] %y = Knob(%x) {axis=1.5} }"),
              HasSubstr("expected an integer"));
  EXPECT_THAT(ErrorOf("graph \"a\" { input %x: float32[] %y = Knob(%x) {small=128} }"),
              HasSubstr("does not fit"));
  EXPECT_THAT(ErrorOf("graph \"a\" { input %x: float32[] %y = Knob(%x) {axis=1, axis=1} }"),
              HasSubstr("given twice"));
  EXPECT_THAT(ErrorOf("graph \"a\" { const %x: float32[3] = [1, 2] }"), HasSubstr("expected ','"));
  EXPECT_THAT(ErrorOf("graph \"a\" { const %x: float32[1] = [1, 2] }"),
              HasSubstr("expected ']' after 1 elements"));
  EXPECT_THAT(ErrorOf("graph \"a\" { const %x: uint8[1] = [256] }"),
              HasSubstr("'256' is not an element of this type"));
  EXPECT_THAT(ErrorOf("graph \"a\" { const %x: float32[N] = [1] }"), HasSubstr("concrete"));
  EXPECT_THAT(ErrorOf("graph \"a\" { const %x: float32[99999999999] = random(1) }"),
              HasSubstr("1 GiB"));
  EXPECT_THAT(ErrorOf("graph \"a\" { const %x: float32[99] = ... }"), HasSubstr("left out"));
  EXPECT_THAT(ErrorOf("graph \"a"), HasSubstr("without an end"));
  EXPECT_THAT(ErrorOf("graph \"a\" {"), HasSubstr("expected input, const"));
  EXPECT_THAT(ErrorOf("graph \"a\" { } x"), HasSubstr("after the end"));
}

TEST(Text, WrongAnnotationsAreErrors) {
  EXPECT_THAT(
      ErrorOf("graph \"a\" { input %x: float32[N,2]\n %y: float32[N,3] = Copy(%x)\n output %y }"),
      HasSubstr("line 2, column 2: 'y' is declared float32[N,3], inference gives float32[N,2]"));
  EXPECT_THAT(ErrorOf("graph \"a\" { input %x: float32[N,2] %y: float32[M,2] = Copy(%x) }"),
              HasSubstr("inference gives"));
  EXPECT_THAT(ErrorOf("graph \"a\" { input %x: float32[2] %y: int32[2] = Copy(%x) }"),
              HasSubstr("inference gives"));
  EXPECT_EQ(ErrorOf("graph \"a\" { input %x: float32[2] %y: int64[_5] = Found(%x) }"), "no error");
}

TEST(Text, InferenceErrorsNameTheLineToo) {
  EXPECT_THAT(ErrorOf("graph \"a\" {\n input %x: float32[2]\n input %y: float32[3]\n"
                      " %z = Join(%x, %y)\n}"),
              HasSubstr("line 4, column 2"));
}

// Damaged text gives a graph or an error, and what is a graph prints and parses again.
TEST(Text, SurvivesDamage) {
  std::mt19937 random(1);
  int graphs = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text(kEverything);
    for (int edits = 1 + random() % 3; edits > 0; --edits) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0: text.erase(at, 1 + random() % 8); break;
        case 1: text.insert(at, text.substr(random() % text.size(), random() % 12)); break;
        case 2: text[at] = kEverything[random() % kEverything.size()]; break;
        default: text[at] = static_cast<char>(random() % 128); break;
      }
    }
    const Result<Graph> g = Parse(text);
    if (!g.has_value()) continue;
    ++graphs;
    const Result<Graph> again = Parse(Print(*g, {.all_elements = true}));
    ASSERT_TRUE(again.has_value()) << again.status().ToString() << "\n" << text;
  }
  EXPECT_GT(graphs, 10);
}

TEST(Text, DeepNestingIsRefused) {
  std::string text = "graph \"g\" { input %c: bool[] ";
  for (int i = 0; i < 100'000; ++i)
    text += "%y = Branch(%c) \"b\" { graph \"g\" { input %c: bool[] ";
  EXPECT_THAT(ErrorOf(text), HasSubstr("nested deeper"));
}

}  // namespace
}  // namespace sula
