#include "optimizer/match_conv.h"

#include <algorithm>

#include "optimizer/match.h"

namespace sula {

bool HasNoPadding(const ConvParams& p) {
  return p.auto_pad == AutoPad::kValid ||
         (p.auto_pad == AutoPad::kExplicit &&
          std::ranges::all_of(p.pads, [](int64_t pad) { return pad == 0; }));
}

bool AreOnes(const std::vector<int64_t>& list) {
  return std::ranges::all_of(list, [](int64_t v) { return v == 1; });
}

std::optional<std::vector<double>> BiasOf(const Graph& g, const Node& node, int64_t channels) {
  std::vector<double> bias(channels, 0);
  if (!node.HasInput(2)) return bias;
  const Tensor* t = ConstantInput(g, node, 2);
  if (!t || t->num_elements() != channels) return std::nullopt;
  for (int64_t c = 0; c < channels; ++c) bias[c] = t->AsDouble(c);
  return bias;
}

std::optional<ConstantConv> AsConstantConv(const Graph& g, NodeId id) {
  if (id == kNoNode || !g.node(id).Is(op::kConv)) return std::nullopt;
  const Node& node = g.node(id);
  const Tensor* w = ConstantInput(g, node, 1);
  if (!w || w->rank() < 3 || w->num_elements() == 0 || !IsFoldableFloat(w->dtype()))
    return std::nullopt;
  const auto& params = node.As<ConvParams>();
  if (params.group < 1 || w->dim(0) % params.group != 0) return std::nullopt;
  std::optional<std::vector<double>> bias = BiasOf(g, node, w->dim(0));
  if (!bias) return std::nullopt;
  return ConstantConv{&node, &params, w, *std::move(bias), node.HasInput(2)};
}

}  // namespace sula
