#include "ops/detection.h"

#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Tensor Priors(const PriorBoxParams& p, std::vector<int64_t> feature, std::vector<int64_t> image) {
  return RunOp(op::kPriorBox, Params::Of(p), {Tensor::FromInts(feature), Tensor::FromInts(image)});
}

TEST(PriorBox, BoxesOfACellInOrder) {
  PriorBoxParams p;
  p.min_sizes = {8, 2}, p.max_sizes = {32, 8}, p.aspect_ratios = {1, 4, 0.25f, 4};
  p.variances = {0.5f};
  const Tensor y = Priors(p, {1, 1}, {64, 32});
  ASSERT_EQ(y.dims(), (Dims{1, 2, 32}));  // per size: square, square of 16 (4), 4:1, 1:4
  // Centre at (16, 32) pixels: the ends of a side s are 0.5 -+ s / 64 across, 0.5 -+ s / 128 down.
  const std::vector<std::pair<double, double>> sizes = {{8, 8}, {16, 16}, {16, 4}, {4, 16},
                                                        {2, 2}, {4, 4},   {4, 1},  {1, 4}};
  std::vector<double> expected;
  for (const auto& [w, h] : sizes)
    expected.insert(expected.end(), {.5 - w / 64, .5 - h / 128, .5 + w / 64, .5 + h / 128});
  expected.resize(64, 0.5);
  EXPECT_EQ(Values(y), expected);
}

TEST(PriorBox, CentresStepsOffsetClipAndVariances) {
  PriorBoxParams p;
  p.min_sizes = {16}, p.variances = {.125f, .25f, .5f, 1}, p.aspect_ratios = {4}, p.flip = false;
  Tensor y = Priors(p, {2, 3}, {32, 96});  // steps of 16 down and 32 across
  ASSERT_EQ(y.dims(), (Dims{1, 2, 2 * 3 * 2 * 4}));
  std::vector<double> v = Values(y);
  const auto box = [&](int64_t row, int64_t column, int64_t i) {
    const int64_t at = ((row * 3 + column) * 2 + i) * 4;
    return std::vector<double>(v.begin() + at, v.begin() + at + 4);
  };
  constexpr double kWidth = 96;
  ExpectNear(box(0, 0, 0), {8 / kWidth, 0, 24 / kWidth, .5}, kFloatRounding);
  ExpectNear(box(1, 2, 0), {72 / kWidth, .5, 88 / kWidth, 1}, kFloatRounding);
  ExpectNear(box(1, 2, 1), {64 / kWidth, .625, 96 / kWidth, .875}, kFloatRounding);
  EXPECT_EQ(std::vector<double>(v.begin() + 48, v.begin() + 56),
            (std::vector<double>{.125, .25, .5, 1, .125, .25, .5, 1}));

  p.step_h = 4, p.step_w = 8, p.offset = 0, p.clip = true;
  v = Values(Priors(p, {2, 3}, {32, 96}));
  ExpectNear(box(0, 0, 0), {0, 0, 8 / kWidth, .25}, kFloatRounding);
  ExpectNear(box(1, 2, 0), {8 / kWidth, 0, 24 / kWidth, 12.0 / 32}, kFloatRounding);
}

TEST(PriorBox, ShapesAndErrors) {
  PriorBoxParams p;
  p.min_sizes = {10, 20}, p.aspect_ratios = {2, 3}, p.variances = {.1f};
  const TensorType pair = {DType::kInt64, Shape{2}};
  EXPECT_EQ(InferText(op::kPriorBox, Params::Of(p), {pair, pair}, {Tensor::FromInts({3, 4})}),
            "float32[1,2,480]");  // 3 * 4 cells * 10 boxes * 4
  EXPECT_THAT(InferText(op::kPriorBox, Params::Of(p), {pair, pair}), HasSubstr("float32[1,2,"));
  const auto error = [&](PriorBoxParams changed, std::vector<int64_t> feature = {3, 4}) {
    const Tensor t = Tensor::FromInts(feature);
    return InferText(op::kPriorBox, Params::Of(std::move(changed)),
                     {TensorType{DType::kInt64, Shape::Of(t.dims())}, pair}, {t});
  };
  EXPECT_THAT(error(p, {0, 4}), HasSubstr("map has a size of 0"));
  EXPECT_THAT(error(p, {1, 2, 3}), HasSubstr("[3]"));
  PriorBoxParams q = p;
  q.min_sizes = {};
  EXPECT_THAT(error(q), HasSubstr("min_sizes is empty"));
  q = p, q.max_sizes = {30};
  EXPECT_THAT(error(q), HasSubstr("1 max_sizes given for 2"));
  q = p, q.aspect_ratios = {0};
  EXPECT_THAT(error(q), HasSubstr("aspect_ratios holds 0"));
  q = p, q.variances = {.1f, .2f};
  EXPECT_THAT(error(q), HasSubstr("2 variances"));
  q = p, q.step_h = -1;
  EXPECT_THAT(error(q), HasSubstr("step_h -1"));
  q = p, q.min_sizes.assign(40000, 1.0f), q.aspect_ratios.assign(40000, 2.0f);
  EXPECT_THAT(error(q), HasSubstr("more than any"));
}

// Three priors: A, B almost on A, C elsewhere.
struct Scene {
  DetectionOutputParams params;
  Tensor loc = Tensor::From<float>({1, 12}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  Tensor conf;
  Tensor prior = Tensor::From<float>(
      {1, 2, 12}, {.25f, .25f, .5f,  .5f,  .25f, .25f, .5f,  .4375f, .75f, .75f, 1,    1,  //
                   .5f,  .5f,  .25f, .25f, .5f,  .5f,  .25f, .25f,   .5f,  .5f,  .25f, .25f});
  std::vector<std::vector<double>> Rows() const {
    const Tensor y = RunOp(op::kDetectionOutput, Params::Of(params), {loc, conf, prior});
    EXPECT_EQ(y.rank(), 4);
    const std::vector<double> v = Values(y);
    std::vector<std::vector<double>> rows;
    for (size_t i = 0; i + 7 <= v.size(); i += 7)
      rows.emplace_back(v.begin() + i, v.begin() + i + 7);
    return rows;
  }
};
const std::vector<double> kA = {.25, .25, .5, .5}, kB = {.25, .25, .5, .4375},
                          kC = {.75, .75, 1, 1};
std::vector<double> Row(double image, double label, double score, const std::vector<double>& box) {
  std::vector<double> row = {image, label, score};
  row.insert(row.end(), box.begin(), box.end());
  return row;
}

Scene ThreeClasses() {
  Scene s;
  s.params.num_classes = 3;
  //                                      background, 1, 2 of each prior
  s.conf = Tensor::From<float>({1, 9}, {.9f, .5f, .25f, .9f, .75f, .125f, .9f, .625f, .125f});
  return s;
}
using Rows = std::vector<std::vector<double>>;

TEST(DetectionOutput, SuppressesPerClassBestFirst) {
  Scene s = ThreeClasses();
  s.params.nms_threshold = .5;  // A and B overlap by 3/4
  EXPECT_EQ(s.Rows(), (Rows{Row(0, 1, .75, kB), Row(0, 1, .625, kC), Row(0, 2, .25, kA),
                            Row(0, 2, .125, kC)}));
  s.params.nms_threshold = .75;  // no more than that
  EXPECT_EQ(s.Rows().size(), 6u);
  s.params.confidence_threshold = .125;  // only larger ones
  EXPECT_EQ(s.Rows(),
            (Rows{Row(0, 1, .75, kB), Row(0, 1, .625, kC), Row(0, 1, .5, kA), Row(0, 2, .25, kA)}));
  s.params.background_label = -1;
  EXPECT_EQ(s.Rows()[0], Row(0, 0, static_cast<double>(.9f), kA));
}

TEST(DetectionOutput, LimitsPerClassAndPerImage) {
  Scene s = ThreeClasses();
  s.params.nms_threshold = 1;
  s.params.top_k = 1;
  EXPECT_EQ(s.Rows(), (Rows{Row(0, 1, .75, kB), Row(0, 2, .25, kA)}));
  s.params.top_k = -1;
  s.params.keep_top_k = 4;
  EXPECT_EQ(s.Rows(),
            (Rows{Row(0, 1, .75, kB), Row(0, 1, .625, kC), Row(0, 1, .5, kA), Row(0, 2, .25, kA)}));
  // Equal scores: the lower prior first, before and after suppression.
  s.conf = Tensor::From<float>({1, 9}, {0, .5f, .5f, 0, .5f, .5f, 0, .5f, .5f});
  EXPECT_EQ(s.Rows(),
            (Rows{Row(0, 1, .5, kA), Row(0, 1, .5, kB), Row(0, 1, .5, kC), Row(0, 2, .5, kA)}));
}

TEST(DetectionOutput, ThresholdShrinks) {
  Scene s = ThreeClasses();
  s.params.nms_threshold = .75, s.params.confidence_threshold = .25;
  EXPECT_EQ(s.Rows().size(), 3u);
  s.params.eta = .875;  // 0.75, then 0.65625 < 3/4
  EXPECT_EQ(s.Rows(), (Rows{Row(0, 1, .75, kB), Row(0, 1, .625, kC)}));
  s.params.nms_threshold = .5, s.params.eta = .01f;  // no more than 0.5: stays
  s.prior =
      Tensor::From<float>({1, 2, 12}, {0,   0,   1,   1,   0,   0,   1,   .5f, 0,   0,   1,   .25f,
                                       .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f});
  EXPECT_EQ(s.Rows().size(), 3u);
}

TEST(DetectionOutput, CodesOfBoxes) {
  Scene s;
  s.params.num_classes = 1, s.params.background_label = -1;
  s.loc = Tensor::From<float>({1, 4}, {1, -1, .5f, 2});
  s.conf = Tensor::From<float>({1, 1}, {.5f});
  s.prior = Tensor::From<float>({1, 2, 4}, {.25f, .25f, .5f, .75f, .5f, .25f, .125f, .25f});
  const auto box = [&](BoxCode code, bool in_target) {
    s.params.code = code, s.params.variance_in_target = in_target;
    const std::vector<double> row = s.Rows()[0];
    return std::vector<double>(row.begin() + 3, row.end());
  };
  EXPECT_EQ(box(BoxCode::kCorner, true), (std::vector<double>{1.25, -.75, 1, 2.75}));
  EXPECT_EQ(box(BoxCode::kCorner, false), (std::vector<double>{.75, 0, .5625, 1.25}));
  EXPECT_EQ(box(BoxCode::kCornerSize, true), (std::vector<double>{.5, -.25, .625, 1.75}));
  EXPECT_EQ(box(BoxCode::kCornerSize, false), (std::vector<double>{.375, .125, .515625, 1}));
  // Sizes 1/4 and 1/2, centre (3/8, 1/2).
  double w = std::exp(.5) / 8, h = std::exp(2) / 4;
  ExpectNear(box(BoxCode::kCenterSize, true), {.625 - w, -h, .625 + w, h}, kFloatRounding);
  w = std::exp(.0625) / 8, h = std::exp(.5) / 4;
  ExpectNear(box(BoxCode::kCenterSize, false), {.5 - w, .375 - h, .5 + w, .375 + h},
             kFloatRounding);
}

TEST(DetectionOutput, LocationsPerClass) {
  Scene s;
  s.params.num_classes = 2, s.params.share_location = false, s.params.variance_in_target = true;
  // Per prior: background, then class 1.
  s.loc = Tensor::From<float>({1, 16}, {9, 9, 9, 9, .5f, .5f, .5f, .5f,  //
                                        9, 9, 9, 9, 0, 0, 0, 0});
  s.conf = Tensor::From<float>({1, 4}, {0, .5f, 0, .25f});
  s.prior = Tensor::From<float>({1, 2, 8}, {0, 0, .25f, .25f, 0, 0, .125f, .25f,  //
                                            1, 1, 1, 1, 1, 1, 1, 1});
  EXPECT_EQ(s.Rows(), (Rows{Row(0, 1, .5, {.5, .5, .75, .75}), Row(0, 1, .25, {0, 0, .125, .25})}));
}

TEST(DetectionOutput, ImagesAndNothingFound) {
  Scene s;
  s.params.num_classes = 2;
  s.loc = Tensor::From<float>({2, 4}, {0, 0, 0, 0, .25f, .25f, .25f, .25f});
  s.conf = Tensor::From<float>({2, 2}, {0, .5f, 0, .75f});
  s.prior = Tensor::From<float>({1, 2, 4}, {.25f, .25f, .5f, .5f, 1, 1, 1, 1});
  EXPECT_EQ(s.Rows(), (Rows{Row(0, 1, .5, kA), Row(1, 1, .75, {.5, .5, .75, .75})}));
  s.params.confidence_threshold = .5;
  EXPECT_EQ(s.Rows(), (Rows{Row(1, 1, .75, {.5, .5, .75, .75})}));
  s.params.confidence_threshold = 1;
  EXPECT_EQ(s.Rows(), (Rows{Row(0, -1, -1, {-1, -1, -1, -1}), Row(1, -1, -1, {-1, -1, -1, -1})}));
  s.params.confidence_threshold = 0, s.params.keep_top_k = 0;
  EXPECT_EQ(s.Rows().size(), 2u);
}

TEST(DetectionOutput, ShapesAndErrors) {
  const auto infer = [](DetectionOutputParams p, Shape loc, Shape conf, Shape prior) {
    return InferText(op::kDetectionOutput, Params::Of(p),
                     {F32(std::move(loc)), F32(std::move(conf)), F32(std::move(prior))});
  };
  DetectionOutputParams p;
  p.num_classes = 3;
  const Dim n = Sym("N");
  EXPECT_THAT(infer(p, {n, 8}, {n, 6}, {1, 2, 8}), HasSubstr("float32[1,1,"));
  EXPECT_THAT(infer(p, {n, 8}, {n, 7}, {1, 2, 8}),
              AllOf(HasSubstr("[N,7]"), HasSubstr("3 classes")));
  EXPECT_THAT(infer(p, {n, 12}, {n, 6}, {1, 2, 8}), HasSubstr("[N,12]"));
  EXPECT_THAT(infer(p, {n, 0}, {n, 0}, {1, 2, 0}), HasSubstr("[1,2,0]"));
  p.share_location = false;
  EXPECT_THAT(infer(p, {n, 24}, {n, 6}, {1, 2, 8}), HasSubstr("float32[1,1,"));
  EXPECT_THAT(infer(p, {n, 8}, {n, 6}, {1, 2, 8}), HasSubstr("classes], "));
  p.num_classes = int64_t{1} << 62;  // 2 * 2^62 would overflow
  EXPECT_THAT(infer(p, {n, 8}, {n, 6}, {1, 2, 8}), HasSubstr("4611686018427387904"));
  p.num_classes = 0;
  EXPECT_THAT(infer(p, {n, 8}, {n, 6}, {1, 2, 8}), HasSubstr("num_classes is 0"));
  p.num_classes = 3, p.eta = 0;
  EXPECT_THAT(infer(p, {n, 8}, {n, 6}, {1, 2, 8}), HasSubstr("eta is 0"));
  // A prior without area cannot be divided by.
  Scene s;
  s.params.num_classes = 1, s.params.background_label = -1, s.params.code = BoxCode::kCenterSize;
  const auto outputs =
      TryRun(op::kDetectionOutput, Params::Of(s.params),
             {Tensor::From<float>({1, 4}, {0, 0, 0, 0}), Tensor::From<float>({1, 1}, {1}),
              Tensor::From<float>({1, 2, 4}, {0, 0, 0, 1, 1, 1, 1, 1})});
  ASSERT_FALSE(outputs.has_value());
  EXPECT_THAT(outputs.error().message(), HasSubstr("0 x 1"));
}

}  // namespace
}  // namespace sula
