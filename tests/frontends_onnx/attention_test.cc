// Attention of ONNX. What the operator computes is tested with it; here, that every form, input and
// attribute arrives. Expected values come from loops over the formula.
#include "ops/attention.h"

#include <functional>
#include <limits>

#include "ir/text.h"
#include "onnx_builder.h"

namespace sula::onnx {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kEps = 1e-6;  // a few float32 steps: the operators round between each other

Tensor Random(Dims dims, uint64_t seed) { return RandomTensor(DType::kFloat32, dims, seed); }

// [batch, heads, positions, size] as [batch, positions, heads * size].
Tensor HeadsInside(const Tensor& x) {
  Tensor y(DType::kFloat32, {x.dim(0), x.dim(2), x.dim(1) * x.dim(3)});
  float* to = y.mutable_data<float>().data();
  for (int64_t b = 0; b < x.dim(0); ++b)
    for (int64_t i = 0; i < x.dim(2); ++i)
      for (int64_t h = 0; h < x.dim(1); ++h)
        for (int64_t d = 0; d < x.dim(3); ++d)
          *to++ = x.data<float>()[((b * x.dim(1) + h) * x.dim(2) + i) * x.dim(3) + d];
  return y;
}

// Along the positions.
Tensor Joined(const Tensor& a, const Tensor& b) {
  Tensor y(DType::kFloat32, {a.dim(0), a.dim(1), a.dim(2) + b.dim(2), a.dim(3)});
  float* to = y.mutable_data<float>().data();
  for (int64_t outer = 0; outer < a.dim(0) * a.dim(1); ++outer)
    for (const Tensor* x : {&a, &b}) {
      const int64_t n = x->dim(2) * x->dim(3);
      to = std::copy_n(x->data<float>().data() + outer * n, n, to);
    }
  return y;
}

struct Wanted {
  Tensor y, scores;
};

// mask: what is added to the score of query i and key j of head h in batch entry b.
// shown: what the scores are to show, as qk_matmul_output_mode has it.
Wanted Attend(const Tensor& q, const Tensor& k, const Tensor& v, double scale, double softcap,
              const std::function<double(int64_t, int64_t, int64_t, int64_t)>& mask, int shown) {
  const int64_t heads = q.dim(1), queries = q.dim(2), keys = k.dim(2), size = v.dim(3);
  Wanted wanted{Tensor(DType::kFloat32, {q.dim(0), heads, queries, size}),
                Tensor(DType::kFloat32, {q.dim(0), heads, queries, keys})};
  float *y = wanted.y.mutable_data<float>().data(),
        *scores = wanted.scores.mutable_data<float>().data();
  for (int64_t b = 0; b < q.dim(0); ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t i = 0; i < queries; ++i) {
        const int64_t kv = b * k.dim(1) + h / (heads / k.dim(1));
        std::vector<double> s(keys), weights(keys);
        double sum = 0;
        for (int64_t j = 0; j < keys; ++j) {
          for (int64_t d = 0; d < q.dim(3); ++d)
            s[j] += static_cast<double>(
                        q.data<float>()[((b * heads + h) * queries + i) * q.dim(3) + d]) *
                    k.data<float>()[(kv * keys + j) * q.dim(3) + d];
          s[j] *= scale;
          const double capped = softcap > 0 ? softcap * std::tanh(s[j] / softcap) : s[j];
          const double masked = capped + mask(b, h, i, j);
          weights[j] = std::exp(masked), sum += weights[j];
          s[j] = shown == 0 ? s[j] : shown == 1 ? capped : masked;
        }
        for (int64_t j = 0; j < keys; ++j) {
          weights[j] = sum > 0 ? weights[j] / sum : 0;
          *scores++ = static_cast<float>(shown == 3 ? weights[j] : s[j]);
        }
        for (int64_t d = 0; d < size; ++d) {
          double out = 0;
          for (int64_t j = 0; j < keys; ++j)
            out += weights[j] * v.data<float>()[(kv * keys + j) * size + d];
          *y++ = static_cast<float>(out);
        }
      }
  return wanted;
}

double NoMask(int64_t, int64_t, int64_t, int64_t) { return 0; }

// Absolute tolerance: weights are at most 1, and what they weigh in [-1, 1).
void ExpectNear(const OneNode& node, const std::vector<Tensor>& want) {
  const Result<std::vector<Tensor>> got = node.Run();
  ASSERT_TRUE(got) << got.error().ToString();
  ASSERT_EQ(got->size(), want.size());
  for (size_t k = 0; k < want.size(); ++k) {
    ASSERT_EQ((*got)[k].dims(), want[k].dims()) << "output " << k;
    for (int64_t i = 0; i < want[k].num_elements(); ++i) {
      const double g = (*got)[k].AsDouble(i), w = want[k].AsDouble(i);
      ASSERT_TRUE(g == w || std::abs(g - w) <= kEps)
          << "output " << k << ", element " << i << ": " << g << ", " << w;
    }
  }
}

class OnnxAttention : public testing::Test {
 protected:
  // Four heads of queries on two of keys.
  Tensor q_ = Random({2, 4, 3, 5}, 1), k_ = Random({2, 2, 6, 5}, 2), v_ = Random({2, 2, 6, 7}, 3);
  const double scale_ = 1 / std::sqrt(5.0);
  OneNode node_{.op = "Attention", .opset = 23, .inputs = {q_, k_, v_}};
};

TEST_F(OnnxAttention, FourAxes) {
  ExpectNear(node_, {Attend(q_, k_, v_, scale_, 0, NoMask, 0).y});
  node_.attributes = {Attr("scale", .3f), Attr("softcap", .25f), Attr("softmax_precision", 1)};
  ExpectNear(node_, {Attend(q_, k_, v_, .3f, .25, NoMask, 0).y});
}

TEST_F(OnnxAttention, ThreeAxes) {
  node_.inputs = {HeadsInside(q_), HeadsInside(k_), HeadsInside(v_)};
  ExpectError(node_.Build().Import(), Code::kInvalidModel, "q_num_heads");
  node_.attributes = {Attr("q_num_heads", 4), Attr("kv_num_heads", 2)};
  ExpectNear(node_, {HeadsInside(Attend(q_, k_, v_, scale_, 0, NoMask, 0).y)});
}

TEST_F(OnnxAttention, Causal) {
  node_.attributes = {Attr("is_causal", 1)};
  const auto mask = [](int64_t, int64_t, int64_t i, int64_t j) { return j <= i ? 0 : -kInf; };
  ExpectNear(node_, {Attend(q_, k_, v_, scale_, 0, mask, 0).y});
}

TEST_F(OnnxAttention, Masks) {
  const Tensor numbers = Random({2, 1, 3, 6}, 4);
  node_.inputs.push_back(numbers);
  const auto add = [&](int64_t b, int64_t, int64_t i, int64_t j) {
    return static_cast<double>(numbers.data<float>()[(b * 3 + i) * 6 + j]);
  };
  ExpectNear(node_, {Attend(q_, k_, v_, scale_, 0, add, 0).y});
  // Of fewer keys than there are, by heads; query 1 sees none.
  Tensor seen(DType::kBool, {4, 3, 5});
  const auto is_seen = [](int64_t h, int64_t i, int64_t j) { return i != 1 && (h + i + j) % 3; };
  for (int64_t n = 0; n < seen.num_elements(); ++n)
    seen.mutable_data<bool>()[n] = is_seen(n / 15, n / 5 % 3, n % 5);
  node_.inputs[3] = seen;
  const auto hide = [&](int64_t, int64_t h, int64_t i, int64_t j) {
    return j < 5 && is_seen(h, i, j) ? 0 : -kInf;
  };
  for (int mode : {0, 3}) {
    node_.attributes = {Attr("qk_matmul_output_mode", mode)};
    node_.outputs = 4;
    const Wanted w = Attend(q_, k_, v_, scale_, 0, hide, mode);
    ExpectNear(node_, {w.y, k_, v_, w.scores});
  }
}

TEST_F(OnnxAttention, PastAndPresent) {
  const Tensor past_k = Random({2, 2, 4, 5}, 5), past_v = Random({2, 2, 4, 7}, 6);
  const Tensor k = Joined(past_k, k_), v = Joined(past_v, v_);
  node_.inputs = {q_, k_, v_, Absent(), past_k, past_v};
  node_.outputs = 3;
  ExpectNear(node_, {Attend(q_, k, v, scale_, 0, NoMask, 0).y, k, v});
  // Three queries for six new keys: each sees the past, and of the new ones up to its own.
  node_.attributes = {Attr("is_causal", 1)};
  const auto mask = [](int64_t, int64_t, int64_t i, int64_t j) { return j <= i + 4 ? 0 : -kInf; };
  ExpectNear(node_, {Attend(q_, k, v, scale_, 0, mask, 0).y, k, v});
  node_.inputs.pop_back();
  ExpectError(node_.Build().Import(), Code::kInvalidModel, "together");
}

TEST_F(OnnxAttention, ScoresOfEveryMode) {
  const Tensor numbers = Random({3, 6}, 4);
  node_.inputs.push_back(numbers);
  node_.outputs = 4;
  const auto mask = [&](int64_t, int64_t, int64_t i, int64_t j) {
    return j <= i ? static_cast<double>(numbers.data<float>()[i * 6 + j]) : -kInf;
  };
  for (int mode = 0; mode < 4; ++mode) {
    node_.attributes = {Attr("is_causal", 1), Attr("softcap", .5f),
                        Attr("qk_matmul_output_mode", mode)};
    const Wanted w = Attend(q_, k_, v_, scale_, .5, mask, mode);
    ExpectNear(node_, {w.y, k_, v_, w.scores});
  }
  node_.attributes = {Attr("qk_matmul_output_mode", 4)};
  ExpectError(node_.Build().Import(), Code::kInvalidModel, "qk_matmul_output_mode", "4");
}

TEST_F(OnnxAttention, ValidKeysOfEachBatchEntry) {
  node_.opset = 24;
  node_.inputs = {q_, k_, v_, Absent(), Absent(), Absent(), Ints({5, 2})};
  const auto valid = [](int64_t b, int64_t, int64_t, int64_t j) {
    return j < (b ? 2 : 5) ? 0 : -kInf;
  };
  ExpectNear(node_, {Attend(q_, k_, v_, scale_, 0, valid, 0).y});
  // Of the second entry, the first query comes before all keys.
  node_.attributes = {Attr("is_causal", 1)};
  const auto causal = [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    return j <= i + (b ? 2 : 5) - 3 ? valid(b, h, i, j) : -kInf;
  };
  ExpectNear(node_, {Attend(q_, k_, v_, scale_, 0, causal, 0).y});
}

TEST_F(OnnxAttention, Windows) {
  node_.opset = 25;
  node_.attributes = {Attr("left_window_size", 1), Attr("right_window_size", 2)};
  const auto mask = [](int64_t, int64_t, int64_t i, int64_t j) {
    return j >= i - 1 && j <= i + 2 ? 0 : -kInf;
  };
  ExpectNear(node_, {Attend(q_, k_, v_, scale_, 0, mask, 0).y});
  node_.attributes = {Attr("left_window_size", -2)};
  ExpectError(node_.Build().Import(), Code::kInvalidModel, "window");
}

TEST_F(OnnxAttention, BecomesTheOperatorItself) {
  node_.attributes = {Attr("is_causal", 1)};
  const Result<Graph> graph = node_.Build().Import();
  ASSERT_TRUE(graph) << graph.error().ToString();
  EXPECT_EQ(graph->num_nodes(), 1);
}

// x: [batch, heads, positions, size]; the angles of position i of entry b are at row(b, i).
Tensor Rotated(const Tensor& x, const Tensor& cos, const Tensor& sin,
               const std::function<int64_t(int64_t, int64_t)>& row, bool interleaved) {
  Tensor y = x.Clone();
  const int64_t size = x.dim(3), pairs = cos.dims().back();
  for (int64_t n = 0; n < x.num_elements() / size; ++n) {
    const int64_t i = n % x.dim(2), b = n / (x.dim(1) * x.dim(2)), at = row(b, i) * pairs;
    for (int64_t p = 0; p < pairs; ++p) {
      const int64_t first = n * size + (interleaved ? 2 * p : p);
      const int64_t second = first + (interleaved ? 1 : pairs);
      const double u = x.data<float>()[first], v = x.data<float>()[second],
                   c = cos.data<float>()[at + p], s = sin.data<float>()[at + p];
      y.mutable_data<float>()[first] = static_cast<float>(u * c - v * s);
      y.mutable_data<float>()[second] = static_cast<float>(u * s + v * c);
    }
  }
  return y;
}

TEST(OnnxRotaryEmbedding, WholeHeadsAtGivenPositions) {
  const Tensor x = Random({2, 3, 4, 6}, 1), cos = Random({9, 3}, 2), sin = Random({9, 3}, 3);
  const Tensor positions =
      Tensor::From<int64_t>({2, 4}, std::initializer_list<int64_t>{8, 0, 3, 1, 2, 2, 7, 5});
  const auto row = [&](int64_t b, int64_t i) { return positions.data<int64_t>()[b * 4 + i]; };
  for (int interleaved : {0, 1})
    ExpectNear({.op = "RotaryEmbedding",
                .opset = 23,
                .inputs = {x, cos, sin, positions},
                .attributes = {Attr("interleaved", interleaved)}},
               {Rotated(x, cos, sin, row, interleaved)});
}

TEST(OnnxRotaryEmbedding, APartOfHeadsOfThreeAxes) {
  const Tensor x = Random({2, 3, 4, 6}, 1), cos = Random({2, 4, 2}, 2), sin = Random({2, 4, 2}, 3);
  const auto row = [](int64_t b, int64_t i) { return b * 4 + i; };
  for (int interleaved : {0, 1}) {
    OneNode node{.op = "RotaryEmbedding",
                 .opset = 23,
                 .inputs = {HeadsInside(x), cos, sin},
                 .attributes = {Attr("interleaved", interleaved), Attr("rotary_embedding_dim", 4)}};
    ExpectError(node.Build().Import(), Code::kInvalidModel, "num_heads");
    node.attributes.push_back(Attr("num_heads", 3));
    ExpectNear(node, {HeadsInside(Rotated(x, cos, sin, row, interleaved))});
  }
  ExpectError(OneNode{.op = "RotaryEmbedding",
                      .opset = 23,
                      .inputs = {x, cos, sin},
                      .attributes = {Attr("rotary_embedding_dim", 8)}}
                  .Build()
                  .Import(),
              Code::kInvalidModel, "rotary_embedding_dim", "8");
}

}  // namespace
}  // namespace sula::onnx
