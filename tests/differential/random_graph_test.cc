// Random graphs through the optimizer and the CPU backend, on one thread and on two, against the
// reference interpreter on the graph as it was. Each seed that fails is printed; run it alone with
// SULA_RANDOM_SEED and SULA_RANDOM_COUNT=1, and many more with a large SULA_RANDOM_COUNT.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "ir/text.h"
#include "ops/catalogue.h"
#include "optimizer/optimizer.h"
#include "optimizer/verify/compare.h"
#include "runtime/session.h"
#include "support/random_graph.h"

namespace sula {
namespace {

std::vector<Node> NodesOf(const Graph& graph) {
  std::vector<Node> nodes;
  for (NodeId id : graph.TopologicalOrder()) nodes.push_back(graph.node(id));
  return nodes;
}

// What rounding may make of each output: every number of the reference run moved by a unit in the
// last place changes it by some amount; kernels that sum in float in an order of their own do what
// such moves do, for each of the terms (up to 144 in these graphs: 12 of them in a row, at random),
// and approximate exp, tanh and erf to some 4 units. So 64 times that, and 256 roundings.
class Allowance {
 public:
  Allowance(const Graph& graph, const std::vector<Tensor>& inputs,
            const std::vector<Tensor>& outputs)
      : graph_(graph), inputs_(inputs), outputs_(outputs) {}

  double Of(size_t i, double scale) {
    if (moved_.empty()) Move();
    double allowed = AlwaysAllowed(outputs_[i], scale);
    for (const std::vector<Tensor>& run : moved_)
      allowed = std::max(allowed, 64 * Compare(outputs_[i], run[i]).largest);
    return allowed;
  }

 private:
  void Move() {
    const ValueSource outside = [&](ValueId v) -> Result<Tensor> {
      return inputs_[std::ranges::find(graph_.inputs(), v) - graph_.inputs().begin()];
    };
    const std::vector<Node> nodes = NodesOf(graph_);
    for (uint64_t seed : {21, 22}) {
      auto run = RunMoved(nodes, graph_, outside, graph_.outputs(), seed);
      ASSERT_TRUE(run.has_value()) << run.status().ToString();
      moved_.push_back(*std::move(run));
    }
  }

  const Graph& graph_;
  const std::vector<Tensor>&inputs_, &outputs_;
  std::vector<std::vector<Tensor>> moved_;
};

// Runs the optimized graph on the CPU. Empty if the outputs are right, otherwise what is not.
std::string Differs(const Graph& graph, const std::shared_ptr<const Model>& model,
                    const std::vector<Tensor>& inputs, int threads) {
  InputShapes shapes;
  for (size_t i = 0; i < inputs.size(); ++i)
    shapes[graph.value(graph.inputs()[i]).name] = inputs[i].dims();
  auto session = Session::Create(model, {.threads = threads, .backend = "cpu"}, shapes);
  if (!session) return session.error().ToString();
  for (size_t i = 0; i < inputs.size(); ++i)
    std::memcpy((*session)->input_data(static_cast<int>(i)), inputs[i].raw(), inputs[i].bytes());
  if (Status s = (*session)->Run(); !s.ok()) return s.ToString();
  const Result<std::vector<Tensor>> expected = EvaluateGraph(graph, inputs);
  if (!expected) return "the reference: " + expected.error().ToString();
  Allowance allowance(graph, inputs, *expected);
  for (size_t i = 0; i < expected->size(); ++i) {
    const int n = static_cast<int>(i);
    const Tensor actual = Tensor::Borrow((*session)->output_type(n), (*session)->output_dims(n),
                                         (*session)->output_data(n), nullptr);
    const Difference d = Compare((*expected)[i], actual);
    if (!d.same_type) return StrCat("output ", i, " has sizes ", ToString(actual.dims()));
    if (d.largest == 0) continue;
    if (const double allowed = allowance.Of(i, d.scale); !(d.largest <= allowed)) {
      return StrCat("output ", i, "[", d.at, "]: ", actual.AsDouble(d.at), " instead of ",
                    (*expected)[i].AsDouble(d.at), ", allowed is ", allowed);
    }
  }
  return "";
}

TEST(RandomGraphs, OptimizedOnTheCpuAsOnTheReference) {
  const test::SeedRange seeds = test::SeedsToTest(2000);
  for (uint64_t seed = seeds.first; seed < seeds.end; ++seed) {
    const Graph graph = test::RandomGraph(seed);
    Graph optimized = graph;
    const Result<OptimizeReport> report = Optimize(optimized);
    ASSERT_TRUE(report.has_value())
        << "SULA_RANDOM_SEED=" << seed << ": " << report.status().ToString() << "\n"
        << Print(graph);
    const std::string text = Print(optimized);
    auto model = Model::FromGraph(std::move(optimized));
    const bool fixed = graph.value(graph.inputs()[0]).type.shape->IsConcrete();
    const int64_t batch = fixed ? 2 : 1 + static_cast<int64_t>(seed % 3);
    const std::vector<Tensor> inputs = test::RandomGraphInputs(graph, batch, seed);
    ASSERT_TRUE(model.has_value()) << model.status().ToString();
    ASSERT_EQ(Differs(graph, *model, inputs, 1 + static_cast<int>(seed / 3 % 2)), "")
        << "SULA_RANDOM_SEED=" << seed << "\n"
        << Print(graph) << text;
  }
}

}  // namespace
}  // namespace sula
