// The choice of layouts: against an exhaustive search on small graphs, and without needless copies
// on nets as the CPU backend runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

#include "backend/host.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/reference/reference_backend.h"
#include "ops/catalogue.h"
#include "plan_harness.h"
#include "runtime/prepare/schedule.h"

namespace sula {
namespace {

// ---- a backend whose kernels want all there is to want, at random prices

class NoKernel : public Kernel {
 public:
  void Run(const RunArgs&) const noexcept override {}
};
Result<std::unique_ptr<Kernel>> Make(const KernelRequest&) {
  return std::unique_ptr<Kernel>(std::make_unique<NoKernel>());
}

// Seconds; so little that the reference backend never wins.
constexpr double kUnit = 1e-9;

// Price of a kernel for a node, by the names of both; those without are refused.
std::map<std::pair<std::string, int>, double> g_prices;

template <int kWhich>
Verdict Accept(const KernelRequest& r) {
  return g_prices.contains({r.node->name, kWhich}) ? Verdict::Yes() : Verdict::No("not for sale");
}
template <int kWhich>
double Price(const KernelRequest& r) {
  return g_prices.at({r.node->name, kWhich});
}
template <LayoutNeed kIn, LayoutNeed kOut>
void Needs(const KernelRequest&, std::span<LayoutNeed> in, std::span<LayoutNeed> out) {
  std::fill(in.begin(), in.end(), kIn);
  std::fill(out.begin(), out.end(), kOut);
}

constexpr LayoutNeed kRow = LayoutNeed::kRowMajor, kLast = LayoutNeed::kChannelLast,
                     kAny = LayoutNeed::kFollow;
constexpr int kKernels = 5;
constexpr KernelEntry kEntries[kKernels] = {{.name = "row",
                                             .layouts = Needs<kRow, kRow>,
                                             .accept = Accept<0>,
                                             .estimate = Price<0>,
                                             .create = Make},
                                            {.name = "last",
                                             .layouts = Needs<kLast, kLast>,
                                             .accept = Accept<1>,
                                             .estimate = Price<1>,
                                             .create = Make},
                                            {.name = "to_last",
                                             .layouts = Needs<kRow, kLast>,
                                             .accept = Accept<2>,
                                             .estimate = Price<2>,
                                             .create = Make},
                                            {.name = "to_row",
                                             .layouts = Needs<kLast, kRow>,
                                             .accept = Accept<3>,
                                             .estimate = Price<3>,
                                             .create = Make},
                                            {.name = "any",
                                             .layouts = Needs<kAny, kAny>,
                                             .accept = Accept<4>,
                                             .estimate = Price<4>,
                                             .create = Make}};

class MarketBackend : public HostBackend {
 public:
  std::string_view name() const override { return "market"; }
  Status Probe() const override { return {}; }
  std::span<const KernelEntry> Kernels(const OpDef& op) const override {
    if (op.Has(kDataMovement)) return {};
    return kEntries;
  }
  // kUnit for a map of a graph input, less for what pooling has made smaller; nothing within a
  // layout.
  double CopyCost(const TensorDesc& from, const TensorDesc& to, int) const override {
    Dims a(from.dims.size()), b(from.dims.size());
    from.WriteStrides(a);
    to.WriteStrides(b);
    return a == b ? 0 : kUnit * static_cast<double>(from.num_elements()) / (4 * 16 * 16);
  }
};

// ---- a graph of nodes that are told by their inputs

struct SmallNode {
  std::vector<int> inputs;  // nodes; -1: the graph's input
  bool pool = false;        // makes the map smaller
};

std::string Text(const std::vector<SmallNode>& nodes) {
  std::string text = "graph \"g\" {\n  input %v: float32[1,4,16,16]\n";
  const auto name = [](int node) { return node < 0 ? std::string("v") : StrCat("v", node); };
  std::vector<bool> read(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const std::vector<int>& in = nodes[i].inputs;
    for (int k : in)
      if (k >= 0) read[static_cast<size_t>(k)] = true;
    text += StrCat("  %v", i, " = ");
    if (in.size() == 2) {
      text += StrCat("Add(%", name(in[0]), ", %", name(in[1]), ")");
    } else if (nodes[i].pool) {
      text += StrCat("MaxPool(%", name(in[0]), ") {kernel=[2, 2], strides=[2, 2]}");
    } else {
      text += StrCat("Relu(%", name(in[0]), ")");
    }
    text += StrCat(" \"n", i, "\"\n");
  }
  text += "  output ";
  bool first = true;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (read[i]) continue;
    text += StrCat(first ? "" : ", ", "%v", i);
    first = false;
  }
  return text + "\n}";
}

// Nodes in a row, each reading the one before and, if `branches`, perhaps one more or another one.
std::vector<SmallNode> RandomNodes(int count, bool branches, std::mt19937& random) {
  std::vector<SmallNode> nodes;
  std::vector<int> size = {16};  // by node + 1
  for (int i = 0; i < count; ++i) {
    SmallNode node;
    int from = i - 1;
    if (branches && random() % 3 == 0) from = static_cast<int>(random() % (i + 1)) - 1;
    node.inputs = {from};
    const int at = size[static_cast<size_t>(from + 1)];
    if (branches && random() % 2 == 0)
      for (int other = -1; other < i; ++other)
        if (other != from && size[static_cast<size_t>(other + 1)] == at && random() % 2 == 0) {
          node.inputs.push_back(other);
          break;
        }
    node.pool = node.inputs.size() == 1 && at >= 4 && random() % 4 == 0;
    size.push_back(node.pool ? at / 2 : at);
    nodes.push_back(node);
  }
  return nodes;
}

void SetPrices(size_t nodes, std::mt19937& random) {
  g_prices.clear();
  std::uniform_real_distribution<double> price(0.1 * kUnit, 1.5 * kUnit);
  for (size_t i = 0; i < nodes; ++i) {
    const std::string name = StrCat("n", i);
    while (g_prices.lower_bound({name, 0}) == g_prices.lower_bound({name, kKernels}))
      for (int k = 0; k < kKernels; ++k)
        if (random() % 2 == 0) g_prices[{name, k}] = price(random);
  }
}

// What the least schedule costs: every way to choose kernels, and for each value one copy if a
// reader, or the graph's output, wants it in the layout that it was not made in.
double LeastCost(const Graph& graph, const std::vector<SmallNode>& nodes) {
  const size_t n = nodes.size();
  MarketBackend backend;
  std::vector<double> copy(n + 1);
  std::vector<bool> is_output(n + 1, false);
  for (size_t i = 0; i <= n; ++i) {
    const ValueId v = *graph.FindValue(i == 0 ? "v" : StrCat("v", i - 1));
    const Dims dims = graph.value(v).type.shape->Concrete();
    copy[i] = backend.CopyCost(DenseDesc(DType::kFloat32, dims),
                               DenseDesc(DType::kFloat32, dims, Layout::kChannelLast), 1);
    is_output[i] = graph.IsOutput(v);
  }
  struct Way {
    bool in, out;  // true: channel-last
    double price;
  };
  std::vector<std::vector<Way>> ways(n);
  static constexpr bool kIn[] = {false, true, false, true}, kOut[] = {false, true, true, false};
  for (size_t i = 0; i < n; ++i)
    for (int k = 0; k < kKernels; ++k) {
      const auto price = g_prices.find({StrCat("n", i), k});
      if (price == g_prices.end()) continue;
      if (k < 4) {
        ways[i].push_back({kIn[k], kOut[k], price->second});
      } else {
        for (bool last : {false, true}) ways[i].push_back({last, last, price->second});
      }
    }
  double least = 1e300;
  std::vector<bool> home(n + 1, false), copied(n + 1, false);
  const std::function<void(size_t, double)> choose = [&](size_t i, double cost) {
    if (cost >= least) return;
    if (i == n) {
      for (size_t v = 0; v <= n; ++v)
        if (is_output[v] && home[v] && !copied[v]) cost += copy[v];
      least = std::min(least, cost);
      return;
    }
    for (const Way& way : ways[i]) {
      double with = cost + way.price;
      std::vector<size_t> fresh;
      for (int input : nodes[i].inputs) {
        const size_t v = static_cast<size_t>(input + 1);
        if (home[v] == way.in || copied[v]) continue;
        copied[v] = true;
        fresh.push_back(v);
        with += copy[v];
      }
      home[i + 1] = way.out;
      choose(i + 1, with);
      for (size_t v : fresh) copied[v] = false;
    }
  };
  choose(0, 0);
  return least;
}

double CostOfSchedule(const Graph& graph) {
  MarketBackend market;
  const std::unique_ptr<Backend> reference = MakeReferenceBackend();
  Backend* const backends[] = {&market, reference.get()};
  Result<ConcreteGraph> concrete = MakeConcrete(graph, *ConcreteInputTypes(graph, {}));
  EXPECT_TRUE(concrete);
  Result<Schedule> schedule = MakeSchedule(*concrete, backends, {});
  EXPECT_TRUE(schedule);
  double cost = 0;
  for (const Step& step : schedule->steps) {
    cost += step.report.seconds;
    EXPECT_NE(step.report.backend, "reference");
  }
  return cost;
}

struct Outcome {
  int graphs = 0, optimal = 0;
  double worst = 1, sum = 0;  // of cost / least
  std::string text;           // the worst one
};

Outcome Compare(bool branches, int graphs) {
  std::mt19937 random(branches ? 7 : 5);
  Outcome outcome;
  for (int g = 0; g < graphs; ++g) {
    const std::vector<SmallNode> nodes =
        RandomNodes(2 + static_cast<int>(random() % 6), branches, random);
    SetPrices(nodes.size(), random);
    const Graph graph = ParseOrFail(Text(nodes));
    const double least = LeastCost(graph, nodes), cost = CostOfSchedule(graph);
    EXPECT_GE(cost, least * (1 - 1e-9)) << Text(nodes);
    ++outcome.graphs;
    outcome.optimal += cost <= least * (1 + 1e-9);
    if (cost > outcome.worst * least) {
      outcome.worst = cost / least;
      outcome.text = Text(nodes);
      for (const auto& [key, price] : g_prices)
        outcome.text += StrCat("\n", key.first, " ", kEntries[key.second].name, " ", price / kUnit);
    }
    outcome.sum += cost / least;
  }
  return outcome;
}

TEST(Layouts, OptimalWithoutBranches) {
  const Outcome outcome = Compare(false, 400);
  EXPECT_EQ(outcome.optimal, outcome.graphs);
}

TEST(Layouts, NearlyOptimalWithBranches) {
  const Outcome outcome = Compare(true, 600);
  EXPECT_GE(outcome.optimal, outcome.graphs * 97 / 100);
  EXPECT_LE(outcome.sum / outcome.graphs, 1.003);
  EXPECT_LE(outcome.worst, 1.25) << outcome.text;
}

// ---- nets on the CPU backend: nothing is copied between two kernels

// Values that are copied, of a graph as the CPU backend runs it; inputs and outputs left out.
std::vector<std::string> InnerCopies(std::string_view text) {
  const Graph graph = ParseOrFail(text);
  const PlanOnBackends made = MakePlan(graph, {.cpu = true});
  std::vector<std::string> copies;
  for (const NodeReport& node : made.plan->report().nodes) {
    EXPECT_NE(node.backend, "reference") << node.name;
    const auto v = graph.FindValue(node.name);
    if (node.op == "Copy" && !(v && (graph.IsInput(*v) || graph.IsOutput(*v))))
      copies.push_back(node.name);
  }
  return copies;
}

TEST(Layouts, NothingIsCopiedWithinNets) {
  const std::pair<std::string_view, std::string_view> nets[] = {
      {"inverted residual, squeeze and excitation", R"(graph "g" {
        input %x: float32[1,3,64,64]
        const %w0: float32[16,3,3,3] = random(1)
        const %w1: float32[64,16,1,1] = random(2)
        const %w2: float32[64,1,3,3] = random(3)
        const %w3: float32[8,64,1,1] = random(4)
        const %w4: float32[64,8,1,1] = random(5)
        const %w5: float32[16,64,1,1] = random(6)
        const %w6: float32[16,10] = random(7)
        %a = Conv(%x, %w0) {strides=[2, 2], pads=[1, 1, 1, 1]}
        %h = HardSwish(%a)
        %b = Conv(%h, %w1) {activation="relu"}
        %c = Conv(%b, %w2) {pads=[1, 1, 1, 1], group=64}
        %m = GlobalAveragePool(%c)
        %s = Conv(%m, %w3) {activation="relu"}
        %t = Conv(%s, %w4)
        %u = HardSigmoid(%t)
        %d = Mul(%c, %u)
        %e = Conv(%d, %w5)
        %r = Add(%e, %h)
        %p = GlobalAveragePool(%r)
        %f = Flatten(%p)
        %y = MatMul(%f, %w6)
        %z = Softmax(%y)
        output %z
      })"},
      {"instance normalisation between convolutions", R"(graph "g" {
        input %x: float32[1,3,64,64]
        const %w0: float32[16,3,9,9] = random(1)
        const %w1: float32[32,16,3,3] = random(2)
        const %w2: float32[16,32,3,3] = random(3)
        const %w3: float32[3,16,9,9] = random(4)
        const %s16: float32[16] = random(5)
        const %s32: float32[32] = random(6)
        const %scales: float32[4] = [1, 1, 2, 2]
        %a = Conv(%x, %w0) {pads=[4, 4, 4, 4]}
        %b = InstanceNormalization(%a, %s16, %s16)
        %c = Relu(%b)
        %d = Conv(%c, %w1) {strides=[2, 2], pads=[1, 1, 1, 1]}
        %e = GroupNormalization(%d, %s32, %s32) {groups=4}
        %f = Relu(%e)
        %g = Resize(%f, _, %scales) {mode="nearest"}
        %h = Conv(%g, %w2) {pads=[1, 1, 1, 1]}
        %i = InstanceNormalization(%h, %s16, %s16)
        %j = Add(%i, %c)
        %k = Conv(%j, %w3) {pads=[4, 4, 4, 4]}
        output %k
      })"},
      {"fire modules and a skip connection", R"(graph "g" {
        input %x: float32[2,3,61,61]
        const %w0: float32[32,3,3,3] = random(1)
        const %w1: float32[16,32,1,1] = random(2)
        const %w2: float32[32,16,1,1] = random(3)
        const %w3: float32[32,16,3,3] = random(4)
        const %w4: float32[64,64,2,2] = random(5)
        const %w5: float32[1,96,1,1] = random(6)
        %a = Conv(%x, %w0) {strides=[2, 2], activation="relu"}
        %b = MaxPool(%a) {kernel=[2, 2], strides=[2, 2]}
        %c = Conv(%b, %w1) {activation="relu"}
        %d = Conv(%c, %w2) {activation="relu"}
        %e = Conv(%c, %w3) {pads=[1, 1, 1, 1], activation="relu"}
        %f = Concat(%d, %e) {axis=1}
        %g = ConvTranspose(%f, %w4) {strides=[2, 2]}
        %i = Concat(%g, %a) {axis=1}
        %j = Conv(%i, %w5) {activation="sigmoid"}
        output %j
      })"},
      {"an input with channels last, and normalised", R"(graph "g" {
        input %x: float32[1,64,64,8]
        const %mean: float32[1,8,1,1] = random(1)
        const %w0: float32[16,8,3,3] = random(2)
        const %w1: float32[16,16,3,3] = random(3)
        %t = Transpose(%x) {perm=[0, 3, 1, 2]}
        %n = Sub(%t, %mean)
        %a = Conv(%n, %w0) {pads=[1, 1, 1, 1]}
        %b = Conv(%a, %w1) {pads=[1, 1, 1, 1]}
        %y = Transpose(%b) {perm=[0, 2, 3, 1]}
        output %y
      })"},
  };
  for (const auto& [name, text] : nets) EXPECT_THAT(InnerCopies(text), testing::IsEmpty()) << name;
}

}  // namespace
}  // namespace sula
