// Whole models: inputs, initializers, types, names, functions, declared shapes, errors.
#include <filesystem>
#include <fstream>

#include "onnx_builder.h"

namespace sula::onnx {
namespace {

Model ReluModel() {
  Model m;
  m.Input("x", DType::kFloat32, {2}).Node("Relu", {"x"}, {"y"}, {}, "relu").Output("y");
  return m;
}

TEST(OnnxModel, ReadsAGraph) {
  Model m = ReluModel();
  m.proto.set_producer_name("maker");
  auto g = m.Import();
  ASSERT_TRUE(g) << g.error().ToString();
  EXPECT_EQ(g->name, "test");
  EXPECT_EQ(g->metadata.at("format"), "onnx");
  ASSERT_EQ(g->inputs().size(), 1u);
  EXPECT_EQ(g->value(g->inputs()[0]).name, "x");
  ASSERT_EQ(g->outputs().size(), 1u);
  EXPECT_EQ(g->value(g->outputs()[0]).name, "y");
  EXPECT_EQ(g->value(g->outputs()[0]).type.ToString(), "float32[2]");
  EXPECT_EQ(g->node(0).name, "relu");
}

TEST(OnnxModel, FileErrors) {
  ExpectError(ImportOnnx("/nonexistent/model.onnx"), Code::kNotFound, "/nonexistent/model.onnx");
  ExpectError(ImportOnnx(WriteTestFile("empty.onnx", "")), Code::kInvalidModel, "graph");
  ExpectError(ImportOnnx(WriteTestFile("text.onnx", "this is no protobuf")), Code::kInvalidModel,
              "text.onnx");
  std::string bytes = ReluModel().Bytes();
  ExpectError(ImportOnnx(WriteTestFile("short.onnx", bytes.substr(0, bytes.size() - 3))),
              Code::kInvalidModel, "short.onnx");
}

TEST(OnnxModel, OpsetsAreChecked) {
  Model none = ReluModel();
  none.proto.clear_opset_import();
  ExpectError(none.Import(), Code::kInvalidModel, "operator set");
  none.proto.set_ir_version(2);  // before operator sets
  EXPECT_TRUE(none.Import().has_value());

  Model newer = ReluModel();
  newer.proto.mutable_opset_import(0)->set_version(99);
  ExpectError(newer.Import(), Code::kUnsupported, "99", "28");
  newer.proto.mutable_opset_import(0)->set_version(0);
  ExpectError(newer.Import(), Code::kInvalidModel, "0");

  Model other = ReluModel();
  other.proto.mutable_opset_import(0)->set_domain("ai.onnx.ml");
  ExpectError(other.Import(), Code::kInvalidModel, "version of ONNX's operators");
  other.proto.mutable_opset_import(0)->set_domain("ai.onnx");
  EXPECT_TRUE(other.Import().has_value());
}

TEST(OnnxModel, InitializersThatAreInputsAreConstants) {
  Model m(8);
  m.Input("x", DType::kFloat32, {2}).Input("w", DType::kFloat32, {2});
  m.Init("w", Make({2}, {10, 20})).Node("Add", {"x", "w"}, {"y"}).Output("y");
  auto g = m.Import();
  ASSERT_TRUE(g) << g.error().ToString();
  ASSERT_EQ(g->inputs().size(), 1u);
  auto y = EvaluateGraph(*g, std::vector<Tensor>{Make({2}, {1, 2})});
  ASSERT_TRUE(y);
  ExpectTensor((*y)[0], Make({2}, {11, 22}));
}

TEST(OnnxModel, OutputsThatAreInputsOrInitializersGetANode) {
  Model m;
  m.Input("x", DType::kFloat32, {1}).Init("c", Make({1}, {7}));
  m.Node("Relu", {"x"}, {"y"}).Output("c").Output("x").Output("y");
  auto g = m.Import();
  ASSERT_TRUE(g) << g.error().ToString();
  auto out = EvaluateGraph(*g, std::vector<Tensor>{Make({1}, {-3})});
  ASSERT_TRUE(out) << out.error().ToString();
  ASSERT_EQ(out->size(), 3u);
  ExpectTensor((*out)[0], Make({1}, {7}));
  ExpectTensor((*out)[1], Make({1}, {-3}));
  ExpectTensor((*out)[2], Make({1}, {0}));
  for (ValueId v : g->outputs()) EXPECT_NE(g->value(v).producer, kNoNode);
}

TEST(OnnxModel, NodesMayStandInAnyOrder) {
  Model m;
  m.Input("x", DType::kFloat32, {1});
  m.Node("Neg", {"b"}, {"c"}).Node("Neg", {"a"}, {"b"}).Node("Neg", {"x"}, {"a"}).Output("c");
  auto g = m.Import();
  ASSERT_TRUE(g) << g.error().ToString();
  auto out = EvaluateGraph(*g, std::vector<Tensor>{Make({1}, {5})});
  ASSERT_TRUE(out);
  ExpectTensor((*out)[0], Make({1}, {-5}));
}

TEST(OnnxModel, BrokenGraphsAreNamed) {
  Model cycle;
  cycle.Input("x", DType::kFloat32, {1});
  cycle.Node("Add", {"x", "b"}, {"a"}, {}, "first").Node("Neg", {"a"}, {"b"}).Output("b");
  ExpectError(cycle.Import(), Code::kInvalidModel, "cycle", "first");

  Model twice = ReluModel();
  twice.Node("Neg", {"x"}, {"y"}, {}, "again");
  ExpectError(twice.Import(), Code::kInvalidModel, "'y'", "relu", "again");

  Model missing = ReluModel();
  missing.Node("Neg", {"nothing"}, {"z"}, {}, "reader");
  ExpectError(missing.Import(), Code::kInvalidModel, "'nothing'", "reader");

  Model no_output = ReluModel();
  no_output.graph().clear_output();
  ExpectError(no_output.Import(), Code::kInvalidModel, "no output");

  Model unknown_output = ReluModel();
  unknown_output.Output("z");
  ExpectError(unknown_output.Import(), Code::kInvalidModel, "'z'");

  Model arity = ReluModel();
  arity.Node("Add", {"x"}, {"z"}, {}, "sum").Output("z");
  ExpectError(arity.Import(), Code::kInvalidModel, "sum", "Add", "1 inputs");

  Model absent = ReluModel();
  absent.Node("Add", {"", "x"}, {"z"}, {}, "sum").Output("z");
  ExpectError(absent.Import(), Code::kInvalidModel, "sum", "input 0");

  Model inputs = ReluModel();
  inputs.Input("x", DType::kFloat32, {2});
  ExpectError(inputs.Import(), Code::kInvalidModel, "'x'");

  Model initializers = ReluModel();
  initializers.Init("w", Make({1}, {1})).Init("w", Make({1}, {1}));
  ExpectError(initializers.Import(), Code::kInvalidModel, "'w'");
}

TEST(OnnxModel, AttributesAreChecked) {
  Model type = ReluModel();
  type.Node("Softmax", {"x"}, {"z"}, {Attr("axis", "last")}, "soft").Output("z");
  ExpectError(type.Import(), Code::kInvalidModel, "soft", "axis", "integer");

  Model unknown = ReluModel();
  unknown.Node("Relu", {"x"}, {"z"}, {Attr("slope", 0.5f)}, "leaky").Output("z");
  ExpectError(unknown.Import(), Code::kUnsupported, "leaky", "slope");

  Model missing = ReluModel();
  missing.Node("Concat", {"x", "x"}, {"z"}, {}, "cat").Output("z");
  ExpectError(missing.Import(), Code::kInvalidModel, "cat", "axis");

  Model twice = ReluModel();
  twice.Node("Softmax", {"x"}, {"z"}, {Attr("axis", 0), Attr("axis", 0)}, "soft").Output("z");
  ExpectError(twice.Import(), Code::kInvalidModel, "soft", "axis");

  Model choice = ReluModel();
  choice.Node("Gelu", {"x"}, {"z"}, {Attr("approximate", "fast")}, "gelu").Output("z");
  ExpectError(choice.Import(), Code::kInvalidModel, "gelu", "fast", "tanh");
}

TEST(OnnxModel, AllThatIsUnsupportedIsListedAtOnce) {
  Model m;
  m.Input("x", DType::kFloat32, {2}).Input("t", DType::kFloat32, {2});
  m.Node("Foo", {"x"}, {"a"}, {}, "foo1")
      .Node("Relu", {"a"}, {"b"})
      .Node("Foo", {"b"}, {"c"}, {}, "foo2");
  m.Node("Bar", {"x"}, {"d"}, {}, "bar").Node("Dropout", {"x", "", "x"}, {"e"}, {}, "drop");
  m.graph().mutable_node(3)->set_domain("com.example");
  m.Init("s", Make({1}, {1}));
  m.graph().mutable_initializer(0)->set_data_type(TensorProto::UINT16);
  m.Node("Add", {"x", "s"}, {"f"}).Output("c");
  ExpectError(m.Import(), Code::kUnsupported, "operator Foo", "foo1", "foo2",
              "operator com.example:Bar", "'bar'", "training_mode", "drop", "uint16", "'s'");
}

TEST(OnnxModel, UnsupportedInputTypes) {
  Model m = ReluModel();
  m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      TensorProto::STRING);
  ExpectError(m.Import(), Code::kUnsupported, "string", "'x'");
  m.graph().mutable_input(0)->mutable_type()->mutable_sequence_type();
  ExpectError(m.Import(), Code::kUnsupported, "sequence", "'x'");
  m.graph().mutable_input(0)->clear_type();
  ExpectError(m.Import(), Code::kInvalidModel, "type", "'x'");
}

TEST(OnnxModel, SymbolicSizes) {
  Model m;
  m.Input("x", DType::kFloat32, {"N", "batch size", "batch-size", -1, "?", 0, 3, "", "7up"});
  m.Node("Relu", {"x"}, {"y"}).Output("y");
  auto g = m.Import();
  ASSERT_TRUE(g) << g.error().ToString();
  const sula::Shape& s = *g->value(g->outputs()[0]).type.shape;
  ASSERT_EQ(s.rank(), 9);
  EXPECT_EQ(s[0].ToString(), "N");
  EXPECT_EQ(s[6].TryValue(), 3);
  for (int i = 0; i < 9; ++i)
    for (int j = 0; j < i; ++j) EXPECT_FALSE(s[i] == s[j]) << i << " " << j << " " << s.ToString();
  // Their names are in the alphabet of sizes: the text form reads back.
  for (int i = 0; i < 9; ++i) {
    auto again = Dim::Parse(s[i].ToString());
    ASSERT_TRUE(again) << s[i].ToString();
    EXPECT_EQ(*again, s[i]);
  }
}

TEST(OnnxModel, GivenInputShapes) {
  Model m;
  m.Input("x", DType::kFloat32, {"N", 3}).Node("Relu", {"x"}, {"y"}).Output("y");
  OnnxOptions options;
  options.input_shapes["x"] = sula::Shape{5, 3};
  auto g = m.Import(options);
  ASSERT_TRUE(g) << g.error().ToString();
  EXPECT_EQ(g->value(g->outputs()[0]).type.ToString(), "float32[5,3]");
  options.input_shapes["x"] = sula::Shape{5};
  ExpectError(m.Import(options), Code::kInvalidArgument, "'x'", "[5]");
  options.input_shapes = {{"z", sula::Shape{5}}};
  ExpectError(m.Import(options), Code::kInvalidArgument, "'z'");
}

TEST(OnnxModel, DeclaredTypesAreCompared) {
  Model m = ReluModel();
  Model::Declare(m.graph().mutable_output(0), "y", TensorProto::FLOAT, {"anything"});
  EXPECT_TRUE(m.Import().has_value());
  Model::Declare(m.graph().mutable_output(0), "y", TensorProto::FLOAT, {3});
  m.graph()
      .mutable_output(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim()
      ->DeleteSubrange(0, 1);
  ExpectError(m.Import(), Code::kInvalidModel, "'y'", "float32[3]", "float32[2]");
  Model type = ReluModel();
  Model::Declare(type.graph().add_value_info(), "y", TensorProto::INT32, {2});
  ExpectError(type.Import(), Code::kInvalidModel, "'y'", "int32[2]", "float32[2]");
}

TEST(OnnxModel, EqualNodeNamesAreMadeUnique) {
  Model m;
  m.Input("x", DType::kFloat32, {1})
      .Node("Neg", {"x"}, {"a"}, {}, "n")
      .Node("Neg", {"a"}, {"b"}, {}, "n");
  m.Output("b");
  auto g = m.Import();
  ASSERT_TRUE(g) << g.error().ToString();
  EXPECT_NE(g->node(0).name, g->node(1).name);
}

// ---- functions

FunctionProto ScaleFunction() {  // y = LeakyRelu(x, alpha = slope) + bias
  FunctionProto f;
  f.set_name("Scale");
  f.set_domain("own");
  f.add_input("x");
  f.add_input("bias");
  f.add_output("y");
  f.add_attribute("slope");
  f.add_opset_import()->set_version(17);
  *f.add_node() =
      MakeNode("LeakyRelu", {"x"}, {"t"}, {AttrRef("alpha", "slope", AttributeProto::FLOAT)});
  *f.add_node() = MakeNode("Add", {"t", "bias"}, {"y"});
  return f;
}

Model CallModel() {
  Model m;
  m.proto.add_opset_import()->set_domain("own");
  m.proto.mutable_opset_import(1)->set_version(1);
  *m.proto.add_functions() = ScaleFunction();
  m.Input("x", DType::kFloat32, {2}).Init("b", Make({1}, {1}));
  m.Node("Scale", {"x", "b"}, {"h"}, {Attr("slope", 0.5f)}, "call1");
  m.Node("Scale", {"h", "b"}, {"y"}, {Attr("slope", 2.0f)}, "call2");
  m.graph().mutable_node(0)->set_domain("own");
  m.graph().mutable_node(1)->set_domain("own");
  m.Output("y");
  return m;
}

TEST(OnnxFunctions, AreInlinedWithTheirAttributes) {
  auto g = CallModel().Import();
  ASSERT_TRUE(g) << g.error().ToString();
  EXPECT_EQ(g->value(g->outputs()[0]).name, "y");
  auto out = EvaluateGraph(*g, std::vector<Tensor>{Make({2}, {-8, 3})});
  ASSERT_TRUE(out) << out.error().ToString();
  ExpectTensor((*out)[0], Make({2}, {-5, 5}));  // (-8/2 + 1) * 2 + 1, 3 + 1 + 1
}

TEST(OnnxFunctions, AttributesHaveDefaults) {
  Model m = CallModel();
  m.proto.mutable_functions(0)->clear_attribute();
  *m.proto.mutable_functions(0)->add_attribute_proto() = Attr("slope", 0.25f);
  m.graph().mutable_node(0)->clear_attribute();
  auto g = m.Import();
  ASSERT_TRUE(g) << g.error().ToString();
  auto out = EvaluateGraph(*g, std::vector<Tensor>{Make({2}, {-8, 3})});
  ASSERT_TRUE(out);
  ExpectTensor((*out)[0], Make({2}, {-1, 5}));
}

TEST(OnnxFunctions, Errors) {
  Model circle = CallModel();
  circle.proto.mutable_functions(0)->mutable_node(1)->set_op_type("Scale");
  circle.proto.mutable_functions(0)->mutable_node(1)->set_domain("own");
  ExpectError(circle.Import(), Code::kInvalidModel, "circle", "call1");

  Model arity = CallModel();
  arity.graph().mutable_node(0)->add_input("b");
  ExpectError(arity.Import(), Code::kInvalidModel, "Scale", "call1");

  Model unsupported = CallModel();
  unsupported.proto.mutable_functions(0)->mutable_node(0)->set_op_type("Foo");
  ExpectError(unsupported.Import(), Code::kUnsupported, "Foo", "call1");

  Model reference = ReluModel();
  reference.Node("Elu", {"x"}, {"z"}, {AttrRef("alpha", "a", AttributeProto::FLOAT)}, "elu");
  ExpectError(reference.Import(), Code::kInvalidModel, "elu", "function");

  Model twice = CallModel();
  *twice.proto.add_functions() = ScaleFunction();
  ExpectError(twice.Import(), Code::kInvalidModel, "Scale", "twice");
}

// Each function calls the next one twice, 40 levels deep: 2^40 nodes if it were believed.
TEST(OnnxFunctions, MultiplicationIsBounded) {
  constexpr int kLevels = 40;
  Model m;
  m.proto.add_opset_import()->set_domain("own");
  m.proto.mutable_opset_import(1)->set_version(1);
  for (int i = 0; i < kLevels; ++i) {
    FunctionProto f;
    f.set_name(StrCat("f", i));
    f.set_domain("own");
    f.add_input("x");
    f.add_output("y");
    bool leaf = i + 1 == kLevels;
    std::string next = leaf ? "Relu" : StrCat("f", i + 1);
    *f.add_node() = MakeNode(next, {"x"}, {"t"});
    *f.add_node() = MakeNode(next, {"t"}, {"y"});
    if (!leaf)
      for (NodeProto& n : *f.mutable_node()) n.set_domain("own");
    *m.proto.add_functions() = f;
  }
  m.Input("x", DType::kFloat32, {1}).Node("f0", {"x"}, {"y"}, {}, "top").Output("y");
  m.graph().mutable_node(0)->set_domain("own");
  ExpectError(m.Import(), Code::kResourceExhausted, "nodes");
}

}  // namespace
}  // namespace sula::onnx
