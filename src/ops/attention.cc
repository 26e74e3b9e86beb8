#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/numbers.h"

namespace sula {
namespace {

constexpr int kQ = 0, kK = 1, kV = 2, kMask = 3;

Result<Shape> HeadsOf(const InferContext& ctx, int i, std::string_view name) {
  ASSIGN_OR_RETURN(Shape shape, ctx.InputShape(i));
  if (shape.rank() != 4)
    return InvalidModel(name, " has shape ", shape.ToString(),
                        ", expected [batch, heads, positions, size]");
  return shape;
}

// The mask lines up with the last axes of the scores and may not widen them.
Status CheckMask(const InferContext& ctx, const Shape& scores) {
  if (!ctx.HasInput(kMask) || !ctx.input(kMask).shape) return {};
  const Shape& mask = *ctx.input(kMask).shape;
  bool fits = mask.rank() <= scores.rank();
  for (int i = 0; fits && i < mask.rank(); ++i) {
    const Dim& size = mask[i];
    fits = size == Dim(1) || MayEqual(size, scores[scores.rank() - mask.rank() + i]);
  }
  if (fits) return {};
  return InvalidModel("mask has shape ", mask.ToString(),
                      " and does not broadcast to the scores' shape ", scores.ToString());
}

Status Infer(InferContext& ctx) {
  RETURN_IF_ERROR(CheckSameType(ctx, {kQ, kK, kV, kMask}));
  ASSIGN_OR_RETURN(const Shape q, HeadsOf(ctx, kQ, "q"));
  ASSIGN_OR_RETURN(const Shape k, HeadsOf(ctx, kK, "k"));
  ASSIGN_OR_RETURN(const Shape v, HeadsOf(ctx, kV, "v"));
  const bool fit = MayEqual(q[0], k[0]) && MayEqual(k[0], v[0]) && MayEqual(k[1], v[1]) &&
                   MayEqual(k[2], v[2]) && MayEqual(q[3], k[3]);
  if (!fit)
    return InvalidModel("q, k and v have shapes ", q.ToString(), ", ", k.ToString(), " and ",
                        v.ToString(), ", which don't fit");
  const auto heads = q[1].TryValue(), kv_heads = k[1].TryValue();
  if (heads && kv_heads && (*kv_heads == 0 ? *heads != 0 : *heads % *kv_heads != 0))
    return InvalidModel("the number of heads of q, ", *heads, ", is no multiple of that of k, ",
                        *kv_heads);
  RETURN_IF_ERROR(CheckMask(ctx, Shape({q[0], q[1], q[2], k[2]})));
  const Shape y = ctx.params<AttentionParams>().heads_inside ? Shape({q[0], q[2], q[1], v[3]})
                                                             : Shape({q[0], q[1], q[2], v[3]});
  ctx.SetOutput(0, {ctx.InputType(kQ), y});
  return {};
}

// Replaces scores by weights that sum to 1, or by zeros if all are -infinity.
void Softmax(std::vector<double>& scores) {
  const double lowest = -std::numeric_limits<double>::infinity();
  double max = lowest, sum = 0;
  for (double s : scores) max = std::isnan(s) ? s : std::max(max, s);
  if (max == lowest) return std::fill(scores.begin(), scores.end(), 0.0);
  for (double& s : scores) sum += s = std::exp(s - max);
  for (double& s : scores) s /= sum;
}

// Element strides of the mask along the axes of the scores, 0 where broadcast.
Dims MaskStrides(const Tensor& mask, int rank) {
  const Dims own = RowMajorStrides(mask.dims());
  Dims strides(rank, 0);
  for (int i = 0; i < mask.rank(); ++i)
    if (mask.dim(i) != 1) strides[rank - mask.rank() + i] = own[i];
  return strides;
}

Status Evaluate(EvalContext& ctx) {
  const auto& p = ctx.params<AttentionParams>();
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));  // refuses shapes that don't fit
  if (y->num_elements() == 0) return {};
  const AttentionGeometry g =
      ResolveAttention(ctx.input(kQ).dims(), ctx.input(kK).dims(), ctx.input(kV).dims());
  const std::vector<double> q = LoadAs<double>(ctx.input(kQ)), k = LoadAs<double>(ctx.input(kK)),
                            v = LoadAs<double>(ctx.input(kV));
  std::vector<double> mask;
  Dims mask_strides;
  if (ctx.HasInput(kMask)) {
    mask = LoadAs<double>(ctx.input(kMask));
    mask_strides = MaskStrides(ctx.input(kMask), 4);
  }
  std::vector<double> scores, sums(g.value_size);
  for (int64_t b = 0; b < g.batch; ++b) {
    for (int64_t h = 0; h < g.heads; ++h) {
      const int64_t kv = b * g.kv_heads + h / (g.heads / g.kv_heads);
      for (int64_t i = 0; i < g.queries; ++i) {
        scores.resize(g.VisibleKeys(p.causality, i));
        const double* query = q.data() + ((b * g.heads + h) * g.queries + i) * g.size;
        for (int64_t j = 0; j < std::ssize(scores); ++j) {
          const double* key = k.data() + (kv * g.keys + j) * g.size;
          double score = 0;
          for (int64_t d = 0; d < g.size; ++d) score += query[d] * key[d];
          score *= p.scale;
          if (p.softcap > 0) score = p.softcap * std::tanh(score / p.softcap);
          if (!mask.empty())
            score += mask[b * mask_strides[0] + h * mask_strides[1] + i * mask_strides[2] +
                          j * mask_strides[3]];
          scores[j] = score;
        }
        Softmax(scores);
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int64_t j = 0; j < std::ssize(scores); ++j) {
          const double* value = v.data() + (kv * g.keys + j) * g.value_size;
          for (int64_t d = 0; d < g.value_size; ++d) sums[d] += scores[j] * value[d];
        }
        const int64_t row =
            p.heads_inside ? (b * g.queries + i) * g.heads + h : (b * g.heads + h) * g.queries + i;
        StoreAs<double>(sums, *y, row * g.value_size);
      }
    }
  }
  return {};
}

// Two products and a softmax, whose exponential counts as 10 operations.
Cost CostOfAttention(const Node&, std::span<const TensorType> inputs,
                     std::span<const TensorType> outputs) {
  double scores = 0, sizes = 0;
  if (inputs[kQ].shape && inputs[kK].shape && inputs[kV].shape) {
    const auto known = [](const Dim& d) { return static_cast<double>(d.TryValue().value_or(0)); };
    const Shape &q = *inputs[kQ].shape, &k = *inputs[kK].shape, &v = *inputs[kV].shape;
    scores = known(q[0]) * known(q[1]) * known(q[2]) * known(k[2]);
    sizes = known(q[3]) + known(v[3]);
  }
  return Traffic(inputs, outputs, scores * (2 * sizes + 14));
}

constexpr Field kFields[] = {
    MakeField<&AttentionParams::scale>("scale", "factor of the products of queries and keys"),
    MakeField<&AttentionParams::softcap>("softcap",
                                         "c: scores s become c * tanh(s / c); 0: they don't"),
    MakeField<&AttentionParams::causality>(
        "causality", "top_left: query i sees keys up to i; bottom_right: up to i + keys - queries"),
    MakeField<&AttentionParams::heads_inside>("heads_inside",
                                              "the result is [batch, queries, heads, value_size]"),
};
constexpr Port kInputs[] = {
    {"q", "[batch, heads, queries, size]", kFloats},
    {"k", "[batch, kv_heads, keys, size]; heads is a multiple of kv_heads", kFloats},
    {"v", "[batch, kv_heads, keys, value_size]", kFloats},
    {"mask", "broadcasts to [batch, heads, queries, keys], added to the scores", kFloats,
     Arity::kOptional},
};
constexpr Port kOutputs[] = {{"y", "[batch, heads, queries, value_size]", kFloats}};

}  // namespace

int64_t AttentionGeometry::VisibleKeys(Causality causality, int64_t i) const {
  if (causality == Causality::kNone) return keys;
  const int64_t offset = causality == Causality::kBottomRight ? keys - queries : 0;
  return std::clamp<int64_t>(i + offset + 1, 0, keys);
}

AttentionGeometry ResolveAttention(const Dims& q, const Dims& k, const Dims& v) {
  return {.batch = q[0],
          .heads = q[1],
          .kv_heads = k[1],
          .queries = q[2],
          .keys = k[2],
          .size = q[3],
          .value_size = v[3]};
}

namespace op {

// Vaswani et al., "Attention is all you need" (2017), 3.2; grouped heads: Ainslie et al., "GQA"
// (2023). Fields and edge cases as ONNX's Attention has them (opset 24).
constinit const OpDef kAttention = {
    .name = "Attention",
    .summary =
        "Attention of several heads: y = softmax(cap(scale * q k^T) + mask) v; a query "
        "without a key to attend to gives zeros.",
    .inputs = kInputs,
    .outputs = kOutputs,
    .fields = kFields,
    .default_params = DefaultParams<AttentionParams>,
    .build_params = BuildParams<AttentionParams>,
    .infer = Infer,
    .evaluate = Evaluate,
    .cost = CostOfAttention,
};

}  // namespace op
}  // namespace sula
