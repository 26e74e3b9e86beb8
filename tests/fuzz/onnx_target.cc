// ONNX: bytes of a model.
#include "frontends/onnx/onnx.h"

#include "frontends_onnx/onnx_builder.h"
#include "fuzz/target.h"

namespace sula::onnx {
namespace {

Model ConvNet() {
  Model m(13);
  m.Input("x", DType::kFloat32, {"N", 3, 8, 8});
  m.Init("w", Tensor(DType::kFloat32, {4, 3, 3, 3})).Init("b", Tensor(DType::kFloat32, {4}));
  m.Init("shape", Ints({0, -1})).Init("fc", Tensor(DType::kFloat32, {64, 5}));
  m.Node("Conv", {"x", "w", "b"}, {"c"},
         {Attr("pads", std::vector<int64_t>{1, 1, 1, 1}), Attr("group", 1)}, "conv");
  m.Node("Relu", {"c"}, {"r"});
  m.Node("MaxPool", {"r"}, {"p"},
         {Attr("kernel_shape", std::vector<int64_t>{2, 2}),
          Attr("strides", std::vector<int64_t>{2, 2})});
  m.Node("Reshape", {"p", "shape"}, {"f"});
  m.Node("Gemm", {"f", "fc"}, {"g"}, {Attr("alpha", 0.5f)});
  m.Node("Softmax", {"g"}, {"y"}, {Attr("axis", 1)}).Output("y");
  return m;
}

Model ShapeNet() {
  Model m(11);
  m.Input("x", DType::kFloat32, {2, 3, 4}).Input("k", DType::kInt64, {1});
  m.Node("Shape", {"x"}, {"s"});
  m.Node("Constant", {}, {"i"}, {Attr("value", Ints({0, 2}))});
  m.Node("Gather", {"s", "i"}, {"part"});
  m.Node("ConstantOfShape", {"part"}, {"ones"}, {Attr("value", Make({1}, {1}))});
  m.Node("Slice", {"x", "k", "ends"}, {"cut"}).Init("ends", Ints({3}));
  m.Node("Pad", {"ones", "pads"}, {"padded"}, {Attr("mode", "reflect")});
  m.Init("pads", Ints({1, 0, 0, 1}));
  m.Node("Resize", {"x", "", "scales"}, {"big"}, {Attr("mode", "linear")});
  m.Init("scales", Make({3}, {1, 2, 0.5f}));
  m.Node("TopK", {"x", "k"}, {"top", "at"}, {Attr("axis", 2)});
  m.Node("Tile", {"padded", "i"}, {"none"});
  m.Node("Split", {"big"}, {"left", "right"}, {Attr("axis", 1)});
  m.Node("Softmax", {"top"}, {"soft"}, {Attr("axis", 1)});
  for (const char* out : {"cut", "padded", "left", "right", "soft", "at", "none"}) m.Output(out);
  return m;
}

Model FunctionNet() {
  Model m(17);
  m.proto.add_opset_import()->set_domain("own");
  m.proto.mutable_opset_import(1)->set_version(1);
  FunctionProto f;
  f.set_name("Block");
  f.set_domain("own");
  f.add_input("x");
  f.add_output("y");
  f.add_attribute("alpha");
  *f.add_node() =
      MakeNode("LeakyRelu", {"x"}, {"t"}, {AttrRef("alpha", "alpha", AttributeProto::FLOAT)});
  *f.add_node() = MakeNode("Add", {"t", "x"}, {"y"});
  *m.proto.add_functions() = f;
  m.Input("x", DType::kFloat32, {"N", 4});
  m.Node("Block", {"x"}, {"h"}, {Attr("alpha", 0.1f)}).Node("Block", {"h"}, {"z"}).Output("z");
  for (NodeProto& n : *m.graph().mutable_node()) n.set_domain("own");
  m.Node("Clip", {"z", "lo"}, {"c"}).Init("lo", Make({}, {0})).Output("c");
  m.Node("QuantizeLinear", {"z", "scale"}, {"q"}).Init("scale", Make({}, {0.5f})).Output("q");
  return m;
}

Model ControlNet() {
  auto body = [](const char* attribute, const std::vector<NodeProto>& nodes, const Names& outputs) {
    AttributeProto a = Named(attribute, AttributeProto::GRAPH);
    for (const NodeProto& n : nodes) *a.mutable_g()->add_node() = n;
    for (const std::string& o : outputs) a.mutable_g()->add_output()->set_name(o);
    return a;
  };
  AttributeProto trip = body("body", {MakeNode("Add", {"s", "x"}, {"t"})}, {"go", "t", "s"});
  Model::Declare(trip.mutable_g()->add_input(), "i", TensorProto::INT64, {});
  Model::Declare(trip.mutable_g()->add_input(), "go", TensorProto::BOOL, {});
  Model::Declare(trip.mutable_g()->add_input(), "s", TensorProto::FLOAT, {2});
  Model m(16);
  m.Input("c", DType::kBool, {}).Input("x", DType::kFloat32, {2}).Init("w", Make({1}, {10}));
  m.Node("If", {"c"}, {"y"},
         {body("then_branch", {MakeNode("Add", {"x", "w"}, {"t"})}, {"t"}),
          body("else_branch", {MakeNode("Neg", {"x"}, {"e"})}, {"e"})});
  m.Init("n", Make<int64_t>({}, {3}));
  m.Node("Loop", {"n", "c", "y"}, {"last", "all"}, {trip}).Output("y").Output("last").Output("all");
  return m;
}

}  // namespace
}  // namespace sula::onnx

namespace sula::fuzz {

std::vector<std::string> Seeds() {
  return {onnx::ConvNet().Bytes(), onnx::ShapeNet().Bytes(), onnx::FunctionNet().Bytes(),
          onnx::ControlNet().Bytes()};
}

bool TakeInput(std::string_view bytes) {
  Result<Graph> graph = ImportOnnx(MemoryFile(bytes).path());
  if (!graph) return Refused(graph.error());
  Exercise(*std::move(graph));
  return true;
}

}  // namespace sula::fuzz
