#include "ops/regions.h"

#include <map>

#include "ops/random_movement.h"
#include "ops/run_op.h"

namespace sula {
namespace {

Dims DimsOf(const Graph& g, ValueId v) { return g.value(v).type.shape->Concrete(); }

// Element numbers of an output, -1 for zeros: what the boxes make of numbered inputs. Expects each
// element to be written once.
std::vector<double> Fill(const RegionList& list, const Dims& dims,
                         const std::map<int, Tensor>& sources) {
  const Dims to_strides = RowMajorStrides(dims);
  std::vector<double> y(static_cast<size_t>(NumElements(dims)));
  std::vector<int> written(y.size(), 0);
  for (const Region& region : list) {
    for (int64_t n = 0; n < region.num_elements(); ++n) {
      Dims to = region.to_begin, from = region.from_begin;
      int64_t rest = n;
      for (const RegionAxis& a : region.axes) {
        to[a.to] += rest % a.count * a.to_step;
        if (a.from >= 0) from[a.from] += rest % a.count * a.from_step;
        rest /= a.count;
      }
      int64_t at = 0;
      for (size_t i = 0; i < to.size(); ++i) {
        EXPECT_TRUE(to[i] >= 0 && to[i] < dims[i]) << region.ToString();
        at += to[i] * to_strides[i];
      }
      double element = 0;
      if (region.source != Region::kZeros) {
        const Tensor& x = sources.at(region.source);
        const Dims strides = RowMajorStrides(x.dims());
        int64_t place = 0;
        for (size_t i = 0; i < from.size(); ++i) {
          EXPECT_TRUE(from[i] >= 0 && from[i] < x.dim(static_cast<int>(i))) << region.ToString();
          place += from[i] * strides[i];
        }
        element = x.AsDouble(place);
      }
      y[at] = element;
      ++written[at];
    }
  }
  EXPECT_TRUE(std::all_of(written.begin(), written.end(), [](int n) { return n == 1; }));
  return y;
}

// The lists of a node whose inputs have known types.
Result<std::vector<RegionList>> ListsOf(const Graph& g, const Node& node) {
  std::vector<Dims> in, out;
  std::vector<const Tensor*> constants;
  for (ValueId v : node.inputs) {
    in.push_back(DimsOf(g, v));
    constants.push_back(g.Constant(v));
  }
  for (ValueId v : node.outputs) out.push_back(DimsOf(g, v));
  return RegionsOf(node, in, out, constants);
}

Tensor Numbered(const Dims& dims, float first) {
  Tensor t(DType::kFloat32, dims);
  for (float& f : t.mutable_data<float>()) f = first++;
  return t;
}

// A random graph of movement nodes with everything computed by Evaluate.
struct Chain {
  Graph graph;
  std::vector<NodeId> nodes;
  std::map<int, Tensor> tensors;  // by value

  Chain(uint32_t seed, int length) {
    RandomMovement random(seed);
    std::vector<ValueId> values;
    for (int i = 0; i < 2; ++i)
      values.push_back(graph.AddInput(
          "", {DType::kFloat32, Shape::Of(i == 0 || seed % 2 == 0 ? random.RandomDims()
                                                                  : DimsOf(graph, values[0]))}));
    for (int i = 0; i < length; ++i)
      if (NumElements(DimsOf(graph, values.back())) < 3000)
        random.AddNode(graph, values.back(), values);
    for (ValueId v : values) graph.AddOutput(v);
    nodes = graph.TopologicalOrder();
    std::vector<Tensor> inputs;
    float first = 100;
    for (ValueId v : graph.inputs()) {
      inputs.push_back(Numbered(DimsOf(graph, v), first));
      first += 10000;
    }
    auto outputs = EvaluateGraph(graph, inputs);
    EXPECT_TRUE(outputs) << outputs.error().ToString();
    for (size_t i = 0; outputs && i < graph.outputs().size(); ++i)
      tensors[graph.outputs()[i]] = (*outputs)[i];
  }

  std::vector<double> Elements(ValueId v) const {
    std::vector<double> all;
    for (int64_t i = 0; i < tensors.at(v).num_elements(); ++i)
      all.push_back(tensors.at(v).AsDouble(i));
    return all;
  }
  const Tensor& TensorOf(ValueId v) const {
    return graph.Constant(v) ? *graph.Constant(v) : tensors.at(v);
  }
};

TEST(Regions, EveryOperatorMovesWhatEvaluateDoes) {
  std::map<std::string, int> boxes, refused;
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    const Chain chain(seed, 1);
    for (NodeId id : chain.nodes) {
      const Node& node = chain.graph.node(id);
      const auto lists = ListsOf(chain.graph, node);
      if (!lists) {
        ++refused[std::string(node.op->name)];
        continue;
      }
      std::map<int, Tensor> sources;
      for (size_t i = 0; i < node.inputs.size(); ++i)
        sources[static_cast<int>(i)] = chain.TensorOf(node.inputs[i]);
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        const Dims dims = DimsOf(chain.graph, node.outputs[i]);
        ASSERT_EQ(Fill((*lists)[i], dims, sources), chain.Elements(node.outputs[i]))
            << "seed " << seed << ", " << node.op->name;
        ++boxes[std::string(node.op->name)];
      }
    }
  }
  for (const char* name : {"Transpose", "Reshape", "Slice", "Split", "Concat", "Pad", "Expand",
                           "Tile", "DepthToSpace", "SpaceToDepth", "Gather"}) {
    EXPECT_GT(boxes[name], 20) << name;
    if (name != std::string("Reshape")) {
      EXPECT_EQ(refused[name], 0) << name;
    }
  }
}

// Replaces what comes from middle values by where these come from, as long as boxes fit.
RegionList Flatten(const RegionList& list, const std::map<int, RegionList>& known, int* composed) {
  RegionList all;
  for (const Region& outer : list) {
    const auto inner = known.find(outer.source);
    if (inner == known.end()) {
      all.push_back(outer);
      continue;
    }
    RegionList parts;
    bool every = true;
    for (const Region& region : inner->second) {
      bool fits = false;
      std::optional<Region> part = Compose(outer, region, &fits);
      every &= fits;
      if (part) parts.push_back(*std::move(part));
    }
    if (every) {
      ++*composed;
      all.insert(all.end(), parts.begin(), parts.end());
    } else {
      all.push_back(outer);
    }
  }
  return all;
}

TEST(Regions, ChainsComposeToBoxesOfTheirSources) {
  int composed = 0, left = 0;
  for (uint32_t seed = 0; seed < 1500; ++seed) {
    const Chain chain(seed, 2 + static_cast<int>(seed % 5));
    std::map<int, RegionList> known;
    std::map<int, Tensor> sources;
    for (const auto& [v, t] : chain.tensors) sources[v] = t;
    for (NodeId id : chain.nodes) {
      const Node& node = chain.graph.node(id);
      auto lists = ListsOf(chain.graph, node);
      if (!lists) continue;
      for (ValueId v : node.inputs) sources[v] = chain.TensorOf(v);
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        for (Region& region : (*lists)[i])
          if (region.source != Region::kZeros) region.source = node.inputs[region.source];
        const RegionList flat = Flatten((*lists)[i], known, &composed);
        for (const Region& region : flat) left += known.contains(region.source);
        if (flat.size() > 200) continue;
        const ValueId y = node.outputs[i];
        std::string text;
        for (const Region& region : flat) text += "\n  " + region.ToString();
        ASSERT_EQ(Fill(flat, DimsOf(chain.graph, y), sources), chain.Elements(y))
            << "seed " << seed << ", " << node.op->name << text;
        known[y] = flat;
      }
    }
  }
  EXPECT_GT(composed, 5 * left) << "few chains compose: " << composed << " of " << left;
}

}  // namespace
}  // namespace sula
