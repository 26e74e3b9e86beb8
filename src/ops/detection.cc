#include "ops/detection.h"

#include <algorithm>
#include <cmath>

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/numbers.h"
#include "ops/sizes.h"

namespace sula {
namespace {

constexpr TypeSet kFloat = Bit(DType::kFloat32);

// ---- PriorBox

struct BoxSize {
  double width, height;
};

Status CheckPositive(std::span<const float> values, std::string_view name) {
  for (float v : values) {
    if (!(v > 0) || !std::isfinite(v))
      return InvalidModel(name, " holds ", v, ", expected positive numbers");
  }
  return {};
}

// The boxes of one cell, in pixels.
Result<std::vector<BoxSize>> BoxesOfCell(const PriorBoxParams& p) {
  RETURN_IF_ERROR(CheckPositive(p.min_sizes, "min_sizes"));
  RETURN_IF_ERROR(CheckPositive(p.max_sizes, "max_sizes"));
  RETURN_IF_ERROR(CheckPositive(p.aspect_ratios, "aspect_ratios"));
  if (p.min_sizes.empty()) return InvalidModel("min_sizes is empty");
  if (!p.max_sizes.empty() && p.max_sizes.size() != p.min_sizes.size()) {
    return InvalidModel(p.max_sizes.size(), " max_sizes given for ", p.min_sizes.size(),
                        " min_sizes");
  }
  constexpr size_t kMaxBoxes = 1 << 16;
  if (p.aspect_ratios.size() >= kMaxBoxes / (2 * p.min_sizes.size() + 2)) {
    return InvalidModel(p.min_sizes.size(), " min_sizes and ", p.aspect_ratios.size(),
                        " aspect_ratios are more than any detector has");
  }
  std::vector<double> ratios = {1};
  for (float r : p.aspect_ratios) {
    const bool known = std::any_of(ratios.begin(), ratios.end(),
                                   [&](double other) { return std::abs(r - other) < 1e-6; });
    if (known) continue;
    ratios.push_back(r);
    if (p.flip) ratios.push_back(1 / static_cast<double>(r));
  }
  std::vector<BoxSize> boxes;
  for (size_t i = 0; i < p.min_sizes.size(); ++i) {
    const double side = p.min_sizes[i];
    boxes.push_back({side, side});
    if (!p.max_sizes.empty()) {
      const double larger = std::sqrt(side * p.max_sizes[i]);
      boxes.push_back({larger, larger});
    }
    for (size_t k = 1; k < ratios.size(); ++k)
      boxes.push_back({side * std::sqrt(ratios[k]), side / std::sqrt(ratios[k])});
  }
  return boxes;
}

Status InferPriorBox(InferContext& ctx) {
  ctx.SetOutput(0, {DType::kFloat32, std::nullopt});
  const auto& p = ctx.params<PriorBoxParams>();
  ASSIGN_OR_RETURN(const std::vector<BoxSize> boxes, BoxesOfCell(p));
  RETURN_IF_ERROR(CheckPositive(p.variances, "variances"));
  if (p.variances.size() != 1 && p.variances.size() != 4)
    return InvalidModel(p.variances.size(), " variances given, expected 1 or 4");
  if (!(p.step_h >= 0) || !(p.step_w >= 0) || !std::isfinite(p.step_h) ||
      !std::isfinite(p.step_w) || !std::isfinite(p.offset)) {
    return InvalidModel("step_h ", p.step_h, ", step_w ", p.step_w, " and offset ", p.offset,
                        " should be finite, steps not negative");
  }
  RETURN_IF_ERROR(CheckVector(ctx, 0, "feature", 2));
  RETURN_IF_ERROR(CheckVector(ctx, 1, "image", 2));
  const auto feature = KnownInts(ctx, 0);
  const auto image = KnownInts(ctx, 1);
  for (const auto* sizes : {&feature, &image}) {
    if (!*sizes) continue;
    if ((*sizes)->size() != 2)
      return InvalidModel("a list of ", (*sizes)->size(), " sizes given, expected 2");
    for (const Dim& d : **sizes) {
      if (d.is_const() && d.value() < 1)
        return InvalidModel(sizes == &feature ? "the map" : "the image", " has a size of ",
                            d.value());
    }
  }
  const Dim numbers = feature
                          ? (*feature)[0] * (*feature)[1] * (4 * static_cast<int64_t>(boxes.size()))
                          : ctx.FreshSymbol();
  ctx.SetOutput(0, {DType::kFloat32, Shape{1, 2, numbers}});
  return {};
}

Status EvaluatePriorBox(EvalContext& ctx) {
  ASSIGN_OR_RETURN(Tensor * out, ctx.InferredOutput(0));  // checks sizes and parameters
  const auto& p = ctx.params<PriorBoxParams>();
  ASSIGN_OR_RETURN(const std::vector<BoxSize> boxes, BoxesOfCell(p));
  const int64_t rows = ctx.data<int64_t>(0)[0], columns = ctx.data<int64_t>(0)[1];
  const double height = static_cast<double>(ctx.data<int64_t>(1)[0]);
  const double width = static_cast<double>(ctx.data<int64_t>(1)[1]);
  double step_h = p.step_h, step_w = p.step_w;
  if (step_h == 0 || step_w == 0) {
    step_h = height / static_cast<double>(rows);
    step_w = width / static_cast<double>(columns);
  }
  std::span<float> values = out->mutable_data<float>();
  const size_t half = values.size() / 2;
  size_t i = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const double y = (static_cast<double>(row) + p.offset) * step_h;
    for (int64_t column = 0; column < columns; ++column) {
      const double x = (static_cast<double>(column) + p.offset) * step_w;
      for (const BoxSize& box : boxes) {
        const double corners[] = {(x - box.width / 2) / width, (y - box.height / 2) / height,
                                  (x + box.width / 2) / width, (y + box.height / 2) / height};
        for (double v : corners)
          values[i++] = static_cast<float>(p.clip ? std::clamp(v, 0.0, 1.0) : v);
      }
    }
  }
  for (size_t k = 0; k < half; ++k) values[half + k] = p.variances[k % p.variances.size()];
  return {};
}

// ---- DetectionOutput

Status CheckParams(const DetectionOutputParams& p) {
  if (p.num_classes < 1)
    return InvalidModel("num_classes is ", p.num_classes, ", expected at least 1");
  if (!(p.nms_threshold >= 0))
    return InvalidModel("nms_threshold is ", p.nms_threshold, ", expected at least 0");
  if (!(p.eta > 0) || p.eta > 1)
    return InvalidModel("eta is ", p.eta, ", expected above 0, up to 1");
  return {};
}

// False only when product is known not to be a * b. (a * b itself might overflow.)
bool MayBeProduct(const Dim& product, const Dim& a, int64_t b) {
  if (!product.is_const() || !a.is_const()) return MayEqual(product, a * b);
  return product.value() % b == 0 && product.value() / b == a.value();
}

Status CheckShapes(const DetectionOutputParams& p, const Shape& loc, const Shape& conf,
                   const Shape& prior) {
  const auto fail = [&] {
    return InvalidModel(
        "loc ", loc.ToString(), ", conf ", conf.ToString(), " and prior ", prior.ToString(),
        " should be [N,4*priors", p.share_location ? "" : "*classes",
        "], [N,priors*classes] and [1,2,4*priors] with ", p.num_classes, " classes");
  };
  if (loc.rank() != 2 || conf.rank() != 2 || prior.rank() != 3) return fail();
  if (!MayEqual(loc[0], conf[0]) || !MayEqual(prior[0], 1) || !MayEqual(prior[1], 2)) return fail();
  if (prior[2].is_const() && (prior[2].value() % 4 != 0 || prior[2].value() == 0)) return fail();
  if (!MayBeProduct(conf[1], FloorDiv(prior[2], 4), p.num_classes)) return fail();
  if (!MayBeProduct(loc[1], prior[2], p.share_location ? 1 : p.num_classes)) return fail();
  return {};
}

Status InferDetectionOutput(InferContext& ctx) {
  const auto& p = ctx.params<DetectionOutputParams>();
  ctx.SetOutput(0, {DType::kFloat32, Shape{1, 1, ctx.FreshSymbol(), 7}});
  RETURN_IF_ERROR(CheckParams(p));
  ASSIGN_OR_RETURN(const Shape loc, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Shape conf, ctx.InputShape(1));
  ASSIGN_OR_RETURN(const Shape prior, ctx.InputShape(2));
  return CheckShapes(p, loc, conf, prior);
}

struct Box {
  double left, top, right, bottom;
  // Of boxes that are inside out: 0.
  double Area() const { return right < left || bottom < top ? 0 : (right - left) * (bottom - top); }
};

// Area of the intersection by that of the union.
double Overlap(const Box& a, const Box& b) {
  const double width = std::min(a.right, b.right) - std::max(a.left, b.left);
  const double height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  if (!(width > 0) || !(height > 0)) return 0;
  const double both = width * height;
  return both / (a.Area() + b.Area() - both);
}

struct Prior {
  Box box;
  double variances[4];
};

std::vector<Prior> ReadPriors(const Tensor& t, bool variance_in_target) {
  const std::span<const float> values = t.data<float>();
  const size_t half = values.size() / 2;
  std::vector<Prior> priors(half / 4);
  for (size_t i = 0; i < priors.size(); ++i) {
    const float* v = values.data() + 4 * i;
    priors[i].box = {v[0], v[1], v[2], v[3]};
    for (size_t k = 0; k < 4; ++k) priors[i].variances[k] = variance_in_target ? 1 : v[half + k];
  }
  return priors;
}

// The box that the four numbers at `code` mean.
Result<Box> Decode(BoxCode kind, const Prior& prior, const float* code) {
  const Box& box = prior.box;
  double v[4];
  for (int i = 0; i < 4; ++i) v[i] = prior.variances[i] * static_cast<double>(code[i]);
  if (kind == BoxCode::kCorner)
    return Box{box.left + v[0], box.top + v[1], box.right + v[2], box.bottom + v[3]};
  const double width = box.right - box.left, height = box.bottom - box.top;
  if (!(width > 0) || !(height > 0))
    return InvalidModel("a prior box has the sizes ", width, " x ", height);
  if (kind == BoxCode::kCornerSize) {
    return Box{box.left + v[0] * width, box.top + v[1] * height, box.right + v[2] * width,
               box.bottom + v[3] * height};
  }
  const double x = (box.left + box.right) / 2 + v[0] * width;
  const double y = (box.top + box.bottom) / 2 + v[1] * height;
  const double half_width = std::exp(v[2]) * width / 2, half_height = std::exp(v[3]) * height / 2;
  return Box{x - half_width, y - half_height, x + half_width, y + half_height};
}

struct Detection {
  int64_t label, prior;
  float score;
};

bool BetterScore(const Detection& a, const Detection& b) { return a.score > b.score; }

template <class T>
void Truncate(std::vector<T>& list, int64_t limit) {
  if (limit >= 0 && limit < static_cast<int64_t>(list.size())) list.resize(limit);
}

// The detections of one class that are kept, best first. scores[i * stride] is that of prior i.
std::vector<Detection> Select(const DetectionOutputParams& p, int64_t label,
                              std::span<const Box> boxes, const float* scores) {
  std::vector<Detection> candidates, kept;
  for (int64_t i = 0; i < static_cast<int64_t>(boxes.size()); ++i) {
    const float score = scores[i * p.num_classes];
    if (score > p.confidence_threshold) candidates.push_back({label, i, score});
  }
  std::stable_sort(candidates.begin(), candidates.end(), BetterScore);
  Truncate(candidates, p.top_k);
  double threshold = p.nms_threshold;
  for (const Detection& d : candidates) {
    const bool suppressed = std::any_of(kept.begin(), kept.end(), [&](const Detection& k) {
      return !(Overlap(boxes[d.prior], boxes[k.prior]) <= threshold);
    });
    if (suppressed) continue;
    kept.push_back(d);
    if (threshold > 0.5) threshold *= p.eta;
  }
  return kept;
}

Status EvaluateDetectionOutput(EvalContext& ctx) {
  const auto& p = ctx.params<DetectionOutputParams>();
  const Tensor &loc = ctx.input(0), &conf = ctx.input(1), &prior = ctx.input(2);
  RETURN_IF_ERROR(CheckParams(p));
  RETURN_IF_ERROR(
      CheckShapes(p, Shape::Of(loc.dims()), Shape::Of(conf.dims()), Shape::Of(prior.dims())));
  const std::vector<Prior> priors = ReadPriors(prior, p.variance_in_target);
  const int64_t batch = loc.dim(0), count = static_cast<int64_t>(priors.size());
  const int64_t codes = p.share_location ? 1 : p.num_classes;  // per prior
  std::vector<float> rows;
  for (int64_t n = 0; n < batch; ++n) {
    const float* image_loc = loc.data<float>().data() + n * count * codes * 4;
    const float* image_conf = conf.data<float>().data() + n * count * p.num_classes;
    std::vector<Detection> detections;
    std::vector<std::vector<Box>> boxes(codes);
    for (int64_t label = 0; label < p.num_classes; ++label) {
      if (label == p.background_label) continue;
      std::vector<Box>& own = boxes[p.share_location ? 0 : label];
      for (int64_t i = static_cast<int64_t>(own.size()); i < count; ++i) {
        const int64_t at = p.share_location ? i : i * codes + label;
        ASSIGN_OR_RETURN(const Box box, Decode(p.code, priors[i], image_loc + at * 4));
        own.push_back(box);
      }
      const std::vector<Detection> kept = Select(p, label, own, image_conf + label);
      detections.insert(detections.end(), kept.begin(), kept.end());
    }
    if (p.keep_top_k >= 0 && p.keep_top_k < static_cast<int64_t>(detections.size())) {
      std::stable_sort(detections.begin(), detections.end(), BetterScore);
      Truncate(detections, p.keep_top_k);
      std::stable_sort(detections.begin(), detections.end(),
                       [](const Detection& a, const Detection& b) { return a.label < b.label; });
    }
    for (const Detection& d : detections) {
      const Box& box = boxes[p.share_location ? 0 : d.label][d.prior];
      for (double v : {static_cast<double>(n), static_cast<double>(d.label),
                       static_cast<double>(d.score), box.left, box.top, box.right, box.bottom})
        rows.push_back(static_cast<float>(v));
    }
  }
  if (rows.empty()) {
    rows.assign(static_cast<size_t>(batch) * 7, -1);
    for (int64_t n = 0; n < batch; ++n) rows[n * 7] = static_cast<float>(n);
  }
  const int64_t found = static_cast<int64_t>(rows.size()) / 7;
  ASSIGN_OR_RETURN(Tensor * out, ctx.Output(0, DType::kFloat32, {1, 1, found, 7}));
  std::copy(rows.begin(), rows.end(), out->mutable_data<float>().begin());
  return {};
}

// ---- definitions

// Decoding, and comparing each score with its place in a sorted list.
Cost CostOfDetectionOutput(const Node&, std::span<const TensorType> inputs,
                           std::span<const TensorType> outputs) {
  return Traffic(inputs, outputs, 20 * Elements(inputs[0]) + 10 * Elements(inputs[1]));
}

constexpr Field kPriorFields[] = {
    MakeField<&PriorBoxParams::min_sizes>("min_sizes", "in pixels of the image"),
    MakeField<&PriorBoxParams::max_sizes>("max_sizes", "as many as min_sizes, or none"),
    MakeField<&PriorBoxParams::aspect_ratios>("aspect_ratios", "width / height"),
    MakeField<&PriorBoxParams::flip>("flip", "also 1 / each aspect ratio"),
    MakeField<&PriorBoxParams::clip>("clip", "coordinates to [0, 1]"),
    MakeField<&PriorBoxParams::variances>("variances", "1 or 4"),
    MakeField<&PriorBoxParams::step_h>("step_h", "pixels between rows; 0: image / map"),
    MakeField<&PriorBoxParams::step_w>("step_w", "pixels between columns; 0: image / map"),
    MakeField<&PriorBoxParams::offset>("offset", "of the first centre, in steps"),
};
constexpr Field kDetectionFields[] = {
    MakeField<&DetectionOutputParams::num_classes>("num_classes", "the background included"),
    MakeField<&DetectionOutputParams::share_location>("share_location",
                                                      "one box per prior for all classes"),
    MakeField<&DetectionOutputParams::background_label>("background_label",
                                                        "the class not looked at; -1: none"),
    MakeField<&DetectionOutputParams::code>("code", "what predictions say about priors"),
    MakeField<&DetectionOutputParams::variance_in_target>(
        "variance_in_target", "predictions are not multiplied by the variances"),
    MakeField<&DetectionOutputParams::confidence_threshold>("confidence_threshold",
                                                            "only larger scores count"),
    MakeField<&DetectionOutputParams::nms_threshold>("nms_threshold",
                                                     "larger overlaps are suppressed"),
    MakeField<&DetectionOutputParams::eta>("eta", "factor of the threshold per box kept"),
    MakeField<&DetectionOutputParams::top_k>("top_k", "boxes per class before; -1: all"),
    MakeField<&DetectionOutputParams::keep_top_k>("keep_top_k", "boxes per image after; -1: all"),
};

constexpr TypeSet kInt64 = Bit(DType::kInt64);
constexpr Port kPriorInputs[] = {{"feature", "[2]: height and width of the map", kInt64},
                                 {"image", "[2]: height and width of the image", kInt64}};
constexpr Port kPriorOutputs[] = {{"priors", "[1, 2, 4 * boxes]: corners, then variances", kFloat}};
constexpr Port kDetectionInputs[] = {{"loc", "[N, 4 * priors (* classes)]", kFloat},
                                     {"conf", "[N, priors * classes]", kFloat},
                                     {"prior", "[1, 2, 4 * priors]", kFloat}};
constexpr Port kDetectionOutputs[] = {
    {"detections", "[1, 1, rows, 7]: image, class, score, corners", kFloat}};

}  // namespace

namespace op {

constinit const OpDef kPriorBox = {
    .name = "PriorBox",
    .summary = "The boxes around the cells of a map to which a single-shot detector refers.",
    .inputs = kPriorInputs,
    .outputs = kPriorOutputs,
    .fields = kPriorFields,
    .default_params = DefaultParams<PriorBoxParams>,
    .build_params = BuildParams<PriorBoxParams>,
    .infer = InferPriorBox,
    .evaluate = EvaluatePriorBox,
};

constinit const OpDef kDetectionOutput = {
    .name = "DetectionOutput",
    .summary =
        "Decodes the boxes of a single-shot detector and keeps the best of each class that do not "
        "overlap a better one more than nms_threshold.",
    .inputs = kDetectionInputs,
    .outputs = kDetectionOutputs,
    .fields = kDetectionFields,
    .default_params = DefaultParams<DetectionOutputParams>,
    .build_params = BuildParams<DetectionOutputParams>,
    .infer = InferDetectionOutput,
    .evaluate = EvaluateDetectionOutput,
    .cost = CostOfDetectionOutput,
    .traits = kDataDependentShape,
};

}  // namespace op
}  // namespace sula
