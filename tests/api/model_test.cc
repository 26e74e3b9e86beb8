#include "sula/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "format/model_file.h"
#include "ir/text.h"
#include "ops/catalogue.h"
#include "runtime/session.h"
#include "sula/session.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A .sula file made from graph text, removed at the end.
class ApiModel : public ::testing::Test {
 protected:
  ApiModel()
      : path_(std::filesystem::temp_directory_path() /
              ("sula_api_" + std::to_string(getpid()) + ".sula")) {}
  ~ApiModel() override { std::filesystem::remove(path_); }

  std::shared_ptr<const Model> Load(std::string_view text) {
    Result<Graph> graph = ParseGraph(text, AllOps());
    EXPECT_TRUE(graph) << graph.error().ToString();
    Status written = WriteModelFile(*graph, path_);
    EXPECT_TRUE(written.ok()) << written.ToString();
    auto model = LoadModel(path_, {.check_hash = true});
    EXPECT_TRUE(model) << model.error().ToString();
    return *model;
  }

  std::string path_;
};

constexpr std::string_view kNet = R"(graph "net" {
  input %x: float32[N,2,8,8]
  const %w: float32[4,2,3,3] = random(1)
  %a = Conv(%x, %w) {pads=[1, 1, 1, 1]} "conv"
  %b = Relu(%a) "relu"
  %c = Add(%b, %b) "twice"
  output %c
})";

TEST_F(ApiModel, ContentHashIsThatOfTheFile) {
  const auto file = Load(kNet);
  const auto memory = Model::FromGraph(*ParseGraph(kNet, AllOps()));
  ASSERT_TRUE(memory);
  EXPECT_EQ(*file->ContentHash(), *(*memory)->ContentHash());
  std::string other(kNet);
  other.replace(other.find("random(1)"), 9, "random(2)");
  EXPECT_NE(*(*Model::FromGraph(*ParseGraph(other, AllOps())))->ContentHash(),
            *file->ContentHash());
}

TEST_F(ApiModel, InspectCountsOperatorsParametersAndWork) {
  auto model = Load(kNet);
  Result<ModelInfo> info = Inspect(*model);
  ASSERT_TRUE(info) << info.error().ToString();
  EXPECT_EQ(info->name, "net");
  EXPECT_EQ(info->nodes, 3);
  EXPECT_EQ(info->parameters, 4 * 2 * 3 * 3);
  EXPECT_EQ(info->constant_bytes, 4 * 2 * 3 * 3 * 4);
  EXPECT_THAT(info->operators,
              ElementsAre(std::pair("Add", 1), std::pair("Conv", 1), std::pair("Relu", 1)));
  ASSERT_EQ(info->inputs.size(), 1u);
  EXPECT_EQ(info->inputs[0].type, "float32[N,2,8,8]");
  EXPECT_THAT(info->inputs[0].dims, ElementsAre(-1, 2, 8, 8));
  EXPECT_EQ(info->outputs[0].type, "float32[N,4,8,8]");
  EXPECT_EQ(info->multiply_adds, 0);
  EXPECT_EQ(info->uncounted_nodes, 3);

  info = Inspect(*model, {{"x", {3, 2, 8, 8}}});
  ASSERT_TRUE(info) << info.error().ToString();
  EXPECT_EQ(info->uncounted_nodes, 0);
  const double outputs = 3 * 4 * 8 * 8;
  // Nine taps of two channels, and half an operation each for Relu and Add.
  EXPECT_EQ(info->multiply_adds, outputs * (9 * 2 + 0.5 + 0.5));
}

TEST_F(ApiModel, InspectSaysWhichShapeDoesNotFit) {
  auto model = Load(kNet);
  Result<ModelInfo> info = Inspect(*model, {{"x", {1, 3, 8, 8}}});
  ASSERT_FALSE(info);
  EXPECT_THAT(info.error().ToString(), HasSubstr("conv"));
  info = Inspect(*model, {{"y", {1}}});
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(info.error().ToString(), HasSubstr("x: float32[N,2,8,8]"));
}

TEST_F(ApiModel, LoadsInspectsRunsAndResizesWithBoundMemory) {
  auto model = Load(R"(graph "g" {
    input %x: float32[N,2]
    %y = Neg(%x) "n"
    output %y
  })");
  auto session = Session::Create(model, {.threads = 1}, {{"x", {2, 2}}});
  ASSERT_TRUE(session) << session.error().ToString();
  Session& s = **session;
  float in[6] = {1, 2, 3, 4, 5, 6}, out[6] = {};
  ASSERT_TRUE(s.BindInput(0, in).ok());
  ASSERT_TRUE(s.BindOutput(0, out).ok());
  ASSERT_TRUE(s.Run().ok());
  EXPECT_THAT(out, ElementsAre(-1, -2, -3, -4, 0, 0));
  ASSERT_TRUE(s.Resize({{"x", {3, 2}}}).ok());
  EXPECT_THAT(s.output_dims(0), ElementsAre(3, 2));
  ASSERT_TRUE(s.BindInput(0, in).ok());
  ASSERT_TRUE(s.Run().ok());
  const float* result = static_cast<const float*>(s.output_data(0));
  EXPECT_THAT(std::vector<float>(result, result + 6), ElementsAre(-1, -2, -3, -4, -5, -6));
}

TEST_F(ApiModel, LoadErrorsNameTheFile) {
  auto model = LoadModel("/no/such/file.sula");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code(), Code::kNotFound);
  EXPECT_THAT(model.error().ToString(), HasSubstr("/no/such/file.sula"));
}

TEST_F(ApiModel, NodesComeInOrderWithTheirValues) {
  const std::vector<NodeInfo> nodes = Nodes(*Load(kNet));
  ASSERT_EQ(nodes.size(), 3u);
  EXPECT_EQ(nodes[0].name, "conv");
  EXPECT_EQ(nodes[0].op, "Conv");
  EXPECT_THAT(nodes[0].inputs, ElementsAre("x", "w"));
  EXPECT_THAT(nodes[0].fields, ElementsAre(std::pair("pads", "[1, 1, 1, 1]")));
  EXPECT_EQ(nodes[0].outputs[0].name, "a");
  EXPECT_EQ(nodes[0].outputs[0].type, "float32[N,4,8,8]");
  EXPECT_THAT(nodes[2].inputs, ElementsAre("b", "b"));
}

TEST_F(ApiModel, ActivationsAreAFormulaOverNamedSizes) {
  const auto model = Load(R"(graph "g" {
  input %x: float32[N,3,H,8]
  const %w: float32[4,3,1,1] = random(1)
  %a = Conv(%x, %w)
  %b = Relu(%a)
  %y = GlobalAveragePool(%b)
  output %y
})");
  const auto formula = ActivationBytes(*model);
  ASSERT_TRUE(formula) << formula.error().ToString();
  EXPECT_EQ(*formula, "H*N*128") << "4 channels, 8 columns, 4 bytes; Relu works in place";
  const auto number = ActivationBytes(*model, {{"x", {1, 3, 10, 8}}});
  ASSERT_TRUE(number) << number.error().ToString();
  EXPECT_EQ(*number, "1280");
  EXPECT_FALSE(ActivationBytes(*model, {{"z", {1}}}));
}

TEST(ApiOperators, ListsTheCatalogueWithHelp) {
  std::vector<OperatorInfo> operators = Operators();
  EXPECT_EQ(operators.size(), AllOps().size());
  for (const OperatorInfo& op : operators) {
    EXPECT_FALSE(op.summary.empty()) << op.name;
    std::set<std::string> names;
    for (const FieldInfo& f : op.fields) {
      EXPECT_FALSE(f.help.empty()) << op.name << "." << f.name;
      EXPECT_TRUE(names.insert(f.name).second) << op.name << "." << f.name;
    }
    for (const PortInfo& p : op.inputs) EXPECT_FALSE(p.types.empty()) << op.name << "." << p.name;
    EXPECT_FALSE(op.outputs.empty()) << op.name;
  }
}

}  // namespace
}  // namespace sula
