// Attention that exporters write out in products and a softmax.
#include "ops/attention.h"

#include <numeric>

#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"
#include "optimizer/match.h"
#include "optimizer/match_arithmetic.h"
#include "optimizer/permute.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// A product of two values and nothing else, but for alpha and for the transposition of b.
const MatMulParams* AsPlainProduct(const Graph& g, ValueId v) {
  const NodeId id = ProducedBy(g, v, op::kMatMul);
  if (id == kNoNode || g.node(id).HasInput(2) || g.node(id).HasInput(3)) return nullptr;
  const auto& p = g.node(id).As<MatMulParams>();
  return p.trans_a || p.activation != ActivationKind::kNone ? nullptr : &p;
}

// Products with numbers taken off.
WithScalar WithoutFactors(const Graph& g, ValueId v) {
  WithScalar r{v, 1};
  while (const auto scaled = AsScaled(g, r.x)) r = {scaled->x, r.c * scaled->c};
  return r;
}

// scores = scale * product + mask
struct Scores {
  NodeId product = kNoNode;
  double scale = 1;
  ValueId mask = kNoValue;
};
std::optional<Scores> AsScaledProduct(const Graph& g, const UseIndex& uses, ValueId v) {
  // What a factor is taken off must be used for the scores alone, or it would be computed twice.
  Scores s;
  while (uses.Count(v) == 1) {
    if (const MatMulParams* p = AsPlainProduct(g, v)) {
      s.product = g.value(v).producer;
      s.scale *= p->alpha;
      return s;
    }
    const auto scaled = AsScaled(g, v);
    if (!scaled) break;
    s.scale *= scaled->c;
    v = scaled->x;
  }
  return std::nullopt;
}
std::optional<Scores> AsScores(const Graph& g, const UseIndex& uses, ValueId v) {
  if (std::optional<Scores> scores = AsScaledProduct(g, uses, v)) return scores;
  const auto sum = uses.Count(v) == 1 ? OperandsOf(g, v, op::kAdd) : std::nullopt;
  if (!sum) return std::nullopt;
  for (const auto& [x, mask] : {std::pair(sum->a, sum->b), std::pair(sum->b, sum->a)}) {
    if (!SameShape(g, x, v)) continue;
    std::optional<Scores> scores = AsScaledProduct(g, uses, x);
    if (!scores) continue;
    scores->mask = mask;
    return scores;
  }
  return std::nullopt;
}

// ---- operands as [batch, heads, positions, size]: those of rank 3 get a batch of 1

ValueId WithBatch(Patch& patch, ValueId v, const std::string& name) {
  const ValueId axes = patch.AddConstant(name + "/axes", Tensor::FromInts({0}));
  return patch.AddNode(op::kUnsqueeze, op::kUnsqueeze.default_params(), {v, axes}, name);
}

ValueId Transposed(Patch& patch, ValueId v, int rank, const std::string& name) {
  Perm perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[rank - 2], perm[rank - 1]);
  return patch.AddNode(op::kTranspose, TransposeBy(perm), {v}, name);
}

// The heads of a, of b and of the product's result are the same ones.
bool SameHeads(const Shape& a, const Shape& b) {
  if (a.rank() != b.rank()) return false;
  for (int i = 0; i + 2 < a.rank(); ++i)
    if (a[i] != b[i]) return false;
  return true;
}

std::optional<Patch> RecogniseAttention(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const ValueId y = node.outputs[0];
  const MatMulParams* with_values = AsPlainProduct(g, y);
  if (!with_values || with_values->alpha != 1 || !IsFoldableFloat(g.value(y).type.dtype))
    return std::nullopt;
  const ValueId weights = node.inputs[0], v = node.inputs[1];
  const NodeId softmax = ProducedBy(g, weights, op::kSoftmax);
  const Shape *weight_shape = ShapeOf(g, weights), *v_shape = ShapeOf(g, v);
  if (softmax == kNoNode || uses.Count(weights) != 1 || !weight_shape || !v_shape)
    return std::nullopt;
  const int rank = weight_shape->rank();
  const int64_t axis = g.node(softmax).As<SoftmaxParams>().axis;
  if ((rank != 3 && rank != 4) || (axis != -1 && axis != rank - 1) ||
      !SameHeads(*weight_shape, *v_shape))
    return std::nullopt;
  std::optional<Scores> scores = AsScores(g, uses, g.node(softmax).inputs[0]);
  if (!scores) return std::nullopt;
  const Node& product = g.node(scores->product);
  const WithScalar q = WithoutFactors(g, product.inputs[0]);
  WithScalar k = WithoutFactors(g, product.inputs[1]);
  const Shape *q_shape = ShapeOf(g, q.x), *k_shape = ShapeOf(g, k.x);
  if (!q_shape || !k_shape || !SameHeads(*q_shape, *weight_shape) ||
      !SameHeads(*k_shape, *weight_shape))
    return std::nullopt;

  Patch patch(g);
  ValueId keys = k.x, values = v;
  if (!product.As<MatMulParams>().trans_b) keys = Transposed(patch, keys, rank, node.name + "/k");
  if (with_values->trans_b) values = Transposed(patch, values, rank, node.name + "/v");
  std::vector<ValueId> inputs = {q.x, keys, values};
  if (scores->mask != kNoValue) {
    if (!ShapeOf(g, scores->mask)) return std::nullopt;
    inputs.push_back(scores->mask);
  }
  const Params params =
      Params::Of(AttentionParams{.scale = static_cast<float>(scores->scale * q.c * k.c)});
  if (rank == 4) {
    patch.Replace(y, patch.AddNode(op::kAttention, params, std::move(inputs), node.name));
    return patch;
  }
  constexpr std::string_view kNames[] = {"/q4", "/k4", "/v4", "/mask4"};
  for (size_t i = 0; i < inputs.size(); ++i)
    if (i < 3 || ShapeOf(g, inputs[i])->rank() == 3)
      inputs[i] = WithBatch(patch, inputs[i], StrCat(node.name, kNames[i]));
  const ValueId heads =
      patch.AddNode(op::kAttention, params, std::move(inputs), node.name + "/heads");
  const ValueId axes = patch.AddConstant(node.name + "/axes", Tensor::FromInts({0}));
  patch.Replace(
      y, patch.AddNode(op::kSqueeze, op::kSqueeze.default_params(), {heads, axes}, node.name));
  return patch;
}

std::optional<Patch> FoldTransposeIntoAttention(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const NodeId attention = ProducedBy(g, node.inputs[0], op::kAttention);
  if (attention == kNoNode || uses.Count(node.inputs[0]) != 1 || PermOf(g, id) != Perm{0, 2, 1, 3})
    return std::nullopt;
  auto params = g.node(attention).As<AttentionParams>();
  params.heads_inside = !params.heads_inside;
  Patch patch(g);
  patch.Replace(node.outputs[0], patch.AddNode(op::kAttention, Params::Of(params),
                                               g.node(attention).inputs, g.node(attention).name));
  return patch;
}

constexpr const OpDef* kMatMuls[] = {&op::kMatMul};
constexpr const OpDef* kTransposes[] = {&op::kTranspose};

}  // namespace

constinit const Rule kRecogniseAttention = {
    "recognise-attention",
    "MatMul(Softmax(c * MatMul(q, T(k)) + mask), v) -> Attention(q, k, v, mask)", kMatMuls,
    RecogniseAttention};
constinit const Rule kFoldTransposeIntoAttention = {
    "fold-transpose-into-attention",
    "Transpose(Attention(q, k, v)) {perm=[0,2,1,3]} -> Attention(q, k, v) {heads_inside=true}",
    kTransposes, FoldTransposeIntoAttention};

}  // namespace sula::rules
