#include "runtime/prepare/scheme_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sula {
namespace {

using testing::HasSubstr;

SchemeLock Sample() {
  SchemeLock lock;
  lock.library = "0.1.0";
  lock.scope = {.model = 0xab12,
                .cpu = "AuthenticAMD-25-1",
                .isa = "avx2",
                .threads = 2,
                .inputs = {{"x", {1, 3, 224, 224}}, {"a scalar", {}}}};
  lock.kept = {.tuned = true, .tuned_seconds = 1.5e-3, .untuned_seconds = 0.012};
  lock.nodes = {{.name = "conv1",
                 .op = "Conv",
                 .backend = "cpu",
                 .kernel = "winograd",
                 .detail = "F(4x4,3x3)",
                 .inputs = {Layout::kChannelLast, Layout::kRowMajor, std::nullopt},
                 .outputs = {Layout::kChannelLast},
                 .predicted_seconds = 120.5e-6,
                 .measured_seconds = 98.25e-6},
                {.name = "odd \"name\"\n# \\\x01",
                 .op = "RandomUniform",
                 .backend = "reference",
                 .kernel = "evaluate",
                 .detail = "",
                 .inputs = {},
                 .outputs = {Layout::kRowMajor, std::nullopt}}};
  return lock;
}

void ExpectEqual(const SchemeLock& a, const SchemeLock& b) {
  EXPECT_EQ(a.library, b.library);
  EXPECT_TRUE(CheckScope(a.scope, b.scope).ok());
  ASSERT_TRUE(a.kept && b.kept);
  EXPECT_EQ(a.kept->tuned, b.kept->tuned);
  EXPECT_NEAR(a.kept->tuned_seconds, b.kept->tuned_seconds, 5e-8);
  EXPECT_NEAR(a.kept->untuned_seconds, b.kept->untuned_seconds, 5e-8);
  ASSERT_EQ(a.nodes.size(), b.nodes.size());
  for (size_t i = 0; i < a.nodes.size(); ++i) {
    EXPECT_EQ(a.nodes[i].name, b.nodes[i].name);
    EXPECT_EQ(a.nodes[i].op, b.nodes[i].op);
    EXPECT_EQ(a.nodes[i].kernel_name(), b.nodes[i].kernel_name());
    EXPECT_EQ(a.nodes[i].inputs, b.nodes[i].inputs);
    EXPECT_EQ(a.nodes[i].outputs, b.nodes[i].outputs);
    EXPECT_NEAR(a.nodes[i].predicted_seconds, b.nodes[i].predicted_seconds, 5e-9);
    EXPECT_NEAR(a.nodes[i].measured_seconds, b.nodes[i].measured_seconds, 5e-9);
  }
}

TEST(SchemeLock, PrintsOneLineForEachNode) {
  EXPECT_EQ(Print(Sample()), R"(sula-schemes 1
library 0.1.0
model 000000000000ab12
cpu AuthenticAMD-25-1 avx2
threads 2
input "a scalar" scalar
input x 1,3,224,224
kept tuned 1500.0 12000.0

# node  operator  kernel  layouts  predicted and measured microseconds
node conv1 Conv cpu/winograd last,row,-->last 120.5 98.25  # F(4x4,3x3)
node "odd \"name\"\n# \\\x01" RandomUniform reference/evaluate ->row,- - -
)");
}

TEST(SchemeLock, ReadsWhatItPrints) {
  const Result<SchemeLock> back = ParseSchemeLock(Print(Sample()));
  ASSERT_TRUE(back) << back.error().ToString();
  ExpectEqual(*back, Sample());
  EXPECT_EQ(back->nodes[0].line, 11);
}

TEST(SchemeLock, LineEndsAndOrderDoNotMatter) {
  const Result<SchemeLock> lock = ParseSchemeLock(
      "# made by hand\r\n\r\n  sula-schemes 1 # yes\r\nnode n Relu cpu/unary last->last 1 2\r\n"
      "threads 1\r\ncpu \"\" scalar\r\nmodel f");
  ASSERT_TRUE(lock) << lock.error().ToString();
  EXPECT_EQ(lock->nodes.size(), 1u);
  EXPECT_EQ(lock->scope.model, 15u);
}

TEST(SchemeLock, ErrorsNameTheLine) {
  const std::string head = "sula-schemes 1\nmodel 1\ncpu a b\nthreads 1\n";
  ASSERT_TRUE(ParseSchemeLock(head));
  const std::pair<std::string, std::string> cases[] = {
      {"", "does not begin with 'sula-schemes 1'"},
      {"\x7f"
       "ELF\x02",
       "does not begin"},
      {"sula-schemes 2\n", "version 2"},
      {"sula-schemes x\n", "'x' is not a version"},
      {"sula-schemes 1\ncpu a b\nthreads 1\n", "no line 'model'"},
      {head + "threads 2\n", "a second line 'threads'"},
      {head + "kept both 1 2\n", "'both' is neither tuned nor untuned"},
      {head + "kept tuned 1\n", "expected 'kept tuned|untuned"},
      {head + "kept tuned 1 -2\n", "'-2' is not a number"},
      {head + "speed 3\n", "unknown line 'speed'"},
      {head + "node a Relu cpu/x row->row 1\n", "node NAME OPERATOR"},
      {head + "node a Relu cpu row->row 1 1\n", "'cpu' is not of the form backend/kernel"},
      {head + "node a Relu cpu/x row 1 1\n", "'row' is not of the form"},
      {head + "node a Relu cpu/x row->col 1 1\n", "'col' is not a layout"},
      {head + "node a Relu cpu/x row->row nan 1\n", "'nan' is not a number"},
      {head + "node a Relu cpu/x row->row 1 -1\n", "'-1' is not a number"},
      {head + "node a Relu cpu/x row->row - -\nnode a Relu cpu/x row->row - -\n",
       "a second line for node 'a'"},
      {head + "input x 1,,2\n", "'' is not a size"},
      {head + "input x 1,-2\n", "'-2' is not a size"},
      {head + "input x\n", "input NAME SIZES"},
      {head + "node \"a Relu\n", "without an end"},
      {head + "node \"\\xg1\" \n", "unknown escape"},
      {head + "node \"\\", "unknown escape"},
      {"sula-schemes 1\nthreads 0\n", "'0' is not a number of threads"},
      {"sula-schemes 1\nthreads 99999999999999999999\n", "is not a number of threads"},
      {"sula-schemes 1\nmodel xyz\n", "'xyz' is not a hash"},
  };
  for (const auto& [text, says] : cases) {
    const Result<SchemeLock> lock = ParseSchemeLock(text);
    ASSERT_FALSE(lock) << text;
    EXPECT_THAT(lock.error().ToString(), HasSubstr(says)) << text;
    EXPECT_NE(lock.error().code(), Code::kInternal);
  }
  EXPECT_THAT(ParseSchemeLock(head + "\nnode a\n").error().ToString(), HasSubstr("line 6"));
}

TEST(SchemeLock, ScopeSaysEverythingThatDiffers) {
  const SchemeScope here = Sample().scope;
  EXPECT_TRUE(CheckScope(here, here).ok());
  SchemeScope lock = here;
  lock.model = 1;
  lock.threads = 4;
  lock.inputs["x"] = {2, 3, 224, 224};
  const std::string text = CheckScope(lock, here).ToString();
  EXPECT_THAT(text, HasSubstr("the model is 0000000000000001, here 000000000000ab12"));
  EXPECT_THAT(text, HasSubstr("threads is 4, here 2"));
  EXPECT_THAT(text, HasSubstr("x[2,3,224,224], here"));
  EXPECT_THAT(text, HasSubstr("tune"));
  EXPECT_THAT(text, testing::Not(HasSubstr("processor")));
  lock = here;
  lock.cpu = "GenuineIntel-6-143";
  lock.isa = "avx512";
  EXPECT_THAT(CheckScope(lock, here).ToString(),
              HasSubstr("the processor is GenuineIntel-6-143, here AuthenticAMD-25-1; the "
                        "instruction set is avx512, here avx2"));
}

}  // namespace
}  // namespace sula
