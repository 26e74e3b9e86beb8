// Random nodes that only move elements, with parameters of all kinds: borders, steps, repeats.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "ops/catalogue.h"
#include "ops/gather.h"
#include "ops/movement.h"
#include "ops/shape_ops.h"

namespace sula {

class RandomMovement {
 public:
  explicit RandomMovement(uint32_t seed) : random_(seed) {}

  int64_t Pick(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  bool Chance(int64_t n) { return Pick(n) == 0; }

  Dims RandomDims() {
    Dims dims;
    for (int64_t i = Pick(5); i >= 0; --i) dims.push_back(1 + Pick(6));
    return dims;
  }

  // Adds one node that reads `x` (and may read others of `values` too) and adds its outputs to
  // values. May add none where x does not suit the operator that came up.
  void AddNode(Graph& graph, ValueId x, std::vector<ValueId>& values) {
    const Dims d = DimsOf(graph, x);
    const int64_t rank = static_cast<int64_t>(d.size());
    if (NumElements(d) == 0) return;
    switch (Pick(11)) {
      case 0: {
        std::vector<int64_t> perm(d.size());
        std::iota(perm.begin(), perm.end(), 0);
        std::shuffle(perm.begin(), perm.end(), random_);
        return Add(graph, op::kTranspose, Params::Of(TransposeParams{perm}), {x}, values);
      }
      case 1: return AddReshape(graph, x, values);
      case 2: {
        std::vector<int64_t> starts, ends, axes, steps;
        for (int64_t axis = 0; axis < rank; ++axis) {
          if (Chance(2)) continue;
          axes.push_back(Chance(2) ? axis : axis - rank);
          const int64_t low = Pick(d[axis]), high = low + Pick(d[axis] - low);
          const bool back = Chance(3);
          steps.push_back(Chance(2) ? (back ? -1 : 1) : (back ? -2 : 1 + Pick(3)));
          starts.push_back(back ? high : low);
          ends.push_back(back ? low - 1 - d[axis] : high + 1);
        }
        return Add(
            graph, op::kSlice, Params::Of(NoParams{}),
            {x, Ints(graph, starts), Ints(graph, ends), Ints(graph, axes), Ints(graph, steps)},
            values);
      }
      case 3: {
        if (rank == 0) return;
        const int64_t axis = Pick(rank);
        std::vector<int64_t> sizes;
        for (int64_t left = d[axis]; left > 0; left -= sizes.back())
          sizes.push_back(sizes.size() == 2 ? left : 1 + Pick(left));
        const int parts = static_cast<int>(sizes.size());
        return Add(graph, op::kSplit, Params::Of(SplitParams{axis, 0}), {x, Ints(graph, sizes)},
                   values, parts);
      }
      case 4: {
        if (rank == 0) return;
        const int64_t axis = Pick(rank);
        std::vector<ValueId> inputs = {x};
        for (int i = 0; i < 8 && inputs.size() < 3; ++i) {
          const ValueId y = values[Pick(static_cast<int64_t>(values.size()))];
          Dims other = DimsOf(graph, y);
          if (other.size() != d.size()) continue;
          other[axis] = d[axis];
          if (other == d) inputs.insert(Chance(2) ? inputs.begin() : inputs.end(), y);
        }
        if (inputs.size() == 1 && Chance(2)) inputs.push_back(x);
        return Add(graph, op::kConcat, Params::Of(ConcatParams{axis}), inputs, values);
      }
      case 5: {
        constexpr PadMode kModes[] = {PadMode::kConstant, PadMode::kConstant, PadMode::kReflect,
                                      PadMode::kEdge, PadMode::kWrap};
        const PadMode mode = kModes[Pick(5)];
        std::vector<int64_t> pads(2 * d.size(), 0);
        for (size_t axis = 0; axis < d.size(); ++axis) {
          if (Chance(2)) continue;
          pads[axis] = Pick(4) - (d[axis] > 3 ? 1 : 0);
          pads[axis + d.size()] = Pick(4) - (d[axis] > 3 ? 1 : 0);
        }
        std::vector<ValueId> inputs = {x, Ints(graph, pads)};
        if (Chance(2)) {
          Tensor fill(DType::kFloat32, {});
          fill.mutable_data<float>()[0] = 5;
          inputs.push_back(graph.AddConstant("", std::move(fill)));
        }
        return Add(graph, op::kPad, Params::Of(PadParams{mode}), inputs, values);
      }
      case 6: {
        Dims shape = d;
        for (int64_t& s : shape)
          if (s == 1 && Chance(2)) s = 1 + Pick(3);
        if (Chance(2) && shape.size() < 5) shape.insert(shape.begin(), 1 + Pick(3));
        return Add(graph, op::kExpand, Params::Of(NoParams{}), {x, Ints(graph, shape)}, values);
      }
      case 7: {
        std::vector<int64_t> repeats;
        for (int64_t i = 0; i < rank; ++i) repeats.push_back(Chance(2) ? 1 : 1 + Pick(3));
        return Add(graph, op::kTile, Params::Of(NoParams{}), {x, Ints(graph, repeats)}, values);
      }
      case 8:
      case 9: return AddBlocks(graph, x, values);
      default: {
        if (rank == 0) return;
        const int64_t axis = Pick(rank), begin = Pick(d[axis]);
        std::vector<int64_t> indices;
        const bool even = Chance(2);
        for (int64_t i = Pick(5); i >= 0; --i)
          indices.push_back(even ? std::min(begin + i, d[axis] - 1) : Pick(d[axis]) - d[axis]);
        Tensor t = Tensor::FromInts(indices);
        const Dims shapes[] = {{static_cast<int64_t>(indices.size())},
                               {1, static_cast<int64_t>(indices.size())}};
        const ValueId at = Chance(4) ? graph.AddConstant("", Tensor::Scalar<int64_t>(begin))
                                     : graph.AddConstant("", t.Reshaped(shapes[Pick(2)]));
        return Add(graph, op::kGather, Params::Of(AxisParams{axis}), {x, at}, values);
      }
    }
  }

 private:
  static Dims DimsOf(const Graph& graph, ValueId v) {
    return graph.value(v).type.shape->Concrete();
  }
  static ValueId Ints(Graph& graph, const std::vector<int64_t>& v) {
    return graph.AddConstant("", Tensor::FromInts(v));
  }
  static void Add(Graph& graph, const OpDef& op, Params params, std::vector<ValueId> inputs,
                  std::vector<ValueId>& values, int outputs = 1) {
    const NodeId id = graph.AddNode(op, std::move(params), std::move(inputs), outputs);
    const Status status = InferShapes(graph);
    ASSERT_TRUE(status.ok()) << status.ToString();
    for (ValueId v : graph.node(id).outputs) values.push_back(v);
  }

  // Axes cut and joined, mostly so that they stay boxes.
  void AddReshape(Graph& graph, ValueId x, std::vector<ValueId>& values) {
    Dims d = DimsOf(graph, x);
    for (int64_t n = 1 + Pick(3); n > 0; --n) {
      const size_t at = static_cast<size_t>(Pick(static_cast<int64_t>(d.size()) + 1));
      if (Chance(2) && at + 1 < d.size()) {
        d[at] *= d[at + 1];
        d.erase(d.begin() + static_cast<int64_t>(at) + 1);
      } else if (at < d.size() && d.size() < 6) {
        const int64_t by = 2 + Pick(2);
        if (d[at] % by != 0) continue;
        d[at] /= by;
        d.insert(d.begin() + static_cast<int64_t>(at) + Pick(2), by);
      } else if (d.size() < 6) {
        d.insert(d.begin() + static_cast<int64_t>(at), 1);
      }
    }
    Add(graph, op::kReshape, Params::Of(ReshapeParams{}), {x, Ints(graph, d)}, values);
  }

  void AddBlocks(Graph& graph, ValueId x, std::vector<ValueId>& values) {
    const Dims d = DimsOf(graph, x);
    if (d.size() != 4) return;
    const int64_t b = 2;
    const Params params = Params::Of(BlockParams{b, Chance(2)});
    if (d[1] % (b * b) == 0) {
      Add(graph, op::kDepthToSpace, params, {x}, values);
    } else if (d[2] % b == 0 && d[3] % b == 0) {
      Add(graph, op::kSpaceToDepth, params, {x}, values);
    }
  }

  std::mt19937 random_;
};

}  // namespace sula
