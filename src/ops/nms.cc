// NonMaxSuppression: the best boxes of each class that do not overlap a better one too much.
#include <algorithm>

#include "ops/checks.h"
#include "ops/gather.h"
#include "ops/sizes.h"
#include "tensor/shape.h"

namespace sula {
namespace {

constexpr TypeSet kFloat = Bit(DType::kFloat32);
constexpr TypeSet kInt64 = Bit(DType::kInt64);

constexpr Port kInputs[] = {
    {"boxes", "[batch, n, 4]", kFloat},
    {"scores", "[batch, classes, n]", kFloat},
    {"max_per_class", "one element; absent or 0: nothing is selected", kInt64, Arity::kOptional},
    {"iou_threshold", "one element: larger overlaps are suppressed; absent: 0", kFloat,
     Arity::kOptional},
    {"score_threshold", "one element: only larger scores count; absent: all", kFloat,
     Arity::kOptional}};
constexpr Port kOutputs[] = {{"selected", "[selected, 3]: batch, class, box", kInt64}};

constexpr Field kFields[] = {MakeField<&NonMaxSuppressionParams::center_point_box>(
    "center_point_box",
    "boxes are [center x, center y, width, height], not two corners [y,x,y,x]")};

Status CheckInputs(const Shape& boxes, const Shape& scores) {
  const bool fit = boxes.rank() == 3 && scores.rank() == 3 && MayEqual(boxes[2], 4) &&
                   MayEqual(boxes[0], scores[0]) && MayEqual(boxes[1], scores[2]);
  if (fit) return {};
  return InvalidModel("boxes ", boxes.ToString(), " and scores ", scores.ToString(),
                      " should be [batch,n,4] and [batch,classes,n]");
}

Status InferNms(InferContext& ctx) {
  ctx.SetOutput(0, {DType::kInt64, Shape{ctx.FreshSymbol(), 3}});
  for (int i = 2; i < 5; ++i) RETURN_IF_ERROR(CheckOneElement(ctx, i, kInputs[i].name));
  ASSIGN_OR_RETURN(const Shape boxes, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Shape scores, ctx.InputShape(1));
  return CheckInputs(boxes, scores);
}

struct Box {
  double top, left, bottom, right;
  double Area() const { return (bottom - top) * (right - left); }
};

Box ReadBox(const float* p, bool center) {
  const double a = p[0], b = p[1], c = p[2], d = p[3];
  if (center) return {b - d / 2, a - c / 2, b + d / 2, a + c / 2};
  return {std::min(a, c), std::min(b, d), std::max(a, c), std::max(b, d)};
}

// Area of the intersection by that of the union; 0 for boxes without area.
double Overlap(const Box& a, const Box& b) {
  const double height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  const double width = std::min(a.right, b.right) - std::max(a.left, b.left);
  if (!(height > 0) || !(width > 0)) return 0;
  const double both = height * width;
  return both / (a.Area() + b.Area() - both);
}

// The boxes of one class that are kept, best first; of equal scores the first.
std::vector<int64_t> Select(std::span<const Box> boxes, const float* scores, int64_t max,
                            double iou_threshold, std::optional<float> score_threshold) {
  std::vector<int64_t> order;
  for (int64_t i = 0; i < static_cast<int64_t>(boxes.size()); ++i)
    if (!score_threshold || scores[i] > *score_threshold) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return scores[a] > scores[b] || (scores[b] != scores[b] && scores[a] == scores[a]);
  });
  std::vector<int64_t> kept;
  for (int64_t i : order) {
    if (static_cast<int64_t>(kept.size()) >= max) break;
    const bool suppressed = std::any_of(kept.begin(), kept.end(), [&](int64_t k) {
      return Overlap(boxes[k], boxes[i]) > iou_threshold;
    });
    if (!suppressed) kept.push_back(i);
  }
  return kept;
}

Status EvaluateNms(EvalContext& ctx) {
  const Tensor& boxes = ctx.input(0);
  const Tensor& scores = ctx.input(1);
  RETURN_IF_ERROR(CheckInputs(Shape::Of(boxes.dims()), Shape::Of(scores.dims())));
  for (int i = 2; i < 5; ++i) {
    if (ctx.HasInput(i) && ctx.input(i).num_elements() != 1) {
      return InvalidModel(kInputs[i].name, " should have one element, has sizes ",
                          ToString(ctx.input(i).dims()));
    }
  }
  const int64_t max = ctx.HasInput(2) ? ctx.input(2).AsInt(0) : 0;
  const double iou_threshold = ctx.HasInput(3) ? ctx.input(3).AsDouble(0) : 0;
  std::optional<float> score_threshold;
  if (ctx.HasInput(4)) score_threshold = ctx.data<float>(4)[0];
  const bool center = ctx.params<NonMaxSuppressionParams>().center_point_box;
  const int64_t batch = scores.dim(0), classes = scores.dim(1), n = scores.dim(2);
  std::vector<int64_t> selected;
  std::vector<Box> batch_boxes(n);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t i = 0; i < n; ++i)
      batch_boxes[i] = ReadBox(ctx.data<float>(0).data() + (b * n + i) * 4, center);
    for (int64_t c = 0; c < classes; ++c) {
      const float* class_scores = ctx.data<float>(1).data() + (b * classes + c) * n;
      for (int64_t i : Select(batch_boxes, class_scores, max, iou_threshold, score_threshold))
        selected.insert(selected.end(), {b, c, i});
    }
  }
  ASSIGN_OR_RETURN(Tensor * y,
                   ctx.Output(0, DType::kInt64, {static_cast<int64_t>(selected.size()) / 3, 3}));
  std::copy(selected.begin(), selected.end(), y->mutable_data<int64_t>().begin());
  return {};
}

}  // namespace

namespace op {

constinit const OpDef kNonMaxSuppression = {
    .name = "NonMaxSuppression",
    .summary =
        "The boxes of each class, best first, without those that overlap a better one more "
        "than iou_threshold",
    .inputs = kInputs,
    .outputs = kOutputs,
    .fields = kFields,
    .default_params = DefaultParams<NonMaxSuppressionParams>,
    .build_params = BuildParams<NonMaxSuppressionParams>,
    .infer = InferNms,
    .evaluate = EvaluateNms,
    .traits = kDataDependentShape};

}  // namespace op
}  // namespace sula
