// Layers that move elements, change shapes or sizes.
#include "nets.h"

namespace sula::caffe {
namespace {

using ::testing::HasSubstr;

TEST(CaffeConcat, Axes) {
  const Tensor a = Count({1, 1, 2}), b = Count({1, 1, 2}, 10);
  ExpectEqual(RunLayer("Concat", "", {a, b}), F({1, 2, 2}, {0, 1, 10, 11}));
  ExpectEqual(RunLayer("Concat", "concat_param { axis: -1 }", {a, b}),
              F({1, 1, 4}, {0, 1, 10, 11}));
  ExpectEqual(RunLayer("Concat", "concat_param { concat_dim: 0 }", {a, b}),
              F({2, 1, 2}, {0, 1, 10, 11}));
  EXPECT_THAT(LayerError("Concat", "concat_param { axis: 3 }", {{1, 1, 2}}), HasSubstr("axis 3"));
  EXPECT_THAT(LayerError("Concat", "concat_param { axis: 1 concat_dim: 1 }", {{1, 1, 2}}),
              HasSubstr("both axis and concat_dim"));
  EXPECT_THAT(LayerError("Concat", "", {{1, 1, 2}, {1, 1, 3}}), HasSubstr("layer 'l' (Concat)"));
}

std::vector<Tensor> Slices(const std::string& parameters, int tops, const Tensor& x) {
  std::string text = InputText("x", x.dims()) + "layer { name: 'l' type: 'Slice' bottom: 'x' ";
  for (int i = 0; i < tops; ++i) text += StrCat("top: 'y", i, "' ");
  return RunGraph(Import(text + parameters + " }"), {x});
}

TEST(CaffeSlice, PointsOrEqualParts) {
  const Tensor x = Count({1, 4, 1});
  auto parts = Slices("", 2, x);
  ExpectEqual(parts.at(0), F({1, 2, 1}, {0, 1}));
  ExpectEqual(parts.at(1), F({1, 2, 1}, {2, 3}));
  parts = Slices("slice_param { axis: -2 slice_point: 1 slice_point: 2 }", 3, x);
  ExpectEqual(parts.at(0), F({1, 1, 1}, {0}));
  ExpectEqual(parts.at(1), F({1, 1, 1}, {1}));
  ExpectEqual(parts.at(2), F({1, 2, 1}, {2, 3}));
  parts = Slices("slice_param { slice_dim: 1 }", 1, x);
  ExpectEqual(parts.at(0), x);
}

TEST(CaffeSlice, PointsThatDontFit) {
  auto error = [](const std::string& parameters) {
    return Error(InputText("x", {1, 3}) +
                 "layer { name: 'l' type: 'Slice' bottom: 'x' top: 'a' "
                 "top: 'b' " +
                 parameters + " }");
  };
  EXPECT_THAT(error(""), HasSubstr("no 2 equal parts"));
  EXPECT_THAT(error("slice_param { slice_point: 3 }"), HasSubstr("have to rise"));
  EXPECT_THAT(error("slice_param { slice_point: 0 }"), HasSubstr("have to rise"));
  EXPECT_THAT(error("slice_param { slice_point: 1 slice_point: 2 }"), HasSubstr("2 slice points"));
}

TEST(CaffeFlatten, AnyAxes) {
  const Tensor x = Count({2, 3, 2, 2});
  auto dims = [&](const std::string& parameters) {
    const Tensor y = RunLayer("Flatten", parameters, {x});
    ExpectEqual(y, x.Reshaped(y.dims()));
    return y.dims();
  };
  EXPECT_EQ(dims(""), (Dims{2, 12}));
  EXPECT_EQ(dims("flatten_param { axis: 0 }"), (Dims{24}));
  EXPECT_EQ(dims("flatten_param { axis: 2 }"), (Dims{2, 3, 4}));
  EXPECT_EQ(dims("flatten_param { axis: 1 end_axis: -2 }"), (Dims{2, 6, 2}));
  EXPECT_EQ(dims("flatten_param { axis: 3 }"), (Dims{2, 3, 2, 2}));
  EXPECT_THAT(LayerError("Flatten", "flatten_param { axis: 2 end_axis: 1 }", {{1, 2, 3}}),
              HasSubstr("lies behind end_axis"));
}

TEST(CaffeReshape, CopiesInfersAndKeepsAxes) {
  const Tensor x = Count({2, 8});
  auto dims = [&](const std::string& parameters) {
    const Tensor y = RunLayer("Reshape", "reshape_param { " + parameters + " }", {x});
    ExpectEqual(y, x.Reshaped(y.dims()));
    return y.dims();
  };
  EXPECT_EQ(dims("shape { dim: 0 dim: -1 dim: 4 }"), (Dims{2, 2, 4}));
  EXPECT_EQ(dims("shape { dim: -1 }"), (Dims{16}));
  EXPECT_EQ(dims("shape { dim: 2 dim: 4 } axis: 1"), (Dims{2, 2, 4}));
  EXPECT_EQ(dims("shape { dim: 2 dim: 4 } axis: -2"), (Dims{2, 2, 4}));
  EXPECT_EQ(dims("shape { dim: 1 } num_axes: 0"), (Dims{1, 2, 8}));
  EXPECT_EQ(dims("shape { dim: 1 dim: 2 } num_axes: 1"), (Dims{1, 2, 8}));
  EXPECT_EQ(dims("shape { dim: 1 } axis: 2 num_axes: 0"), (Dims{2, 8, 1}));
}

TEST(CaffeReshape, ShapesThatDontFit) {
  auto error = [](const std::string& parameters) {
    return LayerError("Reshape", "reshape_param { " + parameters + " }", {{2, 8}});
  };
  EXPECT_THAT(error("shape { dim: 3 dim: -1 }"), HasSubstr("16 elements"));
  EXPECT_THAT(error("shape { dim: -1 dim: -1 }"), HasSubstr("more than one is -1"));
  EXPECT_THAT(error("shape { dim: -2 }"), HasSubstr("negative"));
  EXPECT_THAT(error("shape { dim: 16 dim: 1 dim: 0 }"), HasSubstr("no such axis"));
  EXPECT_THAT(error("shape { dim: 5 }"), HasSubstr("layer 'l' (Reshape)"));
  EXPECT_THAT(error("shape { dim: 1 } axis: 3"), HasSubstr("lie outside"));
  EXPECT_THAT(error("shape { dim: 1 } axis: 1 num_axes: 2"), HasSubstr("lie outside"));
  EXPECT_THAT(error("shape { dim: 9223372036854775807 dim: 9223372036854775807 dim: -1 }"),
              HasSubstr("layer 'l' (Reshape)"));
}

TEST(CaffeReshape, FreeBatch) {
  CaffeOptions options;
  options.input_shapes["x0"] = Shape{Dim::Symbol("batch"), 8};
  Graph g =
      Import(OneLayer("Reshape", "reshape_param { shape { dim: 0 dim: 2 dim: -1 } }", {{2, 8}}), {},
             options);
  EXPECT_EQ(g.value(g.outputs()[0]).type.ToString(), "float32[batch,2,4]");
  ExpectEqual(RunGraph(g, {Count({3, 8})})[0], Count({3, 2, 4}));
}

TEST(CaffePermute, OrdersInPart) {
  const Tensor x = Count({1, 2, 3});
  ExpectEqual(RunLayer("Permute", "permute_param { order: 0 order: 2 order: 1 }", {x}),
              F({1, 3, 2}, {0, 3, 1, 4, 2, 5}));
  ExpectEqual(RunLayer("Permute", "permute_param { order: 2 }", {x}),
              F({3, 1, 2}, {0, 3, 1, 4, 2, 5}));
  EXPECT_THAT(LayerError("Permute", "permute_param { order: 5 }", {{1, 2, 3}}),
              HasSubstr("layer 'l' (Permute)"));
}

TEST(CaffeCrop, OffsetsAndAxes) {
  const Tensor x = Count({1, 1, 4, 4});
  ExpectEqual(RunLayer("Crop", "", {x, Count({1, 1, 2, 2})}), F({1, 1, 2, 2}, {0, 1, 4, 5}));
  ExpectEqual(RunLayer("Crop", "crop_param { offset: 1 }", {x, Count({1, 1, 2, 2})}),
              F({1, 1, 2, 2}, {5, 6, 9, 10}));
  ExpectEqual(
      RunLayer("Crop", "crop_param { axis: -2 offset: 0 offset: 2 }", {x, Count({1, 1, 2, 2})}),
      F({1, 1, 2, 2}, {2, 3, 6, 7}));
  ExpectEqual(RunLayer("Crop", "crop_param { axis: 3 offset: 1 }", {x, Count({1, 9, 9, 1})}),
              F({1, 1, 4, 1}, {1, 5, 9, 13}));
  EXPECT_THAT(LayerError("Crop", "crop_param { offset: 3 }", {{1, 1, 4, 4}, {1, 1, 2, 2}}),
              HasSubstr("leaves the input"));
  EXPECT_THAT(LayerError("Crop", "crop_param { offset: 1 offset: 1 offset: 1 }",
                         {{1, 1, 4, 4}, {1, 1, 2, 2}}),
              HasSubstr("3 offsets"));
}

TEST(CaffeTile, OneAxis) {
  ExpectEqual(RunLayer("Tile", "tile_param { tiles: 2 }", {F({1, 2, 1}, {1, 2})}),
              F({1, 4, 1}, {1, 2, 1, 2}));
  ExpectEqual(RunLayer("Tile", "tile_param { axis: -1 tiles: 2 }", {F({1, 2, 1}, {1, 2})}),
              F({1, 2, 2}, {1, 1, 2, 2}));
  EXPECT_THAT(LayerError("Tile", "", {{1, 2}}), HasSubstr("tiles is 0"));
}

TEST(CaffeShuffleChannel, GroupsChangePlaces) {
  const Tensor x = Count({1, 6, 1, 2});
  const Tensor want = F({1, 6, 1, 2}, {0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11});
  ExpectEqual(RunLayer("ShuffleChannel", "shuffle_channel_param { group: 2 }", {x}), want);
  CaffeOptions options;
  options.input_shapes["x0"] = Shape{1, 6, Dim::Symbol("H"), Dim::Symbol("W")};
  Graph g = Import(OneLayer("ShuffleChannel", "shuffle_channel_param { group: 2 }", {x.dims()}), {},
                   options);
  ExpectEqual(RunGraph(g, {x})[0], want);
  EXPECT_THAT(LayerError("ShuffleChannel", "shuffle_channel_param { group: 4 }", {{1, 6, 1, 2}}),
              HasSubstr("does not divide 6"));
}

TEST(CaffeReorg, InTheOrderOfDarknet) {
  // out[c * ..] as darknet's reorg_cpu writes it, forward = 0.
  const int64_t channels = 4, height = 4, width = 6, s = 2, inner = channels / (s * s);
  const Tensor x = Count({1, channels, height, width});
  Tensor want(DType::kFloat32, {1, channels * s * s, height / s, width / s});
  for (int64_t k = 0; k < channels; ++k)
    for (int64_t j = 0; j < height; ++j)
      for (int64_t i = 0; i < width; ++i) {
        const int64_t offset = k / inner;
        const int64_t h = j * s + offset / s, w = i * s + offset % s;
        want.mutable_data<float>()[i + width * (j + height * k)] =
            x.data<float>()[w + width * s * (h + height * s * (k % inner))];
      }
  ExpectEqual(RunLayer("Reorg", "reorg_param { stride: 2 }", {x}), want);
  EXPECT_THAT(LayerError("Reorg", "reorg_param { stride: 3 }", {x.dims()}),
              HasSubstr("does not divide"));
}

TEST(CaffeUpsample, RepeatsPixels) {
  const Tensor x = F({1, 1, 1, 2}, {1, 2});
  const Tensor want = F({1, 1, 2, 4}, {1, 1, 2, 2, 1, 1, 2, 2});
  ExpectEqual(RunLayer("Upsample", "upsample_param { scale: 2 }", {x}), want);
  ExpectEqual(RunLayer("Upsample", "upsample_param { upsample_h: 2 upsample_w: 4 }", {x}), want);
  EXPECT_THAT(LayerError("Upsample", "upsample_param { scale: 0 }", {{1, 1, 1, 2}}),
              HasSubstr("height and width would be"));
  EXPECT_THAT(LayerError("Upsample", "upsample_param { scale: 2000000000 }", {{1, 1, 1, 2}}),
              HasSubstr("height and width would be"));
}

TEST(CaffeInterp, BetweenTheCornersPixels) {
  const Tensor x = F({1, 1, 2, 2}, {0, 2, 4, 6});
  const Tensor want = F({1, 1, 3, 3}, {0, 1, 2, 2, 3, 4, 4, 5, 6});
  ExpectEqual(RunLayer("Interp", "interp_param { height: 3 width: 3 }", {x}), want);
  ExpectEqual(RunLayer("Interp", "interp_param { zoom_factor: 2 }", {x}), want);
  ExpectEqual(RunLayer("Interp", "", {x, Count({1, 1, 3, 3})}), want);
  ExpectEqual(RunLayer("Interp", "interp_param { shrink_factor: 2 }", {want}), x);
  ExpectEqual(
      RunLayer("Interp", "interp_param { height: 1 width: 1 pad_beg: -1 pad_end: -1 }", {want}),
      F({1, 1, 1, 1}, {3}));
  EXPECT_THAT(LayerError("Interp", "interp_param { pad_beg: 1 }", {{1, 1, 2, 2}}),
              HasSubstr("must not be positive"));
  EXPECT_THAT(LayerError("Interp", "interp_param { pad_beg: -2 }", {{1, 1, 2, 2}}),
              HasSubstr("height and width would be"));
  EXPECT_THAT(LayerError("Interp", "", {{1, 1, 2, 2}}), HasSubstr("height and width would be"));
}

TEST(CaffeParameter, IsAConstant) {
  const Tensor learned = F({1, 2}, {3, 4});
  Graph g = Import(InputText("x", {1, 2}) + R"(
    layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 1 dim: 2 } } }
    layer { name: "s" type: "Eltwise" bottom: "x" bottom: "p" top: "s" })",
                   {{"p", {learned}}});
  ExpectEqual(RunGraph(g, {F({1, 2}, {10, 20})})[0], F({1, 2}, {13, 24}));
}

}  // namespace
}  // namespace sula::caffe
