#include "ops/conv.h"

#include "ops/run_op.h"

namespace sula {
namespace {

// ---- a second formulation: every output element gathers its window, coordinate by coordinate

struct Grid {
  Dims dims;
  std::vector<double> values;
  double At(const Dims& index) const {
    int64_t flat = 0;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (index[i] < 0 || index[i] >= dims[i]) return 0;
      flat = flat * dims[i] + index[i];
    }
    return values[flat];
  }
};

bool Next(Dims& index, const Dims& dims) {
  for (int i = static_cast<int>(dims.size()) - 1; i >= 0; --i) {
    if (++index[i] < dims[i]) return true;
    index[i] = 0;
  }
  return false;
}

std::vector<double> GatherConv(const Tensor& x, const Tensor& w, const Tensor& bias,
                               const ConvGeometry& g) {
  const Grid gx{x.dims(), Values(x)}, gw{w.dims(), Values(w)};
  Dims y_dims = {g.batch, g.out_channels};
  y_dims.insert(y_dims.end(), g.out.begin(), g.out.end());
  Dims tap_dims = {w.dim(1)};
  tap_dims.insert(tap_dims.end(), g.kernel.begin(), g.kernel.end());
  std::vector<double> y;
  Dims at(y_dims.size(), 0);
  do {
    double sum = bias.empty() ? 0 : bias.AsDouble(at[1]);
    Dims tap(tap_dims.size(), 0);
    do {
      Dims xi = {at[0], at[1] / (g.out_channels / g.group) * w.dim(1) + tap[0]};
      Dims wi = {at[1]};
      wi.insert(wi.end(), tap.begin(), tap.end());
      for (int i = 0; i < g.spatial; ++i)
        xi.push_back(at[2 + i] * g.stride[i] - g.pad_begin[i] + tap[1 + i] * g.dilation[i]);
      sum += gx.At(xi) * gw.At(wi);
    } while (Next(tap, tap_dims));
    y.push_back(sum);
  } while (Next(at, y_dims));
  return y;
}

// Transposed: output element o gathers input i where o + pad - tap * dilation == i * stride.
std::vector<double> GatherConvTranspose(const Tensor& x, const Tensor& w, const Tensor& bias,
                                        const ConvGeometry& g) {
  const Grid gx{x.dims(), Values(x)}, gw{w.dims(), Values(w)};
  Dims y_dims = {g.batch, g.out_channels};
  y_dims.insert(y_dims.end(), g.out.begin(), g.out.end());
  const int64_t group_in = g.in_channels / g.group, group_out = w.dim(1);
  Dims tap_dims = {group_in};
  tap_dims.insert(tap_dims.end(), g.kernel.begin(), g.kernel.end());
  std::vector<double> y;
  Dims at(y_dims.size(), 0);
  do {
    double sum = bias.empty() ? 0 : bias.AsDouble(at[1]);
    Dims tap(tap_dims.size(), 0);
    do {
      const int64_t c = at[1] / group_out * group_in + tap[0];
      Dims xi = {at[0], c}, wi = {c, at[1] % group_out};
      bool hit = true;
      for (int i = 0; i < g.spatial; ++i) {
        const int64_t shifted = at[2 + i] + g.pad_begin[i] - tap[1 + i] * g.dilation[i];
        hit &= shifted >= 0 && shifted % g.stride[i] == 0;
        xi.push_back(shifted / g.stride[i]);
        wi.push_back(tap[1 + i]);
      }
      if (hit) sum += gx.At(xi) * gw.At(wi);
    } while (Next(tap, tap_dims));
    y.push_back(sum);
  } while (Next(at, y_dims));
  return y;
}

struct Case {
  Dims x, w;
  ConvParams p;
};

ConvParams Make(Dims strides, Dims dilations, Dims pads, int64_t group = 1,
                AutoPad auto_pad = AutoPad::kExplicit) {
  ConvParams p;
  p.strides = strides, p.dilations = dilations, p.pads = pads;
  p.group = group, p.auto_pad = auto_pad;
  return p;
}

TEST(Conv, AgreesWithGatheringForm) {
  const Case cases[] = {
      {{1, 1, 5}, {1, 1, 3}, {}},
      {{2, 3, 9}, {4, 3, 3}, Make({2}, {2}, {1, 3})},
      {{2, 3, 7, 6}, {5, 3, 3, 2}, Make({1, 1}, {1, 1}, {1, 0, 2, 1})},
      {{1, 4, 8, 9}, {6, 2, 3, 3}, Make({2, 3}, {1, 2}, {1, 1, 1, 1}, 2)},
      {{2, 4, 6, 5}, {8, 1, 3, 3}, Make({1, 2}, {}, {1, 1, 1, 1}, 4)},
      {{1, 2, 7, 8}, {3, 2, 4, 3}, Make({2, 3}, {}, {}, 1, AutoPad::kSameUpper)},
      {{1, 2, 7, 8}, {3, 2, 4, 3}, Make({2, 3}, {}, {}, 1, AutoPad::kSameLower)},
      {{1, 2, 7, 8}, {3, 2, 4, 3}, Make({2, 3}, {}, {9, 9, 9, 9}, 1, AutoPad::kValid)},
      {{1, 2, 4, 5, 6}, {3, 2, 2, 3, 2}, Make({1, 2, 1}, {2, 1, 3}, {1, 0, 2, 0, 1, 1})},
      {{1, 2, 3, 3}, {2, 2, 1, 1}, Make({}, {}, {4, 4, 4, 4})},  // windows inside the padding
  };
  for (const Case& c : cases) {
    const Tensor x = Ramp(c.x, 1), w = Ramp(c.w, 2), bias = Ramp({c.w[0]}, 3);
    const auto g = ResolveConv(c.p, c.x, c.w);
    ASSERT_TRUE(g.has_value()) << g.error().ToString();
    const Tensor y = RunOp(op::kConv, Params::Of(c.p), {x, w, bias});
    EXPECT_EQ(Values(y), GatherConv(x, w, bias, *g)) << ToString(c.x) << " * " << ToString(c.w);
    const Tensor plain = RunOp(op::kConv, Params::Of(c.p), {x, w});
    EXPECT_EQ(Values(plain), GatherConv(x, w, Tensor(), *g));
  }
}

TEST(Conv, OutputSizesByHand) {
  // floor((7 + 2 - 3) / 2) + 1 = 4, floor((8 + 2 - 5) / 3) + 1 = 2
  const auto g =
      ResolveConv(Make({2, 3}, {1, 2}, {1, 1, 1, 1}), Dims{1, 1, 7, 8}, Dims{1, 1, 3, 3});
  ASSERT_TRUE(g.has_value());
  EXPECT_EQ(g->out, (Dims{4, 2}));
  // same: ceil(7 / 2) = 4; (4 - 1) * 2 + 4 - 7 = 3 of padding
  const Dims x = {1, 1, 7}, w = {1, 1, 4};
  const auto upper = ResolveConv(Make({2}, {}, {}, 1, AutoPad::kSameUpper), x, w);
  const auto lower = ResolveConv(Make({2}, {}, {}, 1, AutoPad::kSameLower), x, w);
  ASSERT_TRUE(upper.has_value() && lower.has_value());
  EXPECT_EQ(upper->out, Dims{4});
  EXPECT_EQ(upper->pad_begin, Dims{1});
  EXPECT_EQ(upper->pad_end, Dims{2});
  EXPECT_EQ(lower->pad_begin, Dims{2});
  EXPECT_EQ(lower->pad_end, Dims{1});
  // A stride longer than the kernel needs no padding.
  const auto skip =
      ResolveConv(Make({5}, {}, {}, 1, AutoPad::kSameUpper), Dims{1, 1, 10}, Dims{1, 1, 2});
  ASSERT_TRUE(skip.has_value());
  EXPECT_EQ(skip->out, Dims{2});
  EXPECT_EQ(skip->pad_begin, Dims{0});
  EXPECT_EQ(skip->pad_end, Dims{0});
}

TEST(Conv, AddsResidualBeforeActivation) {
  ConvParams p;
  p.Fuse({ActivationKind::kClip, -1, 5});
  const Tensor x = Tensor::From<float>({1, 1, 3}, {1, 2, 3}),
               w = Tensor::From<float>({1, 1, 1}, {2}), bias = Tensor::From<float>({1}, {-1}),
               residual = Tensor::From<float>({1, 1, 3}, {-10, 0.5f, 1});
  EXPECT_EQ(Values(RunOp(op::kConv, Params::Of(p), {x, w, bias, residual})),
            (std::vector<double>{-1, 3.5, 5}));
  EXPECT_EQ(Values(RunOp(op::kConv, Params::Of(p), {x, w, std::nullopt, residual})),
            (std::vector<double>{-1, 4.5, 5}));
}

TEST(Conv, OtherFloatTypes) {
  const Tensor x = Ramp({1, 2, 5, 5}, 1), w = Ramp({3, 2, 3, 3}, 2);
  const Tensor y = RunOp(op::kConv, {}, {x, w});
  EXPECT_EQ(Values(RunOp(op::kConv, {}, {To<double>(x), To<double>(w)})), Values(y));
  const Tensor half = RunOp(op::kConv, {}, {To<Half>(x), To<Half>(w)});
  EXPECT_EQ(half.dtype(), DType::kFloat16);
  EXPECT_EQ(Values(half), Values(To<Half>(y)));
  const Tensor brain = RunOp(op::kConv, {}, {To<BFloat16>(x), To<BFloat16>(w)});
  EXPECT_EQ(Values(brain), Values(To<BFloat16>(y)));
}

TEST(Conv, EmptyBatch) {
  const Tensor y = RunOp(op::kConv, {}, {Ramp({0, 2, 5}), Ramp({3, 2, 3})});
  EXPECT_EQ(y.dims(), (Dims{0, 3, 3}));
}

TEST(Conv, InfersSymbolicSizes) {
  const Dim n = Sym("N"), h = Sym("H");
  EXPECT_EQ(InferText(op::kConv, Params::Of(Make({2, 1}, {}, {1, 1, 1, 1})),
                      {F32({n, 3, h, 224}), F32({8, 3, 3, 3})}),
            F32({n, 8, FloorDiv(h - 1, 2) + 1, 224}).ToString());
  EXPECT_EQ(InferText(op::kConv, Params::Of(Make({2, 2}, {}, {}, 1, AutoPad::kSameUpper)),
                      {F32({n, 3, h, 225}), F32({8, 3, 3, 3})}),
            F32({n, 8, CeilDiv(h, 2), 113}).ToString());
  // The channels may be unknown too; a kernel of unknown size gives a difference.
  EXPECT_EQ(InferText(op::kConv, {}, {F32({n, Sym("C"), 10}), F32({8, 3, Sym("K")})}),
            F32({n, 8, Dim(11) - Sym("K")}).ToString());
  EXPECT_EQ(InferText(op::kConv, {}, {TensorType{DType::kFloat16, {}}, F32({8, 3, 3})}),
            "float16[?]");
}

std::string ConvError(const ConvParams& p, Shape x, Shape w) {
  const auto types = TryInfer(op::kConv, Params::Of(p), {F32(std::move(x)), F32(std::move(w))});
  EXPECT_FALSE(types.has_value());
  return types ? "" : types.error().message();
}

TEST(Conv, ErrorsNameTheShapes) {
  using ::testing::HasSubstr;
  EXPECT_THAT(ConvError({}, {1, 3, 8, 8}, {4, 3, 3}),
              testing::AllOf(HasSubstr("[1,3,8,8]"), HasSubstr("[4,3,3]")));
  EXPECT_THAT(ConvError({}, {1, 3, 8, 8}, {4, 2, 3, 3}),
              testing::AllOf(HasSubstr("[1,3,8,8]"), HasSubstr("[4,2,3,3]"), HasSubstr("group 1")));
  EXPECT_THAT(ConvError(Make({}, {}, {}, 2), {1, 4, 8}, {3, 2, 3}), HasSubstr("group 2"));
  EXPECT_THAT(ConvError(Make({}, {}, {}, 0), {1, 4, 8}, {3, 4, 3}), HasSubstr("group is 0"));
  EXPECT_THAT(ConvError(Make({1}, {}, {}), {1, 4, 8, 8}, {3, 4, 3, 3}),
              HasSubstr("strides has 1 entries, expected 2"));
  EXPECT_THAT(ConvError(Make({0}, {}, {}), {1, 4, 8}, {3, 4, 3}), HasSubstr("strides contains 0"));
  EXPECT_THAT(ConvError(Make({}, {}, {-1, 0}), {1, 4, 8}, {3, 4, 3}),
              HasSubstr("pads contains -1"));
  EXPECT_THAT(ConvError(Make({}, {int64_t{1} << 40}, {}), {1, 4, 8}, {3, 4, 3}),
              HasSubstr("dilations contains"));
  EXPECT_THAT(ConvError({}, {1, 4, 2}, {3, 4, 3}), HasSubstr("no window fits"));
  EXPECT_THAT(ConvError({}, {1, 4, 2}, {3, 4, 0}), HasSubstr("kernel size is 0"));
  EXPECT_THAT(ConvError({}, {1, 1, 2, 2, 2, 2}, {1, 1, 1, 1, 1, 1}), HasSubstr("4 spatial axes"));
  EXPECT_THAT(InferText(op::kConv, {}, {F32({1, 1, 5}), F32({2, 1, 3}), F32({3})}),
              testing::AllOf(HasSubstr("bias"), HasSubstr("[3]"), HasSubstr("[2]")));
  EXPECT_THAT(
      InferText(op::kConv, {}, {F32({1, 1, 5}), F32({2, 1, 3}), std::nullopt, F32({1, 2, 4})}),
      testing::AllOf(HasSubstr("[1,2,4]"), HasSubstr("[1,2,3]")));
  EXPECT_THAT(
      InferText(op::kConv, {}, {F32({1, 1, 5}), TensorType{DType::kFloat16, Shape({2, 1, 3})}}),
      testing::AllOf(HasSubstr("float16"), HasSubstr("float32")));
}

TEST(Conv, Cost) {
  const Node node = MakeNode(op::kConv, {}, {true, true}, 1);
  const std::vector<TensorType> in = {F32({2, 4, 10}), F32({6, 2, 3})}, out = {F32({2, 6, 8})};
  const Cost cost = op::kConv.cost(node, in, out);
  EXPECT_EQ(cost.flops, 2 * (2 * 6 * 8) * (2 * 3));
  EXPECT_EQ(cost.bytes_read, 4 * (80 + 36));
  EXPECT_EQ(cost.bytes_written, 4 * 96);
}

// ---- ConvTranspose

ConvTransposeParams MakeTransposed(Dims strides, Dims dilations, Dims pads, int64_t group = 1) {
  ConvTransposeParams p;
  p.strides = strides, p.dilations = dilations, p.pads = pads, p.group = group;
  return p;
}

TEST(ConvTranspose, AgreesWithGatheringForm) {
  struct {
    Dims x, w;
    ConvTransposeParams p;
  } cases[] = {
      {{1, 1, 4}, {1, 1, 3}, {}},
      {{2, 3, 4}, {3, 2, 3}, MakeTransposed({3}, {2}, {1, 2})},
      {{2, 3, 4, 5}, {3, 4, 3, 2}, MakeTransposed({2, 1}, {}, {1, 0, 0, 1})},
      {{1, 4, 3, 5}, {4, 3, 2, 3}, MakeTransposed({1, 2}, {2, 1}, {}, 2)},
      {{1, 3, 3, 3}, {3, 1, 3, 3}, MakeTransposed({2, 2}, {}, {1, 1, 1, 1}, 3)},
      {{1, 2, 2, 3, 4}, {2, 2, 2, 1, 3}, MakeTransposed({2, 1, 2}, {}, {0, 0, 1, 1, 0, 0})},
  };
  cases[2].p.output_padding = {1, 0};
  cases[3].p.output_shape = {5, 12};
  cases[4].p.auto_pad = AutoPad::kSameLower;
  for (const auto& c : cases) {
    const Tensor x = Ramp(c.x, 1), w = Ramp(c.w, 2), bias = Ramp({c.w[1] * c.p.group}, 3);
    const auto g = ResolveConvTranspose(c.p, c.x, c.w);
    ASSERT_TRUE(g.has_value()) << g.error().ToString();
    const Tensor y = RunOp(op::kConvTranspose, Params::Of(c.p), {x, w, bias});
    EXPECT_EQ(Values(y), GatherConvTranspose(x, w, bias, *g)) << ToString(c.x);
  }
}

TEST(ConvTranspose, SizesByHand) {
  const Dims x = {1, 1, 3}, w = {1, 1, 3};
  // 2 * (3 - 1) + 1 + 3 - 1 - 1 = 6
  ConvTransposeParams p = MakeTransposed({2}, {}, {1, 1});
  p.output_padding = {1};
  EXPECT_EQ(ResolveConvTranspose(p, x, w)->out, Dims{6});
  // same: 3 * 2 = 6; 2 * 2 + 3 - 6 = 1 of padding
  p = MakeTransposed({2}, {}, {});
  p.auto_pad = AutoPad::kSameUpper;
  EXPECT_EQ(ResolveConvTranspose(p, x, w)->out, Dims{6});
  EXPECT_EQ(ResolveConvTranspose(p, x, w)->pad_begin, Dims{0});
  EXPECT_EQ(ResolveConvTranspose(p, x, w)->pad_end, Dims{1});
  p.auto_pad = AutoPad::kSameLower;
  EXPECT_EQ(ResolveConvTranspose(p, x, w)->pad_begin, Dims{1});
  EXPECT_EQ(ResolveConvTranspose(p, x, w)->pad_end, Dims{0});
  // output_shape: the odd element of padding comes first unless same_upper
  p = MakeTransposed({2}, {}, {});
  p.output_shape = {4};
  EXPECT_EQ(ResolveConvTranspose(p, x, w)->pad_begin, Dims{2});
  EXPECT_EQ(ResolveConvTranspose(p, x, w)->pad_end, Dims{1});
  // more than the full size: the rest is bias alone
  p.output_shape = {9};
  EXPECT_EQ(Values(RunOp(op::kConvTranspose, Params::Of(p),
                         {Tensor::From<float>(x, {1, 2, 3}), Tensor::From<float>(w, {1, 1, 1}),
                          Tensor::From<float>({1}, {10})})),
            (std::vector<double>{11, 11, 13, 12, 15, 13, 13, 10, 10}));
}

TEST(ConvTranspose, InfersSymbolicSizesAndErrors) {
  using ::testing::HasSubstr;
  const Dim n = Sym("N"), h = Sym("H");
  EXPECT_EQ(InferText(op::kConvTranspose, Params::Of(MakeTransposed({2, 2}, {}, {1, 1, 1, 1}, 2)),
                      {F32({n, 4, h, 5}), F32({4, 3, 4, 4})}),
            F32({n, 6, h * 2, 10}).ToString());
  EXPECT_THAT(InferText(op::kConvTranspose, {}, {F32({1, 4, 5}), F32({3, 2, 3})}),
              testing::AllOf(HasSubstr("[1,4,5]"), HasSubstr("[3,2,3]")));
  EXPECT_THAT(InferText(op::kConvTranspose, Params::Of(MakeTransposed({}, {}, {9, 9})),
                        {F32({1, 3, 5}), F32({3, 2, 3})}),
              HasSubstr("output of size -11"));
  ConvTransposeParams p;
  p.output_padding = {1, 2};
  EXPECT_THAT(InferText(op::kConvTranspose, Params::Of(p), {F32({1, 3, 5}), F32({3, 2, 3})}),
              HasSubstr("output_padding has 2 entries"));
}

}  // namespace
}  // namespace sula
