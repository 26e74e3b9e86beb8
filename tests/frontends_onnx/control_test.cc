// If and Loop: bodies, what they capture, and branches that are known beforehand.
#include "ops/control.h"
#include "onnx_builder.h"

namespace sula::onnx {
namespace {

AttributeProto Body(const std::string& name, const GraphProto& graph) {
  AttributeProto a = Named(name, AttributeProto::GRAPH);
  *a.mutable_g() = graph;
  return a;
}

GraphProto Branch(const std::vector<NodeProto>& nodes, const Names& outputs) {
  GraphProto g;
  g.set_name("branch");
  for (const NodeProto& n : nodes) *g.add_node() = n;
  for (const std::string& o : outputs) g.add_output()->set_name(o);
  return g;
}

// y = c ? x + w : -x, with x captured and w an initializer outside.
Model IfModel() {
  Model m;
  m.Input("c", DType::kBool, {}).Input("x", DType::kFloat32, {2}).Init("w", Make({1}, {10}));
  m.Node("If", {"c"}, {"y"},
         {Body("then_branch", Branch({MakeNode("Add", {"x", "w"}, {"t"})}, {"t"})),
          Body("else_branch", Branch({MakeNode("Neg", {"x"}, {"e"})}, {"e"}))},
         "choose");
  m.Output("y");
  return m;
}

Tensor RunModel(const Model& m, const std::vector<Tensor>& inputs) {
  auto g = m.Import();
  EXPECT_TRUE(g) << g.error().ToString();
  if (!g) return {};
  auto out = EvaluateGraph(*g, inputs);
  EXPECT_TRUE(out) << out.error().ToString();
  return out ? (*out)[0] : Tensor();
}

const Tensor kTrue = Make<bool>({}, {true}), kFalse = Make<bool>({}, {false});

TEST(OnnxIf, RunsOneOfItsBranches) {
  auto g = IfModel().Import();
  ASSERT_TRUE(g) << g.error().ToString();
  ASSERT_EQ(g->num_nodes(), 1);
  EXPECT_TRUE(g->node(0).Is(op::kIf));
  EXPECT_EQ(g->node(0).subgraphs[0].captures, std::vector<std::string>{"x"});
  EXPECT_EQ(g->value(g->outputs()[0]).type.ToString(), "float32[2]");
  ExpectTensor(RunModel(IfModel(), {kTrue, Make({2}, {1, 2})}), Make({2}, {11, 12}));
  ExpectTensor(RunModel(IfModel(), {kFalse, Make({2}, {1, 2})}), Make({2}, {-1, -2}));
}

TEST(OnnxIf, ReadsValuesThatNodesStandingLaterDefine) {
  Model m = IfModel();
  m.Node("Abs", {"x"}, {"late"});
  m.graph().mutable_node(0)->mutable_attribute(1)->mutable_g()->mutable_node(0)->set_input(0,
                                                                                           "late");
  ExpectTensor(RunModel(m, {kFalse, Make({2}, {-1, 2})}), Make({2}, {-1, -2}));
}

TEST(OnnxIf, ANestedBodyReachesThroughTheOuterOne) {
  Model m = IfModel();
  m.Input("d", DType::kBool, {});
  GraphProto inner =
      Branch({MakeNode("If", {"d"}, {"n"},
                       {Body("then_branch", Branch({MakeNode("Mul", {"x", "w"}, {"a"})}, {"a"})),
                        Body("else_branch", Branch({}, {"x"}))})},
             {"n"});
  *m.graph().mutable_node(0)->mutable_attribute(0) = Body("then_branch", inner);
  const Tensor x = Make({2}, {1, 2});
  ExpectTensor(RunModel(m, {kTrue, x, kTrue}), Make({2}, {10, 20}));
  ExpectTensor(RunModel(m, {kTrue, x, kFalse}), x);
}

TEST(OnnxIf, AKnownConditionLeavesItsBranchAlone) {
  Model m = IfModel();
  m.graph().mutable_input()->DeleteSubrange(0, 1);
  m.Init("c", kTrue);
  auto g = m.Import();
  ASSERT_TRUE(g) << g.error().ToString();
  ASSERT_EQ(g->num_nodes(), 1);
  EXPECT_EQ(g->node(0).op->name, "Add");
  EXPECT_EQ(g->value(g->outputs()[0]).name, "y");
  ExpectTensor(RunModel(m, {Make({2}, {1, 2})}), Make({2}, {11, 12}));
}

// c = (shape(x)[0] == 2): decided by the declared size, so that the other branch, which could not
// even be typed, does not matter. With a symbolic size it does.
TEST(OnnxIf, AConditionMayFollowFromDeclaredSizes) {
  auto model = [](DimSpec size) {
    Model m;
    m.Input("x", DType::kFloat32, {size, 1}).Init("zero", Ints({0})).Init("two", Ints({2}));
    m.Node("Shape", {"x"}, {"s"})
        .Node("Gather", {"s", "zero"}, {"n"})
        .Node("Equal", {"n", "two"}, {"c"});
    m.Init("first", Ints({0}));
    m.Node("If", {"c"}, {"y"},
           {Body("then_branch", Branch({MakeNode("Neg", {"x"}, {"t"})}, {"t"})),
            Body("else_branch", Branch({MakeNode("Squeeze", {"x", "first"}, {"e"})}, {"e"}))},
           "choose");
    m.Output("y");
    return m;
  };
  auto g = model(2).Import();
  ASSERT_TRUE(g) << g.error().ToString();
  for (NodeId id : g->TopologicalOrder()) EXPECT_FALSE(g->node(id).Is(op::kIf));
  ExpectTensor(RunModel(model(2), {Make({2, 1}, {1, 2})}), Make({2, 1}, {-1, -2}));
  EXPECT_EQ(model("N").Import().has_value(), true);
  ExpectTensor(RunModel(model("N"), {Make({1, 1}, {3})}), Make({1}, {3}));
}

TEST(OnnxIf, Errors) {
  Model missing = IfModel();
  missing.graph().mutable_node(0)->mutable_attribute()->RemoveLast();
  ExpectError(missing.Import(), Code::kInvalidModel, "else_branch", "choose");

  Model count = IfModel();
  count.graph().mutable_node(0)->mutable_attribute(0)->mutable_g()->clear_output();
  ExpectError(count.Import(), Code::kInvalidModel, "outputs", "choose");

  Model unknown = IfModel();
  unknown.graph().mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_node(0)->set_input(
      0, "nowhere");
  ExpectError(unknown.Import(), Code::kInvalidModel, "nowhere", "choose", "then_branch");

  Model type = IfModel();
  type.graph().mutable_node(0)->set_input(0, "x");
  ExpectError(type.Import(), Code::kInvalidModel, "choose");

  Model refused = IfModel();
  refused.graph().mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_node(0)->set_op_type(
      "Foo");
  ExpectError(refused.Import(), Code::kUnsupported, "operator Foo");
}

// Sums 1..n: s = s + i + 1, and collects the partial sums.
Model LoopModel() {
  GraphProto body =
      Branch({MakeNode("Cast", {"i"}, {"f"}, {Attr("to", TensorProto::FLOAT)}),
              MakeNode("Add", {"s_in", "f"}, {"t"}), MakeNode("Add", {"t", "one"}, {"s_out"}),
              MakeNode("Identity", {"s_out"}, {"each"})},
             {"go", "s_out", "each"});
  Model::Declare(body.add_input(), "i", TensorProto::INT64, {});
  Model::Declare(body.add_input(), "go", TensorProto::BOOL, {});
  Model::Declare(body.add_input(), "s_in", TensorProto::FLOAT, {1});
  Model m;
  m.Input("n", DType::kInt64, {}).Input("s", DType::kFloat32, {1}).Init("one", Make({1}, {1}));
  m.Node("Loop", {"n", "", "s"}, {"sum", "sums"}, {Body("body", body)}, "repeat");
  m.Output("sum").Output("sums");
  return m;
}

TEST(OnnxLoop, RunsItsBody) {
  auto g = LoopModel().Import();
  ASSERT_TRUE(g) << g.error().ToString();
  EXPECT_TRUE(g->node(0).Is(op::kLoop));
  auto out = EvaluateGraph(*g, std::vector<Tensor>{Make<int64_t>({}, {3}), Make({1}, {100})});
  ASSERT_TRUE(out) << out.error().ToString();
  ExpectTensor((*out)[0], Make({1}, {106}));
  ExpectTensor((*out)[1], Make({3, 1}, {101, 103, 106}));
}

TEST(OnnxLoop, TrailingOutputsMayBeLeftOut) {
  Model m = LoopModel();
  m.graph().mutable_node(0)->mutable_output()->RemoveLast();
  m.graph().mutable_output()->RemoveLast();
  ExpectTensor(RunModel(m, {Make<int64_t>({}, {2}), Make({1}, {0})}), Make({1}, {3}));
}

TEST(OnnxLoop, Errors) {
  Model inputs = LoopModel();
  inputs.graph().mutable_node(0)->add_input("s");
  ExpectError(inputs.Import(), Code::kInvalidModel, "body", "repeat");

  Model outputs = LoopModel();
  outputs.graph().mutable_node(0)->add_output("more");
  ExpectError(outputs.Import(), Code::kInvalidModel, "outputs", "repeat");

  Model none = LoopModel();
  none.graph().mutable_node(0)->mutable_input()->RemoveLast();
  ExpectError(none.Import(), Code::kUnsupported, "carried", "repeat");
}

}  // namespace
}  // namespace sula::onnx
