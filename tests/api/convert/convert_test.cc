#include "sula/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "format/model_file.h"
#include "ir/text.h"
#include "ops/catalogue.h"
#include "sula/session.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ApiConvert : public ::testing::Test {
 protected:
  ApiConvert()
      : dir_(std::filesystem::temp_directory_path() /
             ("sula_api_convert_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(dir_);
  }
  ~ApiConvert() override { std::filesystem::remove_all(dir_); }

  std::string Path(const std::string& name) const { return (dir_ / name).string(); }
  std::string WriteText(const std::string& name, std::string_view text) {
    std::ofstream(Path(name), std::ios::binary) << text;
    return Path(name);
  }
  std::string WriteModel(std::string_view text) {
    Result<Graph> graph = ParseGraph(text, AllOps());
    EXPECT_TRUE(graph) << graph.error().ToString();
    EXPECT_TRUE(WriteModelFile(*graph, Path("in.sula")).ok());
    return Path("in.sula");
  }

  std::filesystem::path dir_;
};

constexpr std::string_view kNet = R"(graph "net" {
  input %x: float32[N,2,4,4]
  const %w: float32[3,2,1,1] = random(1)
  %a = Conv(%x, %w) "conv"
  %b = Identity(%a) "same"
  %c = Relu(%b) "relu"
  output %c
})";

TEST_F(ApiConvert, AnInputWithAFixedValueDecidesAnIf) {
  const std::string file = WriteModel(R"(graph "net" {
  input %x: float32[2]
  input %rate: int64[]
  const %high: int64[] = [16000]
  %c = Equal(%rate, %high)
  %y = If(%c, %x, %x) "if" {
    graph "then" { captures %x  input %a: float32[2]  %b = Neg(%a)  output %b }
    graph "else" { captures %x  input %a: float32[2]  %b = Abs(%a)  output %b }
  }
  output %y
})");
  ConvertOptions options{.input_values = {{"rate", {16000}}}};
  Result<ConvertSummary> s = Convert({&file, 1}, Path("out.sula"), options);
  ASSERT_TRUE(s) << s.error().ToString();
  EXPECT_THAT(s->operators, ElementsAre(std::pair("Neg", 1)));
  Result<std::shared_ptr<const Model>> model = LoadModel(Path("out.sula"));
  ASSERT_TRUE(model) << model.error().ToString();
  auto session = Session::Create(*model);
  ASSERT_TRUE(session) << session.error().ToString();
  EXPECT_EQ((*session)->num_inputs(), 2);

  options.input_values = {{"rate", {1, 2}}};
  EXPECT_THAT(Convert({&file, 1}, Path("out.sula"), options).error().message(),
              HasSubstr("'rate' has 1 elements, but 2 values"));
  options.input_values = {{"speed", {1}}};
  EXPECT_THAT(Convert({&file, 1}, Path("out.sula"), options).error().message(), HasSubstr("speed"));
  const std::string open = WriteModel(kNet);
  options.input_values = {{"x", {1}}};
  EXPECT_THAT(Convert({&open, 1}, Path("out.sula"), options).error().message(),
              HasSubstr("give its shape too"));
}

TEST_F(ApiConvert, AnIfInABranchThatIsTaken) {
  const std::string file = WriteModel(R"(graph "net" {
  input %x: float32[2]
  input %c: bool[]
  %y = If(%c, %x, %c, %x) "if" {
    graph "then" {
      captures %x, %c
      input %a: float32[2]
      input %k: bool[]
      %n = Not(%k)
      %b = If(%n, %a, %a) "inner" {
        graph "then" { captures %a  input %p: float32[2]  %q = Neg(%p)  output %q }
        graph "else" { captures %a  input %p: float32[2]  %q = Abs(%p)  output %q }
      }
      output %b
    }
    graph "else" { captures %x  input %a: float32[2]  %b = Exp(%a)  output %b }
  }
  output %y
})");
  const ConvertOptions options{.input_values = {{"c", {1}}}};
  Result<ConvertSummary> s = Convert({&file, 1}, Path("out.sula"), options);
  ASSERT_TRUE(s) << s.error().ToString();
  EXPECT_THAT(s->operators, ElementsAre(std::pair("Abs", 1)));
}

TEST_F(ApiConvert, OptimizesAndReports) {
  const std::string file = WriteModel(kNet);
  ConvertOptions options{.input_shapes = {{"x", {"5", "2", "4", "4"}}}, .dump_ir = Path("net.ir")};
  std::vector<ConvertProgress::Stage> stages;
  int64_t steps = 0;
  options.on_progress = [&](const ConvertProgress& p) {
    if (stages.empty() || stages.back() != p.stage) stages.push_back(p.stage);
    steps = std::max(steps, p.steps);
  };
  Result<ConvertSummary> s = Convert({&file, 1}, Path("out.sula"), options);
  ASSERT_TRUE(s) << s.error().ToString();
  EXPECT_EQ(s->source_format, "sula");
  EXPECT_EQ(s->nodes_before, 3);
  EXPECT_EQ(s->nodes_after, 1);
  EXPECT_EQ(s->parameters, 6);
  EXPECT_EQ(s->multiply_adds_before, 5 * 3 * 16 * (2 + 0.5));
  EXPECT_EQ(s->uncounted_nodes, 0);
  EXPECT_THAT(s->operators, ElementsAre(std::pair("Conv", 1)));
  EXPECT_THAT(s->warnings, IsEmpty());
  EXPECT_EQ(static_cast<uintmax_t>(s->file_bytes), std::filesystem::file_size(Path("out.sula")));
  using Stage = ConvertProgress::Stage;
  EXPECT_THAT(stages, ElementsAre(Stage::kReading, Stage::kOptimizing, Stage::kWriting));
  int64_t applied = 0;
  for (const auto& [rule, count] : s->rules) applied += count;
  EXPECT_EQ(applied, steps);
  std::ifstream ir(Path("net.ir"));
  std::string text((std::istreambuf_iterator<char>(ir)), {});
  EXPECT_THAT(text, HasSubstr("float32[5,3,4,4]"));
}

TEST_F(ApiConvert, VerifiesIfAsked) {
  const std::string file = WriteModel(kNet);
  ConvertOptions options{.verify = true, .verify_seed = 5};
  bool told = false;
  options.on_progress = [&](const ConvertProgress& p) {
    told |= p.stage == ConvertProgress::Stage::kVerifying;
  };
  ConvertSummary summary;
  ASSERT_TRUE(ConvertInMemory({&file, 1}, options, &summary));
  EXPECT_TRUE(told);
  int64_t applied = 0;
  for (const auto& [rule, count] : summary.rules) applied += count;
  ASSERT_TRUE(summary.verified.has_value());
  EXPECT_EQ(summary.verified->changes, applied);
  EXPECT_EQ(summary.verified->seed, 5u);
  EXPECT_THAT(summary.verified->inputs, HasSubstr("x float32[2,2,4,4]"));
  ASSERT_TRUE(ConvertInMemory({&file, 1}, {}, &summary));
  EXPECT_FALSE(summary.verified.has_value());
}

TEST_F(ApiConvert, StopsWhereAskedAndDisables) {
  const std::string file = WriteModel(kNet);
  ConvertSummary summary;
  ASSERT_TRUE(ConvertInMemory({&file, 1}, {.stop_after = 0}, &summary));
  EXPECT_EQ(summary.nodes_after, 3);
  EXPECT_THAT(summary.rules, IsEmpty());
  EXPECT_THAT(summary.warnings, ElementsAre(HasSubstr("'x'")));
  std::set<std::string, std::less<>> all;
  for (const RuleInfo& rule : Rules()) {
    EXPECT_FALSE(rule.summary.empty()) << rule.name;
    all.insert(rule.name);
  }
  ASSERT_TRUE(ConvertInMemory({&file, 1}, {.disabled_rules = all}, &summary));
  EXPECT_EQ(summary.nodes_after, 3);
  auto model = ConvertInMemory({&file, 1}, {.disabled_rules = {"no-such-rule"}});
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().ToString(), HasSubstr("no-such-rule"));
}

TEST_F(ApiConvert, RefusesOtherFormatsByName) {
  for (const auto& [name, text, format] :
       {std::tuple("a.tflite", std::string_view("\0\0\0\0TFL3", 8), "TFLite"),
        std::tuple("b.bin", std::string_view("\0\0\0\0TFL3", 8), "TFLite"),
        std::tuple("net.h5", std::string_view("\x89HDF"), "Keras"),
        std::tuple("net.pb", std::string_view("\x0a"), "TensorFlow"),
        std::tuple("net.pt", std::string_view("PK\3\4"), "TorchScript"),
        std::tuple("net.gguf", std::string_view("GGUF"), "GGUF")}) {
    const std::string file = WriteText(name, text);
    EXPECT_EQ(DetectFormat(file), format);
    auto model = ConvertInMemory({&file, 1});
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code(), Code::kUnsupported);
    EXPECT_THAT(model.error().ToString(), HasSubstr(format));
    EXPECT_THAT(model.error().ToString(), HasSubstr(name));
  }
  const std::string unknown = WriteText("photo.jpg", "\xff\xd8\xff");
  EXPECT_EQ(DetectFormat(unknown), "");
  EXPECT_EQ(ConvertInMemory({&unknown, 1}).error().code(), Code::kUnsupported);
}

TEST_F(ApiConvert, ContentGoesBeforeTheName) {
  const std::string file = WriteModel(kNet);
  std::filesystem::rename(file, Path("model.onnx"));
  EXPECT_EQ(DetectFormat(Path("model.onnx")), "sula");
  EXPECT_EQ(DetectFormat(WriteText("no_suffix", "\x08\x07\x12\x04test")), "ONNX");
}

TEST_F(ApiConvert, ArgumentErrors) {
  const std::string file = WriteModel(kNet);
  EXPECT_EQ(ConvertInMemory({}).error().code(), Code::kInvalidArgument);
  const std::string missing = Path("missing.onnx");
  EXPECT_EQ(ConvertInMemory({&missing, 1}).error().code(), Code::kNotFound);
  const std::vector<std::string> two = {file, file};
  EXPECT_EQ(ConvertInMemory(two).error().code(), Code::kInvalidArgument);
  for (const char* size : {"-1", "", "1.5", "a b"}) {
    auto model = ConvertInMemory({&file, 1}, {.input_shapes = {{"x", {size}}}});
    ASSERT_FALSE(model) << size;
    EXPECT_EQ(model.error().code(), Code::kInvalidArgument) << size;
  }
  auto model = ConvertInMemory({&file, 1}, {.input_shapes = {{"nobody", {"1"}}}});
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().ToString(), HasSubstr("x: float32[N,2,4,4]"));
  EXPECT_EQ(Convert({&file, 1}, Path("no/such/dir/out.sula")).error().code(), Code::kIo);
}

}  // namespace
}  // namespace sula
