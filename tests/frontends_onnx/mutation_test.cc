// Damaged files: whatever the bytes, loading gives a graph or an error, and a graph that loads can
// be inferred and, where it is small, evaluated. A crash, a sanitizer's report, a hang or a huge
// allocation fails the test program.
#include <sys/resource.h>

#include <random>

#include "onnx_builder.h"
#include "ops/control.h"

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

std::string Mutate(const std::string& bytes, const std::string& other, std::mt19937& random) {
  auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  std::string s = bytes;
  switch (below(6)) {
    case 0:  // flip some bits
      for (size_t i = 0; i <= below(8); ++i) s[below(s.size())] ^= static_cast<char>(1 << below(8));
      break;
    case 1:  // overwrite bytes, extreme ones preferred
      for (size_t i = 0; i <= below(4); ++i)
        s[below(s.size())] = std::string("\xff\x7f\x80\x00\x01", 5)[below(5)];
      break;
    case 2:  // cut short
      s.resize(below(s.size()));
      break;
    case 3: {  // remove a piece
      size_t at = below(s.size());
      s.erase(at, below(16) + 1);
      break;
    }
    case 4: {  // repeat a piece elsewhere
      size_t from = below(s.size());
      s.insert(below(s.size()), s.substr(from, below(64) + 1));
      break;
    }
    default: {  // the head of one model with the tail of another
      s = s.substr(0, below(s.size())) + other.substr(below(other.size()));
      break;
    }
  }
  return s;
}

int64_t Elements(const TensorType& t) {
  int64_t n = 1;
  if (!t.shape) return -1;
  for (const Dim& d : *t.shape) {
    if (!d.is_const() || d.value() > 1 << 12) return -1;
    n *= d.value();
    if (n > 1 << 16) return -1;
  }
  return n;
}

// Evaluates a graph whose every tensor is known to be small and whose work is bounded.
void EvaluateIfSmall(Graph& g) {
  std::map<std::string, sula::Shape> shapes;
  std::vector<Tensor> feeds;
  for (ValueId v : g.inputs()) {
    const auto& shape = g.value(v).type.shape;
    if (!shape) return;
    std::vector<Dim> dims;
    for (const Dim& d : *shape) dims.push_back(d.is_const() ? d : Dim(2));
    shapes[g.value(v).name] = sula::Shape(std::move(dims));
  }
  if (!InferShapes(g, &shapes).ok()) return;
  for (NodeId id = 0; id < g.node_slots(); ++id)
    if (g.IsLive(id) && g.node(id).Is(op::kLoop)) return;  // as many trips as the bytes say
  for (ValueId v = 0; v < g.value_slots(); ++v)
    if (Elements(g.value(v).type) < 0) return;
  for (ValueId v : g.inputs())
    feeds.emplace_back(g.value(v).type.dtype, g.value(v).type.shape->Concrete());
  (void)EvaluateGraph(g, feeds);
}

TEST(OnnxMutation, NoBytesCanHarm) {
#if !defined(__SANITIZE_ADDRESS__)
  // What a damaged file may make the loader allocate: far more than these models need.
  rlimit old, limit;
  getrlimit(RLIMIT_AS, &old);
  limit = old;
  limit.rlim_cur = rlim_t{2} << 30;
  setrlimit(RLIMIT_AS, &limit);
#endif
  const std::vector<std::string> models = {ConvNet().Bytes(), ShapeNet().Bytes(),
                                           FunctionNet().Bytes(), ControlNet().Bytes()};
  for (const std::string& m : models) {
    auto g = ImportOnnx(WriteTestFile("seed.onnx", m));
    ASSERT_TRUE(g) << g.error().ToString();
  }
  std::mt19937 random(20240607);
  int loaded = 0, refused = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string& model = models[i % models.size()];
    const std::string& other = models[(i / models.size()) % models.size()];
    auto g = ImportOnnx(WriteTestFile("mutant.onnx", Mutate(model, other, random)));
    if (!g) {
      EXPECT_FALSE(g.error().message().empty());
      EXPECT_NE(g.error().code(), Code::kInternal) << g.error().ToString();
      ++refused;
      continue;
    }
    ++loaded;
    EXPECT_TRUE(Verify(*g).ok());
    EvaluateIfSmall(*g);
  }
  // The mutations are neither harmless nor hopeless.
  EXPECT_GT(loaded, 100);
  EXPECT_GT(refused, 100);
#if !defined(__SANITIZE_ADDRESS__)
  setrlimit(RLIMIT_AS, &old);
#endif
}

}  // namespace
}  // namespace sula::onnx
