// Random graphs of convolutions, views, concatenations and element-wise nodes: whatever the planner
// does with them, the results are those of EvaluateGraph.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "ir/text.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "ops/pool.h"
#include "ops/shape_ops.h"
#include "plan_harness.h"

namespace sula {
namespace {

class RandomGraph {
 public:
  explicit RandomGraph(uint32_t seed) : random_(seed) {
    const int64_t batch = 1 + Pick(2);
    for (int i = 0; i < 2; ++i)
      values_.push_back(graph_.AddInput("", {DType::kFloat32, Shape{batch, 2 + Pick(3), 4, 4}}));
    for (int i = 0; i < 16; ++i) AddRandomNode();
    for (size_t i = 0; i < 3; ++i) graph_.AddOutput(values_[Pick(values_.size())]);
    graph_.AddOutput(values_.back());
  }
  const Graph& graph() const { return graph_; }

 private:
  int64_t Pick(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  Dims DimsOf(ValueId v) const { return graph_.value(v).type.shape->Concrete(); }
  ValueId Any() { return values_[Pick(static_cast<int64_t>(values_.size()))]; }
  // A value that `fits`, or kNoValue.
  template <class F>
  ValueId Find(F fits) {
    for (int attempt = 0; attempt < 20; ++attempt)
      if (const ValueId v = Any(); fits(DimsOf(v))) return v;
    return kNoValue;
  }
  ValueId Ints(const std::vector<int64_t>& v) {
    return graph_.AddConstant("", Tensor::FromInts(v));
  }

  void Add(const OpDef& op, Params params, std::vector<ValueId> inputs, int outputs = 1) {
    const NodeId id = graph_.AddNode(op, std::move(params), std::move(inputs), outputs);
    const Status status = InferShapes(graph_);
    ASSERT_TRUE(status.ok()) << status.ToString();
    for (ValueId v : graph_.node(id).outputs) values_.push_back(v);
  }

  void AddRandomNode() {
    const ValueId x = Any();
    const Dims d = DimsOf(x);
    const bool map = d.size() == 4;
    switch (Pick(12)) {
      case 0:
      case 1:
        if (!map) return;
        Add(op::kConv, Params::Of(ConvParams{}),
            {x, graph_.AddConstant(
                    "", WholeNumbers(DType::kFloat32, {1 + Pick(5), d[1], 1, 1}, random_()))});
        return;
      case 2: Add(op::kRelu, Params::Of(NoParams{}), {x}); return;
      case 3: {
        const ValueId y = Find([&](const Dims& other) { return other == d; });
        if (y != kNoValue) Add(op::kSub, Params::Of(BinaryParams{}), {x, y});
        return;
      }
      case 4:
      case 5: {
        const int64_t axis = Pick(static_cast<int64_t>(d.size()));
        std::vector<ValueId> inputs = {x};
        for (int i = 0; i < 2; ++i) {
          const ValueId y = Find([&](Dims other) {
            if (other.size() != d.size()) return false;
            other[axis] = d[axis];
            return other == d;
          });
          if (y != kNoValue) inputs.push_back(y);
        }
        Add(op::kConcat, Params::Of(ConcatParams{axis}), inputs);
        return;
      }
      case 6: {
        const int64_t axis = Pick(static_cast<int64_t>(d.size()));
        if (d[axis] < 2) return;
        const int64_t first = 1 + Pick(d[axis] - 1);
        Add(op::kSplit, Params::Of(SplitParams{axis, 0}), {x, Ints({first, d[axis] - first})}, 2);
        return;
      }
      case 7: {
        std::vector<int64_t> perm(d.size());
        std::iota(perm.begin(), perm.end(), 0);
        if (map && Pick(2) == 0) {
          perm = Pick(2) == 0 ? std::vector<int64_t>{0, 3, 1, 2} : std::vector<int64_t>{0, 2, 3, 1};
        } else {
          std::shuffle(perm.begin(), perm.end(), random_);
        }
        Add(op::kTranspose, Params::Of(TransposeParams{perm}), {x});
        return;
      }
      case 8: {
        const int64_t axis = Pick(static_cast<int64_t>(d.size()));
        const int64_t step = Pick(2) == 0 ? 1 : Pick(2) == 0 ? 2 : -1;
        const int64_t from = Pick(d[axis]), to = Pick(d[axis]);
        const int64_t low = std::min(from, to), high = std::max(from, to);
        // Backwards from `high` to just before `low - 1`.
        Add(op::kSlice, Params::Of(NoParams{}),
            {x, Ints({step > 0 ? low : high}), Ints({step > 0 ? high + 1 : low - 1 - d[axis]}),
             Ints({axis}), Ints({step})});
        return;
      }
      case 9: {  // what a channel shuffle is made of
        if (!map || d[1] % 2 != 0) return;
        const ValueId groups = Ints({d[0], 2, d[1] / 2, d[2], d[3]}), back = Ints(d);
        Add(op::kReshape, Params::Of(ReshapeParams{}), {x, groups});
        Add(op::kTranspose, Params::Of(TransposeParams{{0, 2, 1, 3, 4}}), {values_.back()});
        Add(op::kReshape, Params::Of(ReshapeParams{}), {values_.back(), back});
        return;
      }
      case 10: {
        const Dims shapes[] = {{d[0], -1}, {-1, d.back(), 1, 1}, {d[0], 1, -1, 2}};
        const Dims& shape = shapes[Pick(3)];
        if (shape.back() == 2 && NumElements(d) / d[0] % 2) return;
        Add(op::kReshape, Params::Of(ReshapeParams{}), {x, Ints(shape)});
        return;
      }
      default:
        if (map && d[2] > 1 && d[3] > 1)
          Add(op::kMaxPool, Params::Of(PoolParams{.kernel = {2, 2}, .pads = {1, 1, 0, 0}}), {x});
        return;
    }
  }

  std::mt19937 random_;
  Graph graph_;
  std::vector<ValueId> values_;
};

void ExpectAllTheSame(uint32_t seeds, bool cpu) {
  for (uint32_t seed = 0; seed < seeds; ++seed) {
    const RandomGraph random(seed);
    ExpectSameAsEvaluate(random.graph(), {.cpu = cpu, .pad_pixels = seed % 2 == 1});
    if (testing::Test::HasFailure())
      FAIL() << "seed " << seed << "\n" << Print(random.graph(), {.all_elements = false});
  }
}

TEST(RandomGraphs, SameOnTheLayoutBackend) { ExpectAllTheSame(400, false); }
TEST(RandomGraphs, SameOnTheCpu) { ExpectAllTheSame(400, true); }

}  // namespace
}  // namespace sula
