// The layers of single-shot detectors, as Caffe's SSD branch has them.
#include "ops/detection.h"

#include <cmath>

#include "frontends/caffe/layer_import.h"
#include "ops/shape_ops.h"

namespace sula::caffe {
namespace {

// Height and width of a map [N, C, H, W], as int64 [2].
ValueId MapSizes(LayerImport& n, ValueId v, const std::string& suffix) {
  n.CheckRank(v, 4, 4);
  if (!n.ok()) return v;
  const Shape shape = n.Sizes(v);
  if (shape[2].is_const() && shape[3].is_const())
    return n.Constant({shape[2].value(), shape[3].value()}, suffix);
  return n.Add(op::kShape, ShapeParams{.start = 2, .end = 4}, {v}, suffix);
}

void PriorBox(LayerImport& n) {
  const PriorBoxParameter& c = n.layer().prior_box_param();
  PriorBoxParams p;
  for (int i = 0; i < c.max_size_size() && i < c.min_size_size(); ++i) {
    if (!(c.max_size(i) > c.min_size(i)))
      return n.Fail(InvalidModel("max_size ", c.max_size(i), " is not greater than min_size ",
                                 c.min_size(i)));
  }
  // Caffe cuts both to integers.
  for (float v : c.min_size()) p.min_sizes.push_back(std::trunc(v));
  for (float v : c.max_size()) p.max_sizes.push_back(std::trunc(v));
  p.aspect_ratios.assign(c.aspect_ratio().begin(), c.aspect_ratio().end());
  p.flip = c.flip();
  p.clip = c.clip();
  p.variances.assign(c.variance().begin(), c.variance().end());
  if (p.variances.empty()) p.variances = {0.1f};
  p.step_h = c.has_step() ? c.step() : c.step_h();
  p.step_w = c.has_step() ? c.step() : c.step_w();
  p.offset = c.offset();
  if (c.has_step() && (c.has_step_h() || c.has_step_w()))
    return n.Fail(InvalidModel("both step and step_h or step_w are given"));

  const ValueId feature = MapSizes(n, n.Bottom(), "map_sizes");
  const bool by_axis = c.has_img_h() || c.has_img_w();
  if (by_axis && c.has_img_size())
    return n.Fail(InvalidModel("both img_size and img_h or img_w are given"));
  ValueId image;
  if (by_axis || c.has_img_size()) {
    const int64_t height = by_axis ? c.img_h() : c.img_size();
    const int64_t width = by_axis ? c.img_w() : c.img_size();
    image = n.Constant({height, width}, "image_sizes");
  } else if (n.num_bottoms() < 2) {
    return n.Fail(InvalidModel("neither an image as second bottom nor img_size is given"));
  } else {
    image = MapSizes(n, n.Bottom(1), "image_sizes");
  }
  if (n.ok()) n.Emit(op::kPriorBox, std::move(p), {feature, image});
}

BoxCode CodeOf(PriorBoxParameter::CodeType code) {
  switch (code) {
    case PriorBoxParameter::CENTER_SIZE: return BoxCode::kCenterSize;
    case PriorBoxParameter::CORNER_SIZE: return BoxCode::kCornerSize;
    case PriorBoxParameter::CORNER: break;
  }
  return BoxCode::kCorner;
}

// The leading `axes` sizes, and all others as one.
ValueId FlattenFrom(LayerImport& n, ValueId v, int axes, const std::string& suffix) {
  n.CheckRank(v, axes + 1);
  if (!n.ok() || n.Rank(v) == axes + 1) return v;
  const Shape shape = n.Sizes(v);
  std::vector<Dim> flat(shape.begin(), shape.begin() + axes);
  Dim rest = 1;
  for (int i = axes; i < shape.rank(); ++i) rest = rest * shape[i];
  flat.push_back(rest);
  return n.Reshape(v, Shape(std::move(flat)), suffix);
}

// A fourth bottom are the images, which Caffe draws the result into if asked to.
void DetectionOutput(LayerImport& n) {
  const DetectionOutputParameter& c = n.layer().detection_output_param();
  DetectionOutputParams p;
  p.num_classes = c.num_classes();
  p.share_location = c.share_location();
  p.background_label = c.background_label_id();
  p.code = CodeOf(c.code_type());
  p.variance_in_target = c.variance_encoded_in_target();
  if (c.has_confidence_threshold()) p.confidence_threshold = c.confidence_threshold();
  p.nms_threshold = c.nms_param().nms_threshold();
  p.eta = c.nms_param().eta();
  if (c.nms_param().has_top_k()) p.top_k = c.nms_param().top_k();
  p.keep_top_k = c.keep_top_k();
  const ValueId loc = FlattenFrom(n, n.Bottom(0), 1, "loc");
  const ValueId conf = FlattenFrom(n, n.Bottom(1), 1, "conf");
  const ValueId prior = FlattenFrom(n, n.Bottom(2), 2, "prior");
  if (n.ok()) n.Emit(op::kDetectionOutput, p, {loc, conf, prior});
}

constexpr LayerHandler kHandlers[] = {
    {"DetectionOutput", DetectionOutput, 3, 4},
    {"PriorBox", PriorBox, 1, 2},
};

}  // namespace

std::span<const LayerHandler> DetectionHandlers() { return kHandlers; }

}  // namespace sula::caffe
