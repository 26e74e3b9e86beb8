#include "ops/resize.h"

#include <limits>

#include "ops/run_op.h"

namespace sula {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr double kTiny = 1e-14;

Tensor Floats(std::initializer_list<float> v) {
  return Tensor::From<float>({static_cast<int64_t>(v.size())}, v);
}
Tensor Doubles(std::initializer_list<double> v) {
  return Tensor::From<double>({static_cast<int64_t>(v.size())}, v);
}

std::vector<double> ByScale(const ResizeParams& p, const Tensor& x, std::vector<float> scales) {
  return Values(RunOp(op::kResize, Params::Of(p),
                      {x, std::nullopt,
                       Tensor::From<float>({static_cast<int64_t>(scales.size())},
                                           std::span<const float>(scales))}));
}
std::vector<double> BySize(const ResizeParams& p, const Tensor& x, std::vector<int64_t> sizes) {
  return Values(
      RunOp(op::kResize, Params::Of(p), {x, std::nullopt, std::nullopt, Tensor::FromInts(sizes)}));
}

ResizeParams Make(ResizeMode mode, CoordinateMode coordinate = CoordinateMode::kHalfPixel) {
  ResizeParams p;
  p.mode = mode, p.coordinate = coordinate;
  return p;
}

TEST(Resize, LinearCoordinatesByHand) {
  // The input is its own coordinate, so a result shows where it was sampled (cut to [0, 3]).
  const Tensor x = Doubles({0, 1, 2, 3});
  using C = CoordinateMode;
  const auto at = [&](C c, std::vector<int64_t> sizes) {
    return BySize(Make(ResizeMode::kLinear, c), x, sizes);
  };
  ExpectNear(at(C::kHalfPixel, {8}), {0, .25, .75, 1.25, 1.75, 2.25, 2.75, 3}, 0, kTiny);
  ExpectNear(at(C::kHalfPixel, {1}), {1.5}, 0, kTiny);
  ExpectNear(at(C::kPytorchHalfPixel, {8}), {0, .25, .75, 1.25, 1.75, 2.25, 2.75, 3}, 0, kTiny);
  ExpectNear(at(C::kPytorchHalfPixel, {1}), {0}, 0, kTiny);
  ExpectNear(at(C::kAlignCorners, {7}), {0, .5, 1, 1.5, 2, 2.5, 3}, 0, kTiny);
  ExpectNear(at(C::kAlignCorners, {1}), {0}, 0, kTiny);
  ExpectNear(at(C::kAsymmetric, {8}), {0, .5, 1, 1.5, 2, 2.5, 3, 3}, 0, kTiny);
  ExpectNear(at(C::kHalfPixelSymmetric, {2}), {.5, 2.5}, 0, kTiny);
}

TEST(Resize, FractionalWidth) {
  const Tensor x = Doubles({0, 1, 2, 3});
  // 4 * 0.625 = 2.5 gives 2 elements; align_corners divides by 2.5 - 1.
  ExpectNear(ByScale(Make(ResizeMode::kLinear, CoordinateMode::kAlignCorners), x, {0.625f}), {0, 2},
             0, kTiny);
  // (x + 0.5) / 0.625 - 0.5 = 0.3, 1.9; the symmetric form adds 2 (1 - 2 / 2.5) = 0.4.
  ExpectNear(ByScale(Make(ResizeMode::kLinear), x, {0.625f}), {0.3, 1.9}, 0, kTiny);
  ExpectNear(ByScale(Make(ResizeMode::kLinear, CoordinateMode::kHalfPixelSymmetric), x, {0.625f}),
             {0.7, 2.3}, 0, kTiny);
}

TEST(Resize, NearestModes) {
  const Tensor x = Doubles({0, 1, 2, 3});
  const auto at = [&](NearestMode nearest, CoordinateMode c) {
    ResizeParams p = Make(ResizeMode::kNearest, c);
    p.nearest = nearest;
    return BySize(p, x, {8});
  };
  // coordinates 0, .5, 1, 1.5, ... 3.5
  using N = NearestMode;
  using V = std::vector<double>;
  EXPECT_EQ(at(N::kRoundPreferFloor, CoordinateMode::kAsymmetric), (V{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(at(N::kRoundPreferCeil, CoordinateMode::kAsymmetric), (V{0, 1, 1, 2, 2, 3, 3, 3}));
  EXPECT_EQ(at(N::kFloor, CoordinateMode::kAsymmetric), (V{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(at(N::kCeil, CoordinateMode::kAsymmetric), (V{0, 1, 1, 2, 2, 3, 3, 3}));
  // -.25, .25, .75, 1.25, ... 3.25
  EXPECT_EQ(at(N::kFloor, CoordinateMode::kHalfPixel), (V{0, 0, 0, 1, 1, 2, 2, 3}));
  EXPECT_EQ(at(N::kRoundPreferCeil, CoordinateMode::kHalfPixel), (V{0, 0, 1, 1, 2, 2, 3, 3}));
}

TEST(Resize, CubicKernelIsInterpolatingAndSumsToOne) {
  for (double a : {-0.75, -0.5}) {
    EXPECT_EQ(CubicKernel(0, a), 1);
    EXPECT_EQ(CubicKernel(1, a), 0);
    EXPECT_EQ(CubicKernel(-2, a), 0);
    for (double t = 0; t < 1; t += 0.125) {
      double sum = 0;
      for (int i = -1; i <= 2; ++i) sum += CubicKernel(t - i, a);
      EXPECT_NEAR(sum, 1, kTiny);
    }
  }
}

TEST(Resize, CubicByTheKernel) {
  const Tensor x = Doubles({1, 4, -2, 3, 5});
  for (bool exclude : {false, true}) {
    ResizeParams p = Make(ResizeMode::kCubic);
    p.cubic_a = -0.5f, p.exclude_outside = exclude;
    std::vector<double> expected;
    for (int i = 0; i < 10; ++i) {
      const double at = (i + 0.5) / 2 - 0.5;
      double sum = 0, weights = 0;
      for (int k = -3; k < 9; ++k) {
        if (exclude && (k < 0 || k > 4)) continue;
        const double w = CubicKernel(at - k, -0.5);
        weights += w;
        sum += w * x.AsDouble(std::clamp(k, 0, 4));
      }
      expected.push_back(sum / weights);
    }
    ExpectNear(ByScale(p, x, {2}), expected, 0, 1e-13);
  }
}

TEST(Resize, AntialiasStretchesTheKernel) {
  ResizeParams p = Make(ResizeMode::kLinear);
  p.antialias = true;
  // Scale 1/2: coordinates 0.5, 2.5, 4.5; weights (1 - |t| / 2): 1/8, 3/8, 3/8, 1/8, edges
  // repeated.
  const Tensor x = Doubles({8, 0, 0, 8, 16, 0});
  ExpectNear(BySize(p, x, {3}), {(8 + 3 * 8) / 8.0, (3 * 8 + 16) / 8.0, (8 + 3 * 16) / 8.0}, 0,
             kTiny);
  // Enlarging is not affected.
  p.antialias = false;
  const std::vector<double> plain = BySize(p, x, {9});
  p.antialias = true;
  ExpectNear(BySize(p, x, {9}), plain, 0, kTiny);
  // A constant stays one, also with the cubic kernel and without outside elements.
  p.mode = ResizeMode::kCubic;
  p.exclude_outside = true;
  ExpectNear(BySize(p, Doubles({3, 3, 3, 3, 3, 3, 3}), {3}), {3, 3, 3}, kTiny);
}

TEST(Resize, IsSeparable) {
  const Tensor x = To<double>(Ramp({2, 3, 4, 5}));
  ResizeParams rows = Make(ResizeMode::kLinear), cols = rows, both = rows, negative = rows;
  rows.axes = {2}, cols.axes = {3}, both.axes = {3, 2}, negative.axes = {-2, -1};
  const auto run = [](const ResizeParams& p, const Tensor& t, std::vector<int64_t> sizes) {
    return RunOp(op::kResize, Params::Of(p),
                 {t, std::nullopt, std::nullopt, Tensor::FromInts(sizes)});
  };
  const Tensor expected = run(cols, run(rows, x, {7}), {3});
  EXPECT_EQ(expected.dims(), (Dims{2, 3, 7, 3}));
  ExpectNear(Values(run(both, x, {3, 7})), Values(expected), kTiny, kTiny);
  ExpectNear(Values(run(negative, x, {7, 3})), Values(expected), kTiny, kTiny);
  ExpectNear(Values(run(Make(ResizeMode::kLinear), x, {2, 3, 7, 3})), Values(expected), kTiny,
             kTiny);
}

TEST(Resize, AspectPolicy) {
  ResizeParams p = Make(ResizeMode::kNearest);
  const Dims x = {10, 20};
  const auto out = [&](AspectPolicy policy) {
    p.policy = policy;
    const std::vector<int64_t> sizes = {15, 50};  // scales 1.5 and 2.5
    const auto axes = ResolveResize(p, x, {}, sizes, {});
    return Dims{(*axes)[0].out, (*axes)[1].out};
  };
  EXPECT_EQ(out(AspectPolicy::kStretch), (Dims{15, 50}));
  EXPECT_EQ(out(AspectPolicy::kNotLarger), (Dims{15, 30}));
  EXPECT_EQ(out(AspectPolicy::kNotSmaller), (Dims{25, 50}));
  // Halves round up: 3 * 7 / 6 = 3.5
  p.policy = AspectPolicy::kNotLarger;
  EXPECT_EQ((*ResolveResize(p, Dims{6, 3}, {}, std::vector<int64_t>{7, 9}, {}))[1].out, 4);
}

TEST(Resize, CropAndResize) {
  ResizeParams p = Make(ResizeMode::kLinear, CoordinateMode::kTfCropAndResize);
  p.extrapolation = 10;
  const Tensor x = Doubles({0, 1, 2, 3, 4});
  const auto crop = [&](double begin, double end, int64_t size) {
    return Values(RunOp(op::kResize, Params::Of(p),
                        {x, Doubles({begin, end}), std::nullopt, Tensor::FromInts({size})}));
  };
  ExpectNear(crop(0.25, 0.75, 3), {1, 2, 3}, 0, kTiny);
  ExpectNear(crop(0.75, 0.25, 3), {3, 2, 1}, 0, kTiny);
  ExpectNear(crop(0, 2, 3), {0, 4, 10}, 0, kTiny);
  ExpectNear(crop(0.25, 0.75, 1), {2}, 0, kTiny);
}

TEST(Resize, IntegersRoundAndSaturate) {
  const Tensor x = Tensor::From<uint8_t>({4}, {0, 10, 255, 250});
  ResizeParams p = Make(ResizeMode::kLinear);
  // 2.5 rounds to even; .25 * 10 + .75 * 255 = 193.75
  EXPECT_EQ(ByScale(p, x, {2}), (std::vector<double>{0, 2, 8, 71, 194, 254, 251, 250}));
  p.mode = ResizeMode::kCubic;
  const Tensor step = Tensor::From<uint8_t>({4}, {0, 0, 255, 255});
  for (double v : ByScale(p, step, {2})) EXPECT_TRUE(v >= 0 && v <= 255);
  EXPECT_EQ(ByScale(p, step, {2})[2], 0);  // undershoots
  EXPECT_EQ(ByScale(p, step, {2})[5], 255);
  EXPECT_EQ(
      RunOp(op::kResize, Params::Of(p), {To<Half>(Ramp({3})), std::nullopt, Floats({2})}).dtype(),
      DType::kFloat16);
}

TEST(Resize, EmptySizes) {
  const ResizeParams p = Make(ResizeMode::kLinear);
  EXPECT_EQ(RunOp(op::kResize, Params::Of(p),
                  {Ramp({0, 3}), std::nullopt, std::nullopt, Tensor::FromInts({0, 6})})
                .dims(),
            (Dims{0, 6}));
  EXPECT_EQ(RunOp(op::kResize, Params::Of(p), {Ramp({3}), std::nullopt, Floats({0.25f})}).dims(),
            Dims{0});
  // An empty scales input is none.
  EXPECT_EQ(RunOp(op::kResize, Params::Of(p),
                  {Ramp({3}), std::nullopt, Floats({}), Tensor::FromInts({6})})
                .dims(),
            Dims{6});
}

TEST(Resize, InfersSymbolicSizes) {
  const Dim n = Sym("N"), h = Sym("H");
  const ResizeParams p = Make(ResizeMode::kLinear);
  const TensorType scales4{DType::kFloat32, Shape({4})}, sizes4{DType::kInt64, Shape({4})};
  EXPECT_EQ(InferText(op::kResize, Params::Of(p), {F32({n, 3, h, 8}), std::nullopt, scales4},
                      {std::nullopt, std::nullopt, Floats({1, 1, 2, 0.5f})}),
            F32({n, 3, h * 2, 4}).ToString());
  EXPECT_EQ(InferText(op::kResize, Params::Of(p), {F32({n, 3, h, 8}), std::nullopt, scales4},
                      {std::nullopt, std::nullopt, Floats({1, 1, 1.5f, 0.5f})}),
            F32({n, 3, FloorDiv(h * 3, 2), 4}).ToString());
  EXPECT_EQ(
      InferText(op::kResize, Params::Of(p), {F32({n, 3, h, 8}), std::nullopt, std::nullopt, sizes4},
                {std::nullopt, std::nullopt, std::nullopt, Tensor::FromInts({1, 3, 5, 6})}),
      "float32[1,3,5,6]");
  // Unknown scales: new symbols. So does a scale that the symbol cannot be multiplied with exactly.
  const auto unknown =
      TryInfer(op::kResize, Params::Of(p), {F32({1, 3, 8, 8}), std::nullopt, scales4});
  ASSERT_TRUE(unknown.has_value());
  EXPECT_FALSE((*(*unknown)[0].shape)[2].is_const());
  const auto inexact =
      TryInfer(op::kResize, Params::Of(p), {F32({1, 3, h, 8}), std::nullopt, scales4},
               {std::nullopt, std::nullopt, Floats({1, 1, 0.7f, 1})});
  ASSERT_TRUE(inexact.has_value());
  EXPECT_NE((*(*inexact)[0].shape)[2], h);
  // 10 * 0.7f is 7 in single precision, as ONNX computes it.
  EXPECT_EQ((*ResolveResize(p, Dims{10}, std::vector<float>{0.7f}, {}, {}))[0].out, 7);
}

TEST(Resize, Errors) {
  const auto error = [](const ResizeParams& p, const Inputs& inputs) {
    const auto r = TryRun(op::kResize, Params::Of(p), inputs);
    return r ? "" : r.error().message();
  };
  const ResizeParams p = Make(ResizeMode::kLinear);
  const Tensor x = Ramp({4, 4});
  EXPECT_THAT(error(p, {x}), HasSubstr("neither"));
  EXPECT_THAT(error(p, {x, std::nullopt, Floats({1, 1}), Tensor::FromInts({1, 1})}),
              HasSubstr("both"));
  EXPECT_THAT(error(p, {x, std::nullopt, Floats({1, 1, 1})}),
              HasSubstr("scales has 3 elements, expected 2"));
  EXPECT_THAT(error(p, {x, std::nullopt, Floats({1, 0})}), HasSubstr("scale is 0"));
  EXPECT_THAT(error(p, {x, std::nullopt, Floats({1, std::numeric_limits<float>::quiet_NaN()})}),
              HasSubstr("positive"));
  EXPECT_THAT(error(p, {x, std::nullopt, Floats({1, 1e30f})}), HasSubstr("more than"));
  EXPECT_THAT(error(p, {x, std::nullopt, std::nullopt, Tensor::FromInts({4, -1})}),
              HasSubstr("sizes contains -1"));
  EXPECT_THAT(error(p, {Ramp({0}), std::nullopt, std::nullopt, Tensor::FromInts({4})}),
              HasSubstr("empty"));
  ResizeParams twice = p;
  twice.axes = {0, -2};
  EXPECT_THAT(error(twice, {x, std::nullopt, Floats({1, 1})}), HasSubstr("twice"));
  ResizeParams crop = p;
  crop.coordinate = CoordinateMode::kTfCropAndResize;
  EXPECT_THAT(error(crop, {x, Doubles({0, 1}), Floats({1, 1})}), HasSubstr("roi has 2"));
}

// ---- GridSample

GridSampleParams Grid(ResizeMode mode, GridPadding padding, bool align = false) {
  return {mode, padding, align};
}
std::vector<double> Sample(const GridSampleParams& p, const Tensor& x,
                           const std::vector<double>& points) {
  const Tensor grid = Tensor::From<double>({1, static_cast<int64_t>(points.size()), 1},
                                           std::span<const double>(points));
  return Values(RunOp(op::kGridSample, Params::Of(p), {x, grid}));
}

TEST(GridSample, OneAxisByHand) {
  const Tensor x = Tensor::From<double>({1, 1, 4}, {10, 20, 30, 40});
  using M = ResizeMode;
  using P = GridPadding;
  // not aligned: coordinate = ((p + 1) * 4 - 1) / 2: -1 -> -0.5, 0 -> 1.5, 0.5 -> 2.5, 1 -> 3.5
  EXPECT_EQ(Sample(Grid(M::kLinear, P::kZeros), x, {-1, 0, 0.5, 1}),
            (std::vector<double>{5, 25, 35, 20}));
  EXPECT_EQ(Sample(Grid(M::kLinear, P::kBorder), x, {-1, 0, 0.5, 1, 9}),
            (std::vector<double>{10, 25, 35, 40, 40}));
  // aligned: (p + 1) / 2 * 3
  ExpectNear(Sample(Grid(M::kLinear, P::kZeros, true), x, {-1, 0, 1, 5.0 / 3}), {10, 25, 40, 0}, 0,
             1e-13);
  // nearest: halves to even: 1.5 -> 2, 2.5 -> 2, -0.5 -> 0
  EXPECT_EQ(Sample(Grid(M::kNearest, P::kZeros), x, {0, 0.5, -1, -1.3, 1.3}),
            (std::vector<double>{30, 30, 10, 0, 0}));
  // reflection at -0.5 and 3.5: coordinate 4.5 -> 2.5; at 0 and 3: 4.5 -> 1.5
  EXPECT_EQ(Sample(Grid(M::kLinear, P::kReflection), x, {1.5}), (std::vector<double>{35}));
  EXPECT_EQ(Sample(Grid(M::kLinear, P::kReflection, true), x, {2}), (std::vector<double>{25}));
  // many times around: period 8 in coordinates, 4 in points
  EXPECT_EQ(Sample(Grid(M::kLinear, P::kReflection), x, {401.5}), (std::vector<double>{35}));
}

TEST(GridSample, CubicOfTwoAxes) {
  const Tensor x = To<double>(Ramp({1, 2, 4, 5}));
  const double px = 0.3, py = -0.2;  // inside; x is the last axis
  const double cx = ((px + 1) * 5 - 1) / 2, cy = ((py + 1) * 4 - 1) / 2;
  std::vector<double> expected;
  for (int64_t c = 0; c < 2; ++c) {
    double sum = 0;
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t j = 0; j < 5; ++j)
        sum += CubicKernel(cy - static_cast<double>(i), -0.75) *
               CubicKernel(cx - static_cast<double>(j), -0.75) * x.AsDouble((c * 4 + i) * 5 + j);
    expected.push_back(sum);
  }
  const Tensor grid = Tensor::From<double>({1, 1, 1, 2}, {px, py});
  ExpectNear(Values(RunOp(op::kGridSample,
                          Params::Of(Grid(ResizeMode::kCubic, GridPadding::kZeros)), {x, grid})),
             expected, 0, 1e-13);
}

TEST(GridSample, BatchAndThreeAxes) {
  const Tensor x = Ramp({2, 3, 2, 3, 4});
  // The centres of all elements, in order, for each batch.
  std::vector<float> points;
  for (int n = 0; n < 2; ++n)
    for (int d = 0; d < 2; ++d)
      for (int h = 0; h < 3; ++h)
        for (int w = 0; w < 4; ++w)
          for (float v : {static_cast<float>(w) / 1.5f - 1, static_cast<float>(h) - 1,
                          static_cast<float>(d) * 2 - 1})
            points.push_back(v);
  const Tensor grid = Tensor::From<float>({2, 2, 3, 4, 3}, std::span<const float>(points));
  for (ResizeMode mode : {ResizeMode::kNearest, ResizeMode::kLinear, ResizeMode::kCubic}) {
    const Tensor y =
        RunOp(op::kGridSample, Params::Of(Grid(mode, GridPadding::kBorder, true)), {x, grid});
    EXPECT_EQ(y.dims(), x.dims());
    ExpectNear(Values(y), Values(x), 0, 1e-5);  // 1 / 1.5 is rounded in the grid
  }
}

TEST(GridSample, StrangePointsAreHarmless) {
  const Tensor x = Tensor::From<double>({1, 1, 3}, {1, 2, 3});
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  for (ResizeMode mode : {ResizeMode::kNearest, ResizeMode::kLinear, ResizeMode::kCubic}) {
    EXPECT_EQ(Sample(Grid(mode, GridPadding::kZeros), x, {inf, -inf, 1e300}),
              (std::vector<double>{0, 0, 0}));
    EXPECT_EQ(Sample(Grid(mode, GridPadding::kBorder), x, {inf, -inf, 1e300}),
              (std::vector<double>{3, 1, 3}));
    Sample(Grid(mode, GridPadding::kReflection), x, {inf, nan, 1e300});
    Sample(Grid(mode, GridPadding::kReflection, true), Tensor::From<double>({1, 1, 1}, {5}),
           {0.3, -7, nan});
  }
}

TEST(GridSample, ShapesAndErrors) {
  const Dim n = Sym("N"), h = Sym("H");
  EXPECT_EQ(InferText(op::kGridSample, {}, {F32({n, 3, 4, 5}), F32({n, h, 7, 2})}),
            "float32[N,3,H,7]");
  EXPECT_THAT(InferText(op::kGridSample, {}, {F32({2, 3, 4, 5}), F32({2, 6, 7, 3})}),
              AllOf(HasSubstr("[2,3,4,5]"), HasSubstr("[2,6,7,3]")));
  EXPECT_THAT(InferText(op::kGridSample, {}, {F32({2, 3, 4, 5}), F32({3, 6, 7, 2})}),
              HasSubstr("[3,6,7,2]"));
  EXPECT_THAT(InferText(op::kGridSample, {}, {F32({2, 3}), F32({2, 0})}), HasSubstr("[2,3]"));
  EXPECT_EQ(RunOp(op::kGridSample, {}, {Ramp({1, 1, 3}), Ramp({1, 0, 1})}).dims(), (Dims{1, 1, 0}));
  EXPECT_THAT(TryRun(op::kGridSample, {}, {Ramp({1, 1, 0}), Ramp({1, 2, 1})}).error().message(),
              HasSubstr("no elements"));
}

}  // namespace
}  // namespace sula
