// Merging transposes, with each other and with products.
#include <algorithm>

#include "ops/matmul.h"
#include "ops/movement.h"
#include "optimizer/match.h"
#include "optimizer/permute.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// A value that is Transpose(source, perm).
struct Transposed {
  ValueId source;
  Perm perm;
};
std::optional<Transposed> AsTransposed(const Graph& g, ValueId v) {
  const NodeId id = ProducedBy(g, v, op::kTranspose);
  if (id == kNoNode) return std::nullopt;
  std::optional<Perm> perm = PermOf(g, id);
  if (!perm) return std::nullopt;
  return Transposed{g.node(id).inputs[0], *std::move(perm)};
}

std::optional<Patch> MergeTransposes(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  std::optional<Perm> perm = PermOf(g, id);
  if (!perm) return std::nullopt;
  ValueId x = node.inputs[0];
  const std::optional<Transposed> inner = AsTransposed(g, x);
  if (inner) {
    const Perm all = Compose(inner->perm, *perm);
    // One that moves nothing is better than a second one that does, of a value that stays.
    if (uses.Count(x) > 1 && MovesNothing(*ShapeOf(g, x), *perm) &&
        !MovesNothing(*ShapeOf(g, inner->source), all))
      return std::nullopt;
    perm = all;
    x = inner->source;
  } else if (!IsIdentity(*perm)) {
    return std::nullopt;
  }
  Patch patch(g);
  patch.Replace(
      node.outputs[0],
      IsIdentity(*perm) ? x : patch.AddNode(op::kTranspose, TransposeBy(*perm), {x}, node.name));
  return patch;
}

// ---- into the product

std::optional<Patch> FoldIntoMatMul(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  MatMulParams params = node.As<MatMulParams>();
  std::vector<ValueId> inputs = node.inputs;
  Patch patch(g);
  bool changed = false;
  for (int i = 0; i < 2; ++i) {
    const ValueId v = node.inputs[i];
    const std::optional<Transposed> t = AsTransposed(g, v);
    const int rank = t ? static_cast<int>(t->perm.size()) : 0;
    // The flag swaps the last two axes: it can take over where rows became columns. What is left
    // of the transpose moves whole rows, or nothing.
    if (rank < 2 || t->perm[rank - 2] != rank - 1) continue;
    Perm left = t->perm;
    std::swap(left[rank - 2], left[rank - 1]);
    if (IsIdentity(left)) {
      inputs[i] = t->source;
    } else if (uses.Count(v) == 1 && node.inputs[0] != node.inputs[1]) {
      inputs[i] = patch.AddNode(op::kTranspose, TransposeBy(left), {t->source},
                                g.node(g.value(v).producer).name);
    } else {
      continue;
    }
    bool& flag = i == 0 ? params.trans_a : params.trans_b;
    flag = !flag;
    changed = true;
  }
  if (!changed) return std::nullopt;
  // Without flags an operand may be a vector, with them not.
  for (int i = 0; i < 2; ++i) {
    const Shape* shape = ShapeOf(g, node.inputs[i]);
    if (!shape || shape->rank() < 2) return std::nullopt;
  }
  patch.Replace(node.outputs[0], patch.AddNode(op::kMatMul, Params::Of(std::move(params)),
                                               std::move(inputs), node.name));
  return patch;
}

constexpr const OpDef* kTransposes[] = {&op::kTranspose};
constexpr const OpDef* kMatMuls[] = {&op::kMatMul};

}  // namespace

constinit const Rule kMergeTransposes = {
    "merge-transposes", "Transpose(Transpose(x)) -> Transpose(x), or x where they cancel",
    kTransposes, MergeTransposes};
constinit const Rule kFoldTransposeIntoMatMul = {
    "fold-transpose-into-matmul",
    "MatMul(T(a), T(b)) -> MatMul(T'(a), T'(b)) with the other flags, where T' keeps rows whole",
    kMatMuls, FoldIntoMatMul};

}  // namespace sula::rules
