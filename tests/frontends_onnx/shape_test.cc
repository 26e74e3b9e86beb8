// Translations of operators about shapes, moved elements, reductions and indices.
#include "onnx_builder.h"

namespace sula::onnx {
namespace {

const Tensor k23 = Make({2, 3}, {1, 2, 3, 4, 5, 6});

TEST(OnnxShape, ReshapeByAttributeAndByInput) {
  ExpectRun({.op = "Reshape",
             .opset = 1,
             .inputs = {k23},
             .attributes = {Attr("shape", std::vector<int64_t>{3, -1})}},
            {k23.Reshaped({3, 2})});
  ExpectRun({.op = "Reshape", .opset = 5, .inputs = {k23, Ints({0, 1, -1})}},
            {k23.Reshaped({2, 1, 3})});
  ExpectRun({.op = "Reshape",
             .opset = 14,
             .inputs = {Tensor(DType::kFloat32, {0, 3}), Ints({3, 0})},
             .attributes = {Attr("allowzero", 1)}},
            {Tensor(DType::kFloat32, {3, 0})});
  ExpectError(OneNode{.op = "Reshape", .opset = 5, .inputs = {k23}}.Build().Import(),
              Code::kInvalidModel, "shape");
}

TEST(OnnxShape, AxesByAttributeAndByInput) {
  const Tensor x = k23.Reshaped({1, 2, 3, 1});
  const Attrs first = {Attr("axes", std::vector<int64_t>{0})};
  ExpectRun({.op = "Squeeze", .opset = 1, .inputs = {x}, .attributes = first},
            {x.Reshaped({2, 3, 1})});
  ExpectRun({.op = "Squeeze", .opset = 11, .inputs = {x}}, {x.Reshaped({2, 3})});
  ExpectRun({.op = "Squeeze", .opset = 13, .inputs = {x, Ints({-1})}}, {x.Reshaped({1, 2, 3})});
  ExpectRun({.op = "Squeeze", .opset = 13, .inputs = {x}}, {x.Reshaped({2, 3})});
  ExpectRun({.op = "Unsqueeze",
             .opset = 1,
             .inputs = {k23},
             .attributes = {Attr("axes", std::vector<int64_t>{0, 3})}},
            {x});
  ExpectRun({.op = "Unsqueeze", .opset = 13, .inputs = {k23, Ints({0, -1})}}, {x});
  ExpectError(OneNode{.op = "Unsqueeze", .opset = 13, .inputs = {k23}, .attributes = first}
                  .Build()
                  .Import(),
              Code::kInvalidModel, "axes");
}

TEST(OnnxShape, FlattenShapeSizeExpand) {
  const Tensor x = Tensor(DType::kFloat32, {2, 3, 4});
  ExpectRun({.op = "Flatten", .inputs = {x}}, {Tensor(DType::kFloat32, {2, 12})});
  ExpectRun({.op = "Flatten", .inputs = {x}, .attributes = {Attr("axis", -1)}},
            {Tensor(DType::kFloat32, {6, 4})});
  ExpectRun({.op = "Shape", .inputs = {x}}, {Ints({2, 3, 4})});
  ExpectRun({.op = "Shape",
             .opset = 15,
             .inputs = {x},
             .attributes = {Attr("start", -2), Attr("end", -1)}},
            {Ints({3})});
  ExpectRun({.op = "Size", .inputs = {x}}, {Make<int64_t>({}, {24})});
  ExpectRun({.op = "Expand", .inputs = {Make({2, 1}, {1, 2}), Ints({2, 2})}},
            {Make({2, 2}, {1, 1, 2, 2})});
}

TEST(OnnxShape, ConstantsOfEveryForm) {
  auto run = [](AttributeProto value, const Tensor& want) {
    ExpectRun({.op = "Constant", .opset = 13, .attributes = {value}}, {want});
  };
  run(Attr("value", k23), k23);
  run(Attr("value_float", 2.5f), Make({}, {2.5f}));
  run(Attr("value_floats", std::vector<float>{1, 2}), Make({2}, {1, 2}));
  run(Attr("value_int", 7), Make<int64_t>({}, {7}));
  run(Attr("value_ints", std::vector<int64_t>{7, 8}), Ints({7, 8}));
  auto import = [](const Attrs& attributes) {
    return OneNode{.op = "Constant", .opset = 13, .attributes = attributes}.Build().Import();
  };
  ExpectError(import({Attr("value_string", "x")}), Code::kUnsupported, "string", "node");
  ExpectError(import({Named("sparse_value", AttributeProto::SPARSE_TENSOR)}), Code::kUnsupported,
              "sparse");
  ExpectError(import({}), Code::kInvalidModel, "value");
  ExpectError(import({Attr("value_int", 7), Attr("value_float", 1.0f)}), Code::kInvalidModel, "2");
}

TEST(OnnxShape, TensorsFromSizes) {
  ExpectRun({.op = "ConstantOfShape", .inputs = {Ints({2})}}, {Make({2}, {0, 0})});
  ExpectRun({.op = "ConstantOfShape",
             .inputs = {Ints({2})},
             .attributes = {Attr("value", Make<int32_t>({1}, {9}))}},
            {Make<int32_t>({2}, {9, 9})});
  ExpectRun({.op = "Range",
             .inputs = {Make<int64_t>({}, {3}), Make<int64_t>({}, {9}), Make<int64_t>({}, {3})}},
            {Ints({3, 6})});
  ExpectRun({.op = "EyeLike",
             .inputs = {k23},
             .attributes = {Attr("k", 1), Attr("dtype", TensorProto::INT32)}},
            {Make<int32_t>({2, 3}, {0, 1, 0, 0, 0, 1})});
  ExpectError(OneNode{.op = "ConstantOfShape",
                      .inputs = {Ints({2})},
                      .attributes = {Attr("value", Make({2}, {1, 2}))}}
                  .Build()
                  .Import(),
              Code::kInvalidModel, "2 elements");
}

TEST(OnnxMovement, TransposeAndConcat) {
  ExpectRun({.op = "Transpose", .inputs = {k23}}, {Make({3, 2}, {1, 4, 2, 5, 3, 6})});
  ExpectRun({.op = "Transpose",
             .inputs = {k23},
             .attributes = {Attr("perm", std::vector<int64_t>{0, 1})}},
            {k23});
  const Tensor row = Make({1, 2}, {1, 2});
  ExpectRun({.op = "Concat", .inputs = {row, row}, .attributes = {Attr("axis", 0)}},
            {Make({2, 2}, {1, 2, 1, 2})});
  ExpectRun({.op = "Concat", .opset = 1, .inputs = {row, row}}, {Make({1, 4}, {1, 2, 1, 2})});
}

TEST(OnnxMovement, SplitOfEveryForm) {
  const Tensor x = Make({5}, {1, 2, 3, 4, 5});
  const std::vector<Tensor> parts = {Make({2}, {1, 2}), Make({3}, {3, 4, 5})};
  const Attrs sizes = {Attr("split", std::vector<int64_t>{2, 3})};
  for (int64_t opset : {1, 2, 11})
    ExpectRun({.op = "Split", .opset = opset, .inputs = {x}, .attributes = sizes, .outputs = 2},
              parts);
  ExpectRun({.op = "Split", .opset = 13, .inputs = {x, Ints({2, 3})}, .outputs = 2}, parts);
  ExpectRun(
      {.op = "Split", .opset = 13, .inputs = {k23}, .attributes = {Attr("axis", 1)}, .outputs = 3},
      {Make({2, 1}, {1, 4}), Make({2, 1}, {2, 5}), Make({2, 1}, {3, 6})});
  ExpectRun({.op = "Split",
             .opset = 18,
             .inputs = {x},
             .attributes = {Attr("num_outputs", 2)},
             .outputs = 2},
            {Make({3}, {1, 2, 3}), Make({2}, {4, 5})});
  ExpectError(OneNode{.op = "Split",
                      .opset = 18,
                      .inputs = {x},
                      .attributes = {Attr("num_outputs", 3)},
                      .outputs = 2}
                  .Build()
                  .Import(),
              Code::kInvalidModel, "num_outputs");
}

TEST(OnnxMovement, SliceByAttributeAndByInput) {
  const Tensor want = Make({2, 2}, {2, 3, 5, 6});
  ExpectRun({.op = "Slice",
             .opset = 1,
             .inputs = {k23},
             .attributes = {Attr("axes", std::vector<int64_t>{1}),
                            Attr("starts", std::vector<int64_t>{1}),
                            Attr("ends", std::vector<int64_t>{100})}},
            {want});
  ExpectRun({.op = "Slice",
             .opset = 9,
             .inputs = {k23},
             .attributes = {Attr("starts", std::vector<int64_t>{0, 1}),
                            Attr("ends", std::vector<int64_t>{2, 3})}},
            {want});
  ExpectRun({.op = "Slice", .opset = 10, .inputs = {k23, Ints({1}), Ints({3}), Ints({1})}}, {want});
  ExpectRun(
      {.op = "Slice", .opset = 13, .inputs = {k23, Ints({2}), Ints({-100}), Ints({1}), Ints({-2})}},
      {Make({2, 2}, {3, 1, 6, 4})});
}

TEST(OnnxMovement, PadOfEveryForm) {
  const Tensor x = Make({2}, {1, 2}), want = Make({5}, {9, 1, 2, 9, 9});
  const std::vector<int64_t> pads = {1, 2};
  ExpectRun({.op = "Pad",
             .opset = 1,
             .inputs = {x},
             .attributes = {Attr("paddings", pads), Attr("value", 9.0f)}},
            {want});
  ExpectRun({.op = "Pad",
             .opset = 2,
             .inputs = {x},
             .attributes = {Attr("pads", pads), Attr("value", 9.0f)}},
            {want});
  ExpectRun({.op = "Pad", .opset = 11, .inputs = {x, Ints({1, 2}), Make({}, {9})}}, {want});
  ExpectRun({.op = "Pad",
             .opset = 18,
             .inputs = {k23, Ints({1, 0}), Absent(), Ints({1})},
             .attributes = {Attr("mode", "edge")}},
            {Make({2, 4}, {1, 1, 2, 3, 4, 4, 5, 6})});
  ExpectRun({.op = "Pad",
             .opset = 2,
             .inputs = {x},
             .attributes = {Attr("pads", std::vector<int64_t>{1, 1}), Attr("mode", "reflect")}},
            {Make({4}, {2, 1, 2, 1})});
  ExpectRun(
      {.op = "Pad", .opset = 19, .inputs = {x, Ints({1, 1})}, .attributes = {Attr("mode", "wrap")}},
      {Make({4}, {2, 1, 2, 1})});
}

TEST(OnnxMovement, TileOfBothForms) {
  const Tensor want = Make({1, 4}, {1, 2, 1, 2});
  const Tensor x = Make({1, 2}, {1, 2});
  ExpectRun({.op = "Tile", .opset = 6, .inputs = {x, Ints({1, 2})}}, {want});
  ExpectRun({.op = "Tile",
             .opset = 1,
             .inputs = {x, Make<int64_t>({}, {2}), Make<int64_t>({}, {1})},
             .constant = {1, 2}},
            {want});
  ExpectError(OneNode{.op = "Tile",
                      .opset = 1,
                      .inputs = {x, Make<int64_t>({}, {2}), Make<int64_t>({}, {2})},
                      .constant = {1, 2}}
                  .Build()
                  .Import(),
              Code::kInvalidModel, "axis");
}

TEST(OnnxMovement, Blocks) {
  const Tensor depth = Make({1, 8, 1, 1}, {0, 1, 2, 3, 4, 5, 6, 7});
  const Tensor dcr = Make({1, 2, 2, 2}, {0, 2, 4, 6, 1, 3, 5, 7});
  const Tensor crd = Make({1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  const AttributeProto size = Attr("blocksize", 2), order = Attr("mode", "CRD");
  ExpectRun({.op = "DepthToSpace", .opset = 1, .inputs = {depth}, .attributes = {size}}, {dcr});
  ExpectRun({.op = "DepthToSpace", .opset = 13, .inputs = {depth}, .attributes = {size, order}},
            {crd});
  ExpectRun({.op = "SpaceToDepth", .opset = 13, .inputs = {dcr}, .attributes = {size}}, {depth});
  ExpectRun({.op = "SpaceToDepth", .opset = 28, .inputs = {crd}, .attributes = {size, order}},
            {depth});
}

TEST(OnnxMovement, SequencesAndTriangles) {
  const Tensor x = Make({2, 2}, {1, 2, 3, 4});
  ExpectRun({.op = "ReverseSequence", .inputs = {x, Ints({2, 1})}}, {Make({2, 2}, {3, 2, 1, 4})});
  ExpectRun({.op = "ReverseSequence",
             .inputs = {x, Ints({2, 1})},
             .attributes = {Attr("time_axis", 1), Attr("batch_axis", 0)}},
            {Make({2, 2}, {2, 1, 3, 4})});
  ExpectRun({.op = "Trilu", .inputs = {x}}, {Make({2, 2}, {1, 2, 0, 4})});
  ExpectRun(
      {.op = "Trilu", .inputs = {x, Make<int64_t>({}, {-1})}, .attributes = {Attr("upper", 0)}},
      {Make({2, 2}, {0, 0, 3, 0})});
}

TEST(OnnxReduce, AxesByAttributeAndByInput) {
  const AttributeProto last = Attr("axes", std::vector<int64_t>{-1}), drop = Attr("keepdims", 0);
  ExpectRun({.op = "ReduceSum", .opset = 11, .inputs = {k23}, .attributes = {last, drop}},
            {Make({2}, {6, 15})});
  ExpectRun({.op = "ReduceSum", .opset = 13, .inputs = {k23, Ints({1})}}, {Make({2, 1}, {6, 15})});
  ExpectRun({.op = "ReduceMean", .opset = 13, .inputs = {k23}, .attributes = {last}},
            {Make({2, 1}, {2, 5})});
  ExpectRun({.op = "ReduceMean", .opset = 18, .inputs = {k23, Ints({0})}, .attributes = {drop}},
            {Make({3}, {2.5f, 3.5f, 4.5f})});
  ExpectRun({.op = "ReduceMax", .opset = 1, .inputs = {k23}}, {Make({1, 1}, {6})});
  ExpectRun({.op = "ReduceMin",
             .opset = 18,
             .inputs = {k23},
             .attributes = {Attr("noop_with_empty_axes", 1)}},
            {k23});
  ExpectError(OneNode{.op = "ReduceMax", .opset = 13, .inputs = {k23, Ints({0})}}.Build().Import(),
              Code::kInvalidModel, "axes");
}

TEST(OnnxReduce, OperatorsMapByName) {
  const Tensor x = Make({2}, {3, 4});
  const std::vector<std::pair<std::string, double>> all = {
      {"ReduceL1", 7},
      {"ReduceL2", 5},
      {"ReduceLogSum", std::log(7.0)},
      {"ReduceLogSumExp", std::log(std::exp(3.0) + std::exp(4.0))},
      {"ReduceMax", 4},
      {"ReduceMean", 3.5},
      {"ReduceMin", 3},
      {"ReduceProd", 12},
      {"ReduceSum", 7},
      {"ReduceSumSquare", 25}};
  for (const auto& [op, want] : all)
    ExpectRun({.op = op, .opset = 18, .inputs = {x}}, {Make({1}, {static_cast<float>(want)})},
              1.2e-7);
}

TEST(OnnxReduce, ArgCumSumTopK) {
  const Tensor x = Make({2, 3}, {3, 1, 3, 0, 5, 2});
  ExpectRun({.op = "ArgMax", .opset = 12, .inputs = {x}, .attributes = {Attr("axis", 1)}},
            {Make<int64_t>({2, 1}, {0, 1})});
  ExpectRun({.op = "ArgMax",
             .opset = 12,
             .inputs = {x},
             .attributes = {Attr("axis", 1), Attr("select_last_index", 1), Attr("keepdims", 0)}},
            {Ints({2, 1})});
  ExpectRun({.op = "ArgMin", .inputs = {x}}, {Make<int64_t>({1, 3}, {1, 0, 1})});
  ExpectRun({.op = "CumSum",
             .inputs = {Make({3}, {1, 2, 3}), Make<int64_t>({}, {0})},
             .attributes = {Attr("exclusive", 1), Attr("reverse", 1)}},
            {Make({3}, {5, 3, 0})});
  const std::vector<Tensor> top = {Make({2, 1}, {3, 5}), Make<int64_t>({2, 1}, {0, 1})};
  ExpectRun({.op = "TopK", .opset = 1, .inputs = {x}, .attributes = {Attr("k", 1)}, .outputs = 2},
            top);
  ExpectRun({.op = "TopK", .opset = 10, .inputs = {x, Ints({1})}, .outputs = 2}, top);
  ExpectRun({.op = "TopK",
             .opset = 11,
             .inputs = {x, Ints({1})},
             .attributes = {Attr("largest", 0), Attr("axis", 0)},
             .outputs = 2},
            {Make({1, 3}, {0, 1, 2}), Make<int64_t>({1, 3}, {1, 0, 1})});
}

TEST(OnnxGather, OperatorsMapByName) {
  ExpectRun({.op = "Gather", .inputs = {k23, Ints({2, 0})}, .attributes = {Attr("axis", 1)}},
            {Make({2, 2}, {3, 1, 6, 4})});
  ExpectRun({.op = "GatherElements", .inputs = {k23, Make<int64_t>({1, 3}, {1, 0, 1})}},
            {Make({1, 3}, {4, 2, 6})});
  ExpectRun({.op = "GatherND",
             .inputs = {k23, Make<int64_t>({2, 1}, {2, 0})},
             .attributes = {Attr("batch_dims", 1)}},
            {Make({2}, {3, 4})});
  const Tensor at = Make<int64_t>({1, 2}, {1, 1}), update = Make({1, 2}, {10, 20});
  const AttributeProto row = Attr("axis", 1);
  const Tensor base = Make({1, 3}, {1, 2, 3});
  for (const char* op : {"Scatter", "ScatterElements"})
    ExpectRun({.op = op,
               .opset = 11,
               .inputs = {base, Make<int64_t>({1, 1}, {1}), Make({1, 1}, {9})},
               .attributes = {row}},
              {Make({1, 3}, {1, 9, 3})});
  ExpectRun({.op = "ScatterElements",
             .opset = 18,
             .inputs = {base, at, update},
             .attributes = {row, Attr("reduction", "add")}},
            {Make({1, 3}, {1, 32, 3})});
  ExpectRun({.op = "ScatterND",
             .opset = 18,
             .inputs = {Make({3}, {1, 2, 3}), Make<int64_t>({2, 1}, {0, 2}), Make({2}, {5, 6})},
             .attributes = {Attr("reduction", "max")}},
            {Make({3}, {5, 2, 6})});
  ExpectRun({.op = "OneHot", .inputs = {Ints({1}), Make<int64_t>({}, {3}), Make({2}, {0, 8})}},
            {Make({1, 3}, {0, 8, 0})});
  ExpectRun({.op = "NonZero", .inputs = {Make({3}, {0, 1, 2})}}, {Make<int64_t>({1, 2}, {1, 2})});
  ExpectRun({.op = "NonMaxSuppression",
             .opset = 11,
             .inputs = {Make({1, 2, 4}, {0, 0, 1, 1, 0, 0, 1, 1}), Make({1, 1, 2}, {0.5f, 0.9f}),
                        Make<int64_t>({}, {2}), Make({}, {0.5f})}},
            {Make<int64_t>({1, 3}, {0, 0, 1})});
}

}  // namespace
}  // namespace sula::onnx
