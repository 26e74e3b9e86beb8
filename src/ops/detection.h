// The two layers of single-shot detectors (Liu et al., "SSD: Single Shot MultiBox Detector", 2016):
// the boxes that predictions are relative to, and the selection of what was found.
#pragma once

#include <limits>
#include <vector>

#include "ir/op_def.h"

namespace sula {

// Boxes around the centres of a map's cells. Per cell and min_sizes[i], in this order: the square
// of side min_sizes[i]; if there are max_sizes, that of side sqrt(min_sizes[i] * max_sizes[i]); for
// each aspect ratio r but 1 the box of the same area as the first with width / height = r.
struct PriorBoxParams {
  std::vector<float> min_sizes;  // in pixels of the image
  std::vector<float> max_sizes;  // as many as min_sizes, or none
  std::vector<float>
      aspect_ratios;             // those equal up to 1e-6 to an earlier one, or to 1, are dropped
  bool flip = true;              // also 1 / r for each that is not dropped, after it
  bool clip = false;             // coordinates to [0, 1]
  std::vector<float> variances;  // 1 or 4
  float step_h = 0, step_w = 0;  // pixels between centres; one of them 0: image / map
  float offset = 0.5;            // of the first centre, in steps
  friend bool operator==(const PriorBoxParams&, const PriorBoxParams&) = default;
};

// What a prediction (4 numbers) says about its prior box [xmin, ymin, xmax, ymax].
enum class BoxCode : uint8_t {
  kCorner,      // added to the prior
  kCenterSize,  // centre in units of the prior's sizes; logarithm of the ratio of sizes
  kCornerSize,  // added to the prior, in units of its sizes
};
template <>
struct EnumNames<BoxCode> {
  static constexpr std::string_view kNames[] = {"corner", "center_size", "corner_size"};
};

struct DetectionOutputParams {
  int64_t num_classes = 0;
  bool share_location = true;    // one box per prior for all classes
  int64_t background_label = 0;  // of the class that is not looked at; -1: none
  BoxCode code = BoxCode::kCorner;
  bool variance_in_target = false;  // predictions are not to be multiplied by the variances
  float confidence_threshold = std::numeric_limits<float>::lowest();  // only larger scores count
  float nms_threshold = 0.3f;  // boxes that overlap a better one more than this are dropped
  float eta = 1;       // the threshold shrinks by this after each box kept, while it is above 0.5
  int64_t top_k = -1;  // boxes per class before suppression; -1: all
  int64_t keep_top_k = -1;  // boxes per image after it; -1: all
  friend bool operator==(const DetectionOutputParams&, const DetectionOutputParams&) = default;
};

namespace op {
// feature int64 [2], image int64 [2]: heights and widths of the map and the image
// -> float32 [1, 2, 4 * height * width * boxes per cell]: corners as parts of the image's sizes,
// then the variances.
extern const OpDef kPriorBox;  // PriorBoxParams
// loc [N, 4 * priors] (or [N, 4 * priors * classes], classes faster than priors, if the location is
// not shared), conf [N, priors * classes], prior [1, 2, 4 * priors]
// -> [1, 1, rows, 7]: image, class, score, xmin, ymin, xmax, ymax, by image and class, best first
// (equal scores: lower prior first). If nothing is found: one row [i, -1, -1, ...] per image.
extern const OpDef kDetectionOutput;  // DetectionOutputParams
}  // namespace op

}  // namespace sula
