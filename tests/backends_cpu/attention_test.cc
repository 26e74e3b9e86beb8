// The attention kernel against the operator's meaning.
#include "backends/cpu/kernels/attention/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "backends_cpu/kernel_harness.h"
#include "base/status.h"

namespace sula::cpu {
namespace {

constexpr double kEps = std::numeric_limits<float>::epsilon();

struct Sizes {
  int batch = 1, heads = 1, kv_heads = 1, queries = 1, keys = 1, size = 1, value_size = 1;
};

// Inputs lie in [-1, 1]: a score is a sum of `size` products and off by size^2 / 2 roundings of
// up to 1, times the scale; that is the relative error of its weight. A result is a mean of values
// with these weights: as much again, and the roundings of sums of `keys` weights in lanes of 4 and
// of the exponential.
HarnessOptions Tolerance(const Sizes& s, double scale) {
  const double scores = scale * s.size * (s.size / 8. + 2) * kEps;
  return {.absolute = 2 * scores + (s.keys / 4. + 16) * kEps, .only = "blocks"};
}

std::string Graph(const Sizes& s, const std::string& mask, const std::string& fields) {
  const auto heads = [](int a, int b, int c, int d) {
    return StrCat("float32[", a, ",", b, ",", c, ",", d, "]");
  };
  return StrCat("graph \"g\" {\n  input %q: ", heads(s.batch, s.heads, s.queries, s.size),
                "\n  input %k: ", heads(s.batch, s.kv_heads, s.keys, s.size),
                "\n  input %v: ", heads(s.batch, s.kv_heads, s.keys, s.value_size), "\n",
                mask.empty() ? "" : StrCat("  input %m: float32", mask, "\n"), "  %y = Attention(",
                mask.empty() ? "%q, %k, %v" : "%q, %k, %v, %m", ") {", fields, "}\n  output %y\n}");
}

void Check(const Sizes& s, double scale = 0.5, const std::string& mask = "",
           const std::string& fields = "") {
  const std::string text =
      Graph(s, mask, StrCat("scale=", scale, fields.empty() ? "" : ", ", fields));
  EXPECT_FALSE(CheckKernels(text, Tolerance(s, scale)).empty()) << "no kernel took " << text;
}

std::vector<float> Random(int64_t n) {
  std::mt19937 rng(static_cast<uint32_t>(n));
  std::uniform_real_distribution<float> real(-1, 1);
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = real(rng);
  return v;
}

void CheckTargets(int64_t batch, int64_t heads, int64_t positions, int64_t size, bool causal) {
  const int64_t row = 3 * heads * size;
  const std::vector<float> x = Random(batch * positions * row);
  AttentionSpec spec;
  spec.batch = batch, spec.heads = spec.kv_heads = heads;
  spec.queries = spec.keys = positions, spec.size = spec.value_size = size;
  spec.scale = 0.5f, spec.causal = causal;
  spec.q = spec.k = spec.v = {positions * row, size, row, 1};
  spec.y = {positions * heads * size, size, heads * size, 1};
  const auto at = [&](int part, int64_t b, int64_t h, int64_t i) {
    return x.data() + (b * positions + i) * row + (part * heads + h) * size;
  };
  std::vector<double> want;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < positions; ++i)
      for (int64_t h = 0; h < heads; ++h) {
        std::vector<double> sums(static_cast<size_t>(size), 0);
        double total = 0;
        for (int64_t j = 0; j < (causal ? i + 1 : positions); ++j) {
          double score = 0;
          for (int64_t d = 0; d < size; ++d)
            score += static_cast<double>(at(0, b, h, i)[d]) * at(1, b, h, j)[d];
          const double weight = std::exp(0.5 * score);
          total += weight;
          for (int64_t d = 0; d < size; ++d)
            sums[static_cast<size_t>(d)] += weight * at(2, b, h, j)[d];
        }
        for (double sum : sums) want.push_back(sum / total);
      }
  const double allowed =
      Tolerance({.keys = static_cast<int>(positions), .size = static_cast<int>(size)}, 0.5)
          .absolute;
  for (Target target : AvailableTargets()) {
    for (int threads : {1, 2}) {
      SCOPED_TRACE(testing::Message() << Name(target) << ", " << threads << " threads, "
                                      << positions << " positions of " << size);
      Result<Attention> attention = Attention::Make(spec, {target, threads, 512 << 10});
      ASSERT_TRUE(attention.has_value());
      AlignedBuffer workspace(attention->workspace_bytes());
      std::memset(workspace.data(), 0xff, workspace.bytes());
      std::vector<float> y(want.size());
      attention->Run({.q = at(0, 0, 0, 0),
                      .k = at(1, 0, 0, 0),
                      .v = at(2, 0, 0, 0),
                      .y = y.data(),
                      .workspace = workspace.data()},
                     Parallel(threads));
      for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], want[i], allowed) << i;
    }
  }
}

TEST(AttentionKernel, LengthsAndSizesOfAnyKind) {
  for (int keys : {1, 7, 33, 197})
    for (int size : {1, 5, 32, 64, 80})
      Check({.heads = 2,
             .kv_heads = 2,
             .queries = keys,
             .keys = keys,
             .size = size,
             .value_size = size});
  Check({.batch = 2,
         .heads = 3,
         .kv_heads = 3,
         .queries = 5,
         .keys = 40,
         .size = 12,
         .value_size = 20});
  Check({.batch = 2,
         .heads = 1,
         .kv_heads = 1,
         .queries = 70,
         .keys = 3,
         .size = 9,
         .value_size = 33});
}

TEST(AttentionKernel, HeadsInside) {
  Check({.batch = 2,
         .heads = 3,
         .kv_heads = 3,
         .queries = 19,
         .keys = 19,
         .size = 16,
         .value_size = 10},
        0.25, "", "heads_inside=true");
}

TEST(AttentionKernel, HeadsThatShareKeys) {
  Check({.batch = 2,
         .heads = 6,
         .kv_heads = 2,
         .queries = 9,
         .keys = 17,
         .size = 8,
         .value_size = 8});
  Check({.batch = 1,
         .heads = 5,
         .kv_heads = 1,
         .queries = 33,
         .keys = 21,
         .size = 8,
         .value_size = 8},
        1, "[33,21]", "causality=\"top_left\"");
}

TEST(AttentionKernel, MasksBroadcastAlongEveryAxis) {
  const Sizes s = {
      .batch = 2, .heads = 3, .kv_heads = 3, .queries = 13, .keys = 21, .size = 8, .value_size = 8};
  for (const char* mask : {"[2,3,13,21]", "[1,3,13,21]", "[2,1,13,21]", "[2,3,1,21]", "[2,3,13,1]",
                           "[2,1,1,21]", "[13,21]", "[21]", "[]", "[1]", "[3,1,1]"})
    Check(s, 0.5, mask);
}

TEST(AttentionKernel, CausalityAndSoftcap) {
  for (const char* causality : {"top_left", "bottom_right"})
    for (const auto& [queries, keys] : {std::pair(1, 40), std::pair(40, 40), std::pair(9, 50),
                                        std::pair(50, 9), std::pair(100, 64)})
      for (const char* mask : {"", "[1]"})
        Check({.heads = 2,
               .kv_heads = 2,
               .queries = queries,
               .keys = keys,
               .size = 8,
               .value_size = 8},
              1, mask, StrCat("causality=\"", causality, "\""));
  Check({.heads = 2, .kv_heads = 2, .queries = 30, .keys = 30, .size = 8, .value_size = 8}, 2,
        "[30,30]", "softcap=1.5");
  Check({.heads = 1, .kv_heads = 1, .queries = 30, .keys = 30, .size = 8, .value_size = 8}, 2, "",
        "softcap=1.5, causality=\"top_left\"");
}

// A graph's numbers in one projection, [batch, positions, q k or v, head, size], on every
// instruction set.
TEST(AttentionKernel, EveryInstructionSet) {
  for (const auto& [positions, size] :
       {std::pair(1, 1), std::pair(7, 5), std::pair(33, 32), std::pair(197, 64), std::pair(50, 80)})
    for (bool causal : {false, true}) CheckTargets(2, 3, positions, size, causal);
}

// Constant masks with -infinity: rows of which some or all keys are hidden.
TEST(AttentionKernel, HiddenKeys) {
  for (const char* values :
       {"[-inf, 0, 0, -inf, 0]", "[-inf, -inf, -inf, -inf, -inf]", "[0, 0, 0, 0, -inf]"}) {
    const std::string text = StrCat(R"(graph "g" {
      input %q: float32[1,2,3,4]
      input %k: float32[1,2,5,4]
      input %v: float32[1,2,5,4]
      const %m: float32[5] = )",
                                    values, R"(
      %y = Attention(%q, %k, %v, %m)
      output %y
    })");
    EXPECT_FALSE(CheckKernels(text, {.absolute = 64 * kEps}).empty());
  }
}

TEST(AttentionKernel, RefusesOtherTypes) {
  EXPECT_TRUE(CheckKernels(R"(graph "g" {
    input %q: float16[1,2,3,4]
    %y = Attention(%q, %q, %q)
    output %y
  })")
                  .empty());
}

}  // namespace
}  // namespace sula::cpu
