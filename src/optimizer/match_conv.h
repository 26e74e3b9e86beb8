// Convolutions with constant weights, as rules see them.
#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"
#include "ops/conv.h"

namespace sula {

bool HasNoPadding(const ConvParams& p);
// Every entry of a list of strides or dilations is 1 (or it is empty).
bool AreOnes(const std::vector<int64_t>& list);

// The numbers of an optional constant bias; zeros if it is absent, nothing if it is not constant.
std::optional<std::vector<double>> BiasOf(const Graph& g, const Node& node, int64_t channels);

// A Conv with constant weights [M,C/group,kernel...] of a foldable type, and a constant bias or
// none.
struct ConstantConv {
  const Node* node;
  const ConvParams* params;
  const Tensor* w;
  std::vector<double> bias;  // M numbers, zeros if there is none
  bool has_bias;

  int64_t outputs() const { return w->dim(0); }
  int64_t inputs_per_group() const { return w->dim(1); }
  int64_t taps() const { return w->num_elements() / (w->dim(0) * w->dim(1)); }
  bool IsPointwise() const { return taps() == 1; }
};
std::optional<ConstantConv> AsConstantConv(const Graph& g, NodeId id);

}  // namespace sula
