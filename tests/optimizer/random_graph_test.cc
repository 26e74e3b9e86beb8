// Random graphs from the operators that rules look for: optimised or not, they must give the same
// numbers. A failure prints its seed and the graph.
#include <gtest/gtest.h>

#include <random>

#include "ir/text.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/norm.h"
#include "ops/pool.h"
#include "ops/reduce.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"
#include "optimizer/case_file.h"

namespace sula {
namespace {

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  Graph Make() {
    const Dim batch = Pick(2) ? Dim::Symbol("N") : Dim(2);
    values_.push_back(g_.AddInput("x", {DType::kFloat32, Shape{batch, 4, 5, 5}}));
    values_.push_back(g_.AddInput("z", {DType::kFloat32, Shape{batch, 4, 5, 5}}));
    const int nodes = 4 + Pick(14);
    while (static_cast<int>(values_.size()) < nodes) Grow();
    for (size_t i = 2; i + 1 < values_.size(); ++i)
      if (Pick(8) == 0) g_.AddOutput(values_[i]);
    g_.AddOutput(values_.back());
    return std::move(g_);
  }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }

  // Mostly the newest value, so that chains form; sometimes an older one, so that they branch.
  ValueId PickValue() {
    const int n = static_cast<int>(values_.size());
    return Pick(4) ? values_[n - 1] : values_[Pick(n)];
  }
  const Shape& ShapeOf(ValueId v) const { return *g_.value(v).type.shape; }

  // Random numbers, away from 0 if they are to divide or to be variances.
  ValueId Constant(Dims dims, bool positive = false) {
    Tensor t = RandomTensor(DType::kFloat32, dims, random_());
    for (float& x : t.mutable_data<float>()) x = positive ? 1.25f + 0.75f * x : x;
    return g_.AddConstant("", std::move(t));
  }
  ValueId Ints(const std::vector<int64_t>& v) { return g_.AddConstant("", Tensor::FromInts(v)); }

  // Adds the node if its inputs fit, also where N is the 2 of CompareRuns.
  ValueId Add(const OpDef& op, Params params, std::vector<ValueId> inputs) {
    Graph trial = g_;
    const ValueId v =
        trial.node(trial.AddNode(op, std::move(params), std::move(inputs))).outputs[0];
    Graph concrete = trial;
    const std::map<std::string, Shape> shapes = {{"x", {2, 4, 5, 5}}, {"z", {2, 4, 5, 5}}};
    if (!InferShapes(trial).ok() || !InferShapes(concrete, &shapes).ok()) return kNoValue;
    g_ = std::move(trial);
    values_.push_back(v);
    return v;
  }
  ValueId Add(const OpDef& op, std::vector<ValueId> inputs) {
    return Add(op, op.default_params(), std::move(inputs));
  }

  void Grow() {
    const ValueId x = PickValue();
    const int rank = ShapeOf(x).rank();
    if (rank == 0) return;
    const int64_t channels = rank > 1 ? ShapeOf(x)[1].TryValue().value_or(0) : 0;
    switch (Pick(16)) {
      case 0:
      case 1: return AddConv(x, channels);
      case 2: {
        if (channels == 0) return;
        const auto c = [&](bool positive) { return Constant({channels}, positive); };
        Add(op::kBatchNormalization, {x, c(false), c(false), c(false), c(true)});
        return;
      }
      case 3:
      case 4: {
        static constexpr const OpDef* kOps[] = {&op::kAdd, &op::kSub, &op::kMul, &op::kDiv};
        Dims dims(Pick(rank + 1), 1);
        if (static_cast<int>(dims.size()) == rank - 1 && channels) dims[0] = channels;
        const OpDef& o = *kOps[Pick(4)];
        const ValueId c = Constant(dims, true);
        if (o.Has(kCommutative) && Pick(2)) {
          Add(o, {c, x});
        } else {
          Add(o, {x, c});
        }
        return;
      }
      case 5: Add(Pick(2) ? op::kAdd : op::kMul, {x, PickValue()}); return;
      case 6: {
        static constexpr const OpDef* kOps[] = {&op::kRelu,     &op::kSigmoid, &op::kTanh,
                                                &op::kIdentity, &op::kNeg,     &op::kHardSwish};
        Add(*kOps[Pick(6)], {x});
        return;
      }
      case 7: {
        const ValueId sum = Add(op::kAdd, {x, g_.AddConstant("", Tensor::Scalar(3.f))});
        const ValueId clip = Add(op::kClip, {sum, g_.AddConstant("", Tensor::Scalar(0.f)),
                                             g_.AddConstant("", Tensor::Scalar(6.f))});
        const ValueId product = Add(op::kMul, {x, clip});
        Add(op::kDiv, {product, g_.AddConstant("", Tensor::Scalar(6.f))});
        return;
      }
      case 8:
      case 9: {
        std::vector<int64_t> perm;
        for (int i = 0; i < rank; ++i) perm.push_back(i);
        if (rank == 4 && Pick(2)) {
          perm = Pick(2) ? std::vector<int64_t>{0, 2, 3, 1} : std::vector<int64_t>{0, 3, 1, 2};
        } else {
          std::ranges::shuffle(perm, random_);
        }
        Add(op::kTranspose, Params::Of(TransposeParams{.perm = perm}), {x});
        return;
      }
      case 10: {
        std::vector<int64_t> pads(2 * rank, 0);
        for (int i = 2; i < rank; ++i) pads[i] = Pick(2), pads[rank + i] = Pick(2);
        Add(op::kPad, {x, Ints(pads)});
        return;
      }
      case 11: {
        PoolParams p = {.kernel = std::vector<int64_t>(std::max(rank - 2, 1), 3)};
        if (Pick(2)) p.pads.assign(2 * p.kernel.size(), 1);
        p.count_include_pad = Pick(2);
        Add(Pick(2) ? op::kMaxPool : op::kAveragePool, Params::Of(p), {x});
        return;
      }
      case 12: Add(op::kConcat, Params::Of(ConcatParams{Pick(rank)}), {x, PickValue()}); return;
      case 13: {
        if (Pick(2)) {
          Add(op::kSoftmax, Params::Of(SoftmaxParams{Pick(rank)}), {x});
        } else {
          Add(op::kReduceMean,
              Params::Of(ReduceParams{.axes = {rank - 1, Pick(rank)}, .keepdims = Pick(2) == 0}),
              {x});
        }
        return;
      }
      case 14: {
        const int64_t k = ShapeOf(x)[rank - 1].TryValue().value_or(0);
        if (k > 0) Add(op::kMatMul, {x, Constant({k, 3})});
        return;
      }
      default:
        if (channels) Add(op::kPRelu, {x, Constant(Pick(2) ? Dims{1} : Dims{channels, 1, 1})});
        return;
    }
  }

  void AddConv(ValueId x, int64_t channels) {
    if (channels == 0) return;
    const int64_t group = channels % 2 == 0 && Pick(2) ? 2 : 1;
    if (Pick(4) == 0) {
      std::vector<ValueId> inputs = {x, Constant({channels, 3, 2, 2})};
      Add(op::kConvTranspose, Params::Of(ConvTransposeParams{}), std::move(inputs));
      return;
    }
    const int64_t kernel = 1 + 2 * Pick(2);
    ConvParams p;
    p.group = group;
    if (Pick(3)) p.pads.assign(4, kernel / 2);
    std::vector<ValueId> inputs = {x, Constant({4, channels / group, kernel, kernel})};
    if (Pick(2)) inputs.push_back(Constant({4}));
    Add(op::kConv, Params::Of(p), std::move(inputs));
  }

  std::mt19937_64 random_;
  Graph g_;
  std::vector<ValueId> values_;
};

TEST(RandomGraphs, OptimizedOrNotGiveTheSameNumbers) {
  int applications = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const Graph graph = Generator(seed).Make();
    Graph optimized = graph;
    const Result<OptimizeReport> report = Optimize(optimized);
    ASSERT_TRUE(report.has_value()) << "seed " << seed << ": " << report.status().ToString() << "\n"
                                    << Print(graph);
    applications += static_cast<int>(report->log.size());
    // Chains of up to 18 operators, each of which rounds sums of up to 36 terms.
    const std::string difference = test::CompareRuns(graph, optimized, seed, 1e-4);
    ASSERT_EQ(difference, "") << "seed " << seed << "\n" << Print(graph) << Print(optimized);
  }
  EXPECT_GT(applications, 400);  // or the graphs test nothing
}

}  // namespace
}  // namespace sula
