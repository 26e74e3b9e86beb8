// Graphs of which some sizes only the run tells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "ir/text.h"
#include "ops/catalogue.h"
#include "plan_harness.h"
#include "runtime/session.h"

namespace sula {
namespace {

using testing::HasSubstr;

std::unique_ptr<Session> MakeSession(const Graph& graph) {
  auto model = Model::FromGraph(graph);
  EXPECT_TRUE(model) << model.error().ToString();
  auto session = Session::Create(*model);
  EXPECT_TRUE(session) << session.error().ToString();
  return session ? *std::move(session) : nullptr;
}

// Runs and compares all outputs with EvaluateGraph, whose computation is the same.
void ExpectRun(Session& session, const Graph& graph, const std::vector<Tensor>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i)
    std::memcpy(session.input_data(static_cast<int>(i)), inputs[i].raw(), inputs[i].bytes());
  const Status status = session.Run();
  ASSERT_TRUE(status.ok()) << status.ToString();
  const auto expected = EvaluateGraph(graph, inputs);
  ASSERT_TRUE(expected) << expected.error().ToString();
  for (int i = 0; i < session.num_outputs(); ++i) {
    EXPECT_TRUE(Tensor::Borrow(session.output_type(i), session.output_dims(i),
                               session.output_data(i), nullptr) == (*expected)[i])
        << "output " << i;
  }
}

TEST(Dynamic, SizesFollowTheDataOfEachRun) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[5]
    const %zero: float32[] = [0]
    %mask = Greater(%x, %zero)
    %index = NonZero(%mask)
    %t = Transpose(%index)
    %picked = GatherND(%x, %t)
    %n = Shape(%picked)
    %sum = ReduceSum(%picked)
    %twice = Add(%sum, %sum)
    output %picked, %n, %twice, %mask
  })");
  const auto session = MakeSession(g);
  ASSERT_TRUE(session);
  ExpectRun(*session, g, {Tensor::From<float>({5}, {1, -1, 2, 0, 3})});
  EXPECT_EQ(session->output_dims(0), (Dims{3}));
  ExpectRun(*session, g, {Tensor::From<float>({5}, {-1, -1, -2, 0, 7})});
  EXPECT_EQ(session->output_dims(0), (Dims{1}));
  ExpectRun(*session, g, {Tensor::From<float>({5}, {-1, -1, -2, 0, -7})});
  EXPECT_EQ(session->output_dims(0), (Dims{0}));
  // What has a known size is planned, before and behind the part that has not.
  for (const NodeReport& node : session->Report().nodes) {
    const bool planned = node.op == "Greater" || node.op == "Add" || node.op == "Copy";
    EXPECT_EQ(node.kernel == "dynamic", !planned) << node.op;
  }
}

TEST(Dynamic, ReshapeByARunTimeShape) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[6]
    input %shape: int64[2]
    %a = Neg(%x)
    %y = Reshape(%a, %shape)
    %z = Relu(%y)
    output %z, %a
  })");
  const auto session = MakeSession(g);
  ASSERT_TRUE(session);
  const Tensor x = Tensor::From<float>({6}, {1, -2, 3, -4, 5, -6});
  ExpectRun(*session, g, {x, Tensor::FromInts({2, 3})});
  EXPECT_EQ(session->output_dims(0), (Dims{2, 3}));
  ExpectRun(*session, g, {x, Tensor::FromInts({-1, 1})});
  EXPECT_EQ(session->output_dims(0), (Dims{6, 1}));
}

TEST(Dynamic, ErrorsInTheDataComeBackAsStatus) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[6]
    input %shape: int64[2]
    %y = Reshape(%x, %shape) "reshape"
    output %y
  })");
  const auto session = MakeSession(g);
  ASSERT_TRUE(session);
  const int64_t wrong[] = {4, 2};
  std::memcpy(session->input_data(1), wrong, sizeof(wrong));
  const Status status = session->Run();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.ToString(), HasSubstr("node 'reshape' (Reshape)"));
  // The session goes on with sensible data.
  ExpectRun(*session, g, {RandomTensor(DType::kFloat32, {6}, 1), Tensor::FromInts({3, 2})});
}

TEST(Dynamic, BindingAnOutputOfUnknownSizeIsRefused) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[4]
    %y = NonZero(%x)
    output %y
  })");
  const auto session = MakeSession(g);
  ASSERT_TRUE(session);
  int64_t memory[4];
  const Status status = session->BindOutput(0, memory);
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_THAT(status.ToString(), HasSubstr("'y' depends on the data"));
  ExpectRun(*session, g, {Tensor::From<float>({4}, {0, 1, 0, 1})});
}

TEST(Planned, IndexOutOfRangeComesBackAsStatus) {
  const Graph g = ParseOrFail(R"(graph "g" {
    input %x: float32[4]
    input %i: int64[2]
    %y = Gather(%x, %i) "pick"
    output %y
  })");
  const auto session = MakeSession(g);
  ASSERT_TRUE(session);
  const int64_t wrong[] = {0, 4};
  std::memcpy(session->input_data(1), wrong, sizeof(wrong));
  const Status status = session->Run();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.ToString(), HasSubstr("node 'pick' (Gather)"));
  ExpectRun(*session, g, {RandomTensor(DType::kFloat32, {4}, 1), Tensor::FromInts({3, -4})});
}

}  // namespace
}  // namespace sula
