#include "format/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "format/header.h"
#include "ir/test_ops.h"
#include "ir/text.h"

namespace sula {
namespace {

using ::testing::HasSubstr;

using Bytes = std::vector<std::byte>;

class ModelFile : public ::testing::Test {
 protected:
  ModelFile() {
    dir_ = std::filesystem::temp_directory_path() /
           StrCat("sula_format_", getpid(), "_",
                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(dir_);
  }
  ~ModelFile() override { std::filesystem::remove_all(dir_); }

  std::string Path(const std::string& name) const { return (dir_ / name).string(); }

  Bytes WriteToBytes(const Graph& graph) {
    Status status = WriteModelFile(graph, Path("written.sula"));
    EXPECT_TRUE(status.ok()) << status.ToString();
    std::ifstream in(Path("written.sula"), std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(in)), {});
    Bytes bytes(text.size());
    std::memcpy(bytes.data(), text.data(), text.size());
    return bytes;
  }

  Result<Graph> ReadBytes(std::span<const std::byte> bytes, bool check_hash = false) {
    const std::string path = Path("read.sula");
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    auto file = MappedFile::Open(path);
    if (!file) return file.error();
    return ReadModelFile(*file, test::TestOps(), check_hash);
  }

  // What a reader must make of the graph: itself.
  void ExpectRoundTrip(const Graph& graph) {
    Result<Graph> back = ReadBytes(WriteToBytes(graph), true);
    ASSERT_TRUE(back) << back.error().ToString();
    EXPECT_EQ(Print(*back, {.all_elements = true}), Print(graph, {.all_elements = true}));
    EXPECT_EQ(back->metadata, graph.metadata);
  }

  std::filesystem::path dir_;
};

FileHeader HeaderOf(const Bytes& bytes) {
  FileHeader h;
  std::memcpy(&h, bytes.data(), sizeof(h));
  return h;
}

// One constant of each element type, then nodes with every kind of field, absent inputs and
// outputs, symbolic sizes.
Graph RichGraph() {
  Graph g;
  g.name = "rich";
  g.metadata = {{"licence", "none"}, {"producer", "test \xc3\xa4"}};
  const ValueId x =
      g.AddInput("x", {DType::kFloat32, Shape{Dim::Symbol("N"), FloorDiv(Dim::Symbol("H") + 1, 2),
                                              Max(Dim::Symbol("N"), 3), 4}});
  g.AddInput("scalar", {DType::kBool, Shape{}});
  std::vector<ValueId> outputs;
  for (int t = 0; t < kDTypeCount; ++t) {
    DispatchDType(static_cast<DType>(t), [&](auto zero) {
      using T = decltype(zero);
      const ValueId c =
          g.AddConstant(StrCat("c", t), Tensor::From<T>({2, 2}, {T(1), T(0), T(1), T(1)}));
      outputs.push_back(g.node(g.AddNode(test::kCopy, Params::Of(NoParams{}), {c})).outputs[0]);
    });
  }
  outputs.push_back(g.AddConstant("nothing", Tensor(DType::kInt64, {0, 3})));
  outputs.push_back(g.AddConstant("one", Tensor::Scalar(2.5)));
  test::KnobParams knobs;
  knobs.axis = std::numeric_limits<int64_t>::min();
  knobs.scale = 0.1f;
  knobs.flip = true;
  knobs.to = DType::kBFloat16;
  knobs.text = "tab\t\"quote\" \xe2\x82\xac";
  knobs.ints = {1, -2, std::numeric_limits<int64_t>::max()};
  knobs.floats = {0.5f, -1e-30f};
  knobs.strings = {"", "b"};
  knobs.small = -7;
  const NodeId knob = g.AddNode(test::kKnob, Params::Of(knobs), {x, kNoValue}, 1, "knob");
  const NodeId pieces = g.AddNode(test::kPieces, Params::Of(NoParams{}), {g.node(knob).outputs[0]},
                                  3, "cut", {"first", "", "third"});
  outputs.push_back(g.node(pieces).outputs[0]);
  outputs.push_back(g.node(pieces).outputs[2]);
  outputs.push_back(x);  // an input may be an output
  g.SetOutputs(outputs);
  Status inferred = InferShapes(g);
  EXPECT_TRUE(inferred.ok()) << inferred.ToString();
  return g;
}

TEST_F(ModelFile, RoundTripOfEveryFieldAndElementType) {
  Graph g = RichGraph();
  ExpectRoundTrip(g);
  Result<Graph> back = ReadBytes(WriteToBytes(g));
  ASSERT_TRUE(back) << back.error().ToString();
  const auto knob = back->FindNode("knob");
  ASSERT_TRUE(knob);
  EXPECT_EQ(back->node(*knob).As<test::KnobParams>(),
            g.node(*g.FindNode("knob")).As<test::KnobParams>());
}

TEST_F(ModelFile, RoundTripOfSubgraphs) {
  auto body = [](float value) {
    Graph g;
    g.name = StrCat("body", value);
    const ValueId x = g.AddInput("outer", {DType::kFloat32, Shape{2}});
    g.captures = {"outer"};
    const ValueId c = g.AddConstant("c", Tensor::From<float>({2}, {value, value}));
    const NodeId n = g.AddNode(test::kJoin, Params::Of(NoParams{}), {x, c});
    g.SetOutputs({g.node(n).outputs[0]});
    EXPECT_TRUE(InferShapes(g).ok());
    return g;
  };
  Graph g;
  const ValueId cond = g.AddInput("cond", {DType::kBool, Shape{}});
  const ValueId outer = g.AddInput("outer", {DType::kFloat32, Shape{2}});
  const NodeId branch = g.AddNode(test::kBranch, Params::Of(NoParams{}), {cond, outer, outer});
  g.node(branch).subgraphs = {body(1), body(2)};
  g.SetOutputs({g.node(branch).outputs[0]});
  ASSERT_TRUE(InferShapes(g).ok());
  ASSERT_TRUE(Verify(g).ok()) << Verify(g).ToString();
  ExpectRoundTrip(g);
}

TEST_F(ModelFile, WritesOnlyWhatIsUsedInTopologicalOrder) {
  Graph g;
  const ValueId x = g.AddInput("x", {DType::kFloat32, Shape{2}});
  g.AddConstant("unused", Tensor(DType::kFloat32, {1 << 20}));
  const NodeId dead = g.AddNode(test::kCopy, Params::Of(NoParams{}), {x}, 1, "dead");
  const NodeId a = g.AddNode(test::kCopy, Params::Of(NoParams{}), {x}, 1, "late");
  const NodeId b = g.AddNode(test::kCopy, Params::Of(NoParams{}), {x}, 1, "early");
  g.node(a).inputs[0] = g.node(b).outputs[0];
  g.SetOutputs({g.node(a).outputs[0]});
  g.RemoveNode(dead);
  ASSERT_TRUE(InferShapes(g).ok());
  const Bytes bytes = WriteToBytes(g);
  EXPECT_LT(bytes.size(), 100'000u);
  Result<Graph> back = ReadBytes(bytes);
  ASSERT_TRUE(back) << back.error().ToString();
  EXPECT_EQ(back->num_nodes(), 2);
  EXPECT_EQ(back->node(0).name, "early");
}

TEST_F(ModelFile, EqualTensorsAreStoredOnceAndBorrowedFromTheFile) {
  Graph g;
  std::vector<float> values(50'000, 1.5f);
  const auto weights = [&](Dims dims) {
    return Tensor::From<float>(std::move(dims), std::span<const float>(values));
  };
  g.SetOutputs({g.AddConstant("a", weights({50'000})), g.AddConstant("b", weights({500, 100})),
                g.AddConstant("c", Tensor::Scalar(1.5f))});
  const Bytes bytes = WriteToBytes(g);
  EXPECT_LT(bytes.size(), values.size() * 4 + 2 * kPage + 1000);
  Result<Graph> back = ReadBytes(bytes);
  ASSERT_TRUE(back) << back.error().ToString();
  const Tensor& a = *back->value(back->outputs()[0]).constant;
  const Tensor& b = *back->value(back->outputs()[1]).constant;
  EXPECT_EQ(a.raw(), b.raw());
  EXPECT_EQ(b.dims(), (Dims{500, 100}));
  EXPECT_EQ(a.data<float>()[49'999], 1.5f);
  for (ValueId v : back->outputs())
    EXPECT_EQ(reinterpret_cast<uintptr_t>(back->value(v).constant->raw()) % kTensorAlignment, 0u);
  EXPECT_EQ(HeaderOf(bytes).blob_offset % kPage, 0u);
}

TEST_F(ModelFile, TensorsOutliveTheMapping) {
  Tensor kept;
  {
    Graph g;
    g.SetOutputs({g.AddConstant("a", Tensor::From<float>({3}, {1, 2, 3}))});
    Result<Graph> back = ReadBytes(WriteToBytes(g));
    ASSERT_TRUE(back);
    kept = *back->value(back->outputs()[0]).constant;
  }
  EXPECT_EQ(kept, Tensor::From<float>({3}, {1, 2, 3}));
}

TEST_F(ModelFile, SameGraphSameBytes) {
  EXPECT_EQ(WriteToBytes(RichGraph()), WriteToBytes(RichGraph()));
}

TEST_F(ModelFile, RefusesWhatIsNotAModelFile) {
  const std::string text = "an honest text file, longer than a header of a model file would be";
  Result<Graph> r = ReadBytes(std::as_bytes(std::span(text)));
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code(), Code::kInvalidModel);
  EXPECT_THAT(r.error().ToString(), HasSubstr("not a .sula model"));
  EXPECT_THAT(r.error().ToString(), HasSubstr("read.sula"));
  EXPECT_FALSE(ReadBytes({}));
  EXPECT_FALSE(LooksLikeModelFile({}));
}

TEST_F(ModelFile, RefusesANewerVersion) {
  Bytes bytes = WriteToBytes(RichGraph());
  const uint32_t version = kFormatVersion + 1;
  std::memcpy(bytes.data() + offsetof(FileHeader, version), &version, sizeof(version));
  Result<Graph> r = ReadBytes(bytes);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code(), Code::kUnsupported);
  EXPECT_THAT(r.error().ToString(), HasSubstr("newer sula"));
}

TEST_F(ModelFile, RefusesAnUnknownOperatorAndNamesTheNode) {
  Graph g;
  const ValueId x = g.AddInput("x", {DType::kFloat32, Shape{2}});
  g.SetOutputs({g.node(g.AddNode(test::kCopy, Params::Of(NoParams{}), {x}, 1, "here")).outputs[0]});
  ASSERT_TRUE(InferShapes(g).ok());
  ASSERT_TRUE(WriteModelFile(g, Path("m.sula")).ok());
  const OpDef* other[] = {&test::kJoin};
  Result<Graph> r = ReadModelFile(*MappedFile::Open(Path("m.sula")), other);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code(), Code::kUnsupported);
  EXPECT_THAT(r.error().ToString(), HasSubstr("'Copy'"));
  EXPECT_THAT(r.error().ToString(), HasSubstr("'here'"));
}

TEST_F(ModelFile, EveryTruncationIsRefused) {
  const Bytes bytes = WriteToBytes(RichGraph());
  for (size_t size = 0; size < bytes.size(); size += size < 5000 ? 13 : 97) {
    Result<Graph> r = ReadBytes(std::span(bytes).first(size));
    ASSERT_FALSE(r) << size;
    EXPECT_EQ(r.error().code(), Code::kInvalidModel) << size << ": " << r.error().ToString();
  }
}

TEST_F(ModelFile, HashFindsEveryFlippedByteOfContent) {
  const Bytes bytes = WriteToBytes(RichGraph());
  const FileHeader h = HeaderOf(bytes);
  std::mt19937 random(5);
  for (int i = 0; i < 200; ++i) {
    const bool graph = i % 2 == 0;
    const size_t begin = graph ? h.graph_offset : h.blob_offset;
    const size_t size = graph ? h.graph_bytes : h.blob_bytes;
    Bytes damaged = bytes;
    damaged[begin + random() % size] ^= std::byte(1 << random() % 8);
    Result<Graph> r = ReadBytes(damaged, true);
    ASSERT_FALSE(r);
    EXPECT_THAT(r.error().ToString(), HasSubstr("hash"));
  }
}

}  // namespace
}  // namespace sula
