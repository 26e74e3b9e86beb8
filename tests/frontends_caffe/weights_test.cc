// Weight files, and how their blobs find their layers.
#include "nets.h"

namespace sula::caffe {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* const kInnerProduct = "inner_product_param { num_output: 2 bias_term: false }";

std::span<const std::byte> AsBytes(const std::string& s) { return std::as_bytes(std::span(s)); }

// The result of an inner product of (1, 10, 100) with a [2, 3] blob that `fill` makes.
std::string WithBlob(void (*fill)(Blob& blob)) {
  WeightFile file;
  file.add_layer()->set_name("l");
  fill(*file.mutable_layer(0)->add_blobs());
  Result<Graph> g = TryImport(OneLayer("InnerProduct", kInnerProduct, {{1, 3}}), Bytes(file));
  if (!g) return g.error().ToString();
  const Tensor y = RunGraph(*g, {F({1, 3}, {1, 10, 100})})[0];
  return StrCat(y.AsDouble(0), " ", y.AsDouble(1));
}

void SetShape(Blob& blob, const Dims& dims) {
  for (int64_t d : dims) blob.mutable_shape()->add_dim(d);
}

TEST(CaffeWeights, FormsOfBlobs) {
  EXPECT_EQ(WithBlob([](Blob& b) { SetBlob(Count({2, 3}, 1), b); }), "321 654");
  EXPECT_EQ(WithBlob([](Blob& b) {
              for (int i = 1; i <= 6; ++i) b.add_data(static_cast<float>(i));
              b.set_num(1);
              b.set_channels(1);
              b.set_height(2);
              b.set_width(3);
            }),
            "321 654");
  EXPECT_EQ(WithBlob([](Blob& b) {
              for (int i = 1; i <= 6; ++i) b.add_double_data(i);
              SetShape(b, {2, 3});
            }),
            "321 654");
  EXPECT_EQ(WithBlob([](Blob& b) {
              std::string raw;
              for (int i = 1; i <= 6; ++i) {
                const Half h(static_cast<float>(i));
                raw.append(reinterpret_cast<const char*>(&h.bits), 2);
              }
              b.set_raw_data(raw);
              b.set_raw_data_type(2);
              SetShape(b, {2, 3});
            }),
            "321 654");
}

TEST(CaffeWeights, BrokenBlobs) {
  EXPECT_THAT(WithBlob([](Blob& b) {
                b.add_data(1);
                SetShape(b, {2, 3});
              }),
              AllOf(HasSubstr("[2,3], which needs 6 elements, but it holds 1"),
                    HasSubstr("blob 0 of layer 'l'")));
  EXPECT_THAT(WithBlob([](Blob& b) { SetShape(b, {2, 3}); }), HasSubstr("it holds 0"));
  EXPECT_THAT(WithBlob([](Blob& b) { SetShape(b, {-2, 3}); }), HasSubstr("negative size"));
  EXPECT_THAT(WithBlob([](Blob& b) {
                SetShape(b, {1 << 30, 1 << 30, 0});
              }),
              HasSubstr("larger than any tensor"));
  EXPECT_THAT(WithBlob([](Blob& b) { SetShape(b, Dims(100, 1)); }), HasSubstr("100 axes"));
  EXPECT_THAT(WithBlob([](Blob& b) {
                b.add_data(1);
                b.add_double_data(1);
              }),
              HasSubstr("more than one form"));
  EXPECT_THAT(WithBlob([](Blob& b) {
                b.set_raw_data("abc");
                b.set_raw_data_type(1);
              }),
              HasSubstr("3 bytes"));
  EXPECT_THAT(WithBlob([](Blob& b) { b.set_raw_data("abcd"); }), HasSubstr("type 0"));
  EXPECT_THAT(WithBlob([](Blob& b) {
                SetBlob(Count({3, 2}), b);
              }),
              AllOf(HasSubstr("blob 0 (weights) has shape [3,2]"), HasSubstr("asks for [2,3]"),
                    HasSubstr("layer 'l' (InnerProduct)")));
}

TEST(CaffeWeights, MissingOnes) {
  const std::string net = InputText("x", {1, 3}) + R"(
    layer { name: "a" type: "InnerProduct" bottom: "x" top: "a"
            inner_product_param { num_output: 2 } }
    layer { name: "b" type: "InnerProduct" bottom: "a" top: "b"
            inner_product_param { num_output: 2 } })";
  EXPECT_THAT(Error(net), AllOf(HasSubstr("give the .caffemodel as well"),
                                HasSubstr("2 layers: 'a' (InnerProduct), 'b' (InnerProduct)")));
  EXPECT_THAT(Error(net, {{"a", {Count({2, 3}), Count({2})}}}),
              AllOf(HasSubstr("the caffemodel lacks the weights of 1 layers"),
                    HasSubstr("'b' (InnerProduct)")));
  EXPECT_THAT(Error(net, {{"a", {Count({2, 3})}}, {"b", {Count({2, 2}), Count({2})}}}),
              HasSubstr("'a' (InnerProduct, only 1 blobs)"));
}

TEST(CaffeWeights, SurplusOnesAreIgnored) {
  std::vector<std::string> notes;
  CaffeOptions options;
  options.on_note = [&](const std::string& note) { notes.push_back(note); };
  Import(OneLayer("ReLU", "", {{1}}), {{"fc8", {Count({2})}}}, options);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("fc8")));
}

TEST(CaffeWeights, SharedByTheNameOfTheirParam) {
  const std::string net = InputText("x", {1, 2}) + R"(
    layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" }
            inner_product_param { num_output: 2 bias_term: false } }
    layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
            inner_product_param { num_output: 2 bias_term: false } })";
  Graph g = Import(net, {{"a", {F({2, 2}, {0, 2, 3, 0})}}});
  ExpectEqual(RunGraph(g, {F({1, 2}, {1, 10})})[0], F({1, 2}, {6, 60}));
}

TEST(CaffeWeights, NoSuchFile) {
  EXPECT_THAT(TryImport(OneLayer("ReLU", "", {{1}}), "garbage").error().ToString(),
              HasSubstr("no caffemodel"));
}

TEST(CaffeWeights, ToldByTheirStructure) {
  const std::string bytes = Bytes(LayerBlobs{{"a", {Count({2})}}, {"b", {}}});
  EXPECT_TRUE(LooksLikeCaffeWeights(AsBytes(bytes)));
  EXPECT_FALSE(LooksLikeCaffeWeights(AsBytes(bytes.substr(0, bytes.size() - 1))));
  EXPECT_FALSE(LooksLikeCaffeWeights({}));
  EXPECT_FALSE(LooksLikeCaffeWeights(AsBytes("layer { name: 'a' }")));
  WeightFile old;
  old.set_name("net");
  old.add_layers()->set_name("a");
  std::string v1 = Bytes(old);
  EXPECT_FALSE(LooksLikeCaffeWeights(AsBytes(v1)));  // without a type it might be anything
  Net net;
  net.set_name("net");
  net.add_layers()->set_name("a");
  net.mutable_layers(0)->set_type(V1Layer::RELU);
  v1 = net.SerializeAsString();
  EXPECT_TRUE(LooksLikeCaffeWeights(AsBytes(v1)));
  // A graph of TensorFlow: nodes in field 1, each with a name.
  EXPECT_FALSE(LooksLikeCaffeWeights(AsBytes(std::string("\x0a\x03\x0a\x01x\x0a\x03\x0a\x01y"))));
}

TEST(CaffeWeights, TextToldByItsFirstFields) {
  EXPECT_TRUE(LooksLikePrototxt("# a comment\nname: \"n { et\"\nlayer { }"));
  EXPECT_TRUE(LooksLikePrototxt("input: 'x'"));
  EXPECT_TRUE(LooksLikePrototxt("layers{"));
  EXPECT_TRUE(LooksLikePrototxt("input_shape { dim: 1 }"));
  EXPECT_FALSE(LooksLikePrototxt("node { name: 'x' }"));
  EXPECT_FALSE(LooksLikePrototxt("name: 'x' ir_version: 7"));
  EXPECT_FALSE(LooksLikePrototxt("name: 'unfinished"));
  EXPECT_FALSE(LooksLikePrototxt("layer one"));
  EXPECT_FALSE(LooksLikePrototxt(""));
}

}  // namespace
}  // namespace sula::caffe
