// Nets of *.case against what OpenCV's dnn module computes for them: make_cases.py writes and
// explains the files. Each net is run as imported, by the operators' reference meaning, and through
// the whole of sula: optimizer, planning, CPU kernels.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "caffe_subset.pb.h"
#include "frontends/caffe/caffe.h"
#include "gtest/gtest.h"
#include "ops/catalogue.h"
#include "optimizer/optimizer.h"
#include "runtime/session.h"

namespace sula::caffe {
namespace {

// Numbers in [low, high) from a hash of index and seed, as make_cases.py draws them.
struct Uniform {
  std::string name;  // of the input blob, or of the layer
  Dims dims;
  uint32_t seed = 0;
  double low = 0, high = 0;

  Tensor Draw() const {
    Tensor t(DType::kFloat32, dims);
    uint32_t i = 0;
    for (float& v : t.mutable_data<float>()) {
      uint32_t x = i++ + seed * 0x9E3779B1u;
      x = (x ^ x >> 16) * 0x85EBCA6Bu;
      x = (x ^ x >> 13) * 0xC2B2AE35u;
      x ^= x >> 16;
      v = static_cast<float>(low + (high - low) * ((x >> 8) / 16777216.0));
    }
    return t;
  }
};

struct Expected {
  std::string blob;
  Dims dims;
  int64_t step = 1;
  double tolerance = 0;
  std::vector<double> samples;  // elements 0, step, 2 * step, ...
};

struct Case {
  std::string name, prototxt;
  std::vector<Uniform> inputs, blobs;
  std::vector<Expected> outputs;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

// Numbers up to the next word.
Dims ReadDims(std::istringstream& words, std::string& next) {
  Dims dims;
  while (words >> next && next.find_first_not_of("0123456789") == std::string::npos)
    dims.push_back(std::stoll(next));
  return dims;
}

void ReadFile(const std::filesystem::path& path, std::vector<Case>& cases) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string keyword, name, next;
    words >> keyword >> name;
    if (keyword == "case") {
      cases.push_back({.name = name});
    } else if (keyword == "input" || keyword == "blob") {
      Uniform u = {.name = name, .dims = ReadDims(words, next)};
      words >> u.seed >> next >> u.low >> u.high;
      (keyword == "input" ? cases.back().inputs : cases.back().blobs).push_back(u);
    } else if (keyword == "net") {
      while (std::getline(file, line) && line != "endnet") cases.back().prototxt += line + "\n";
    } else if (keyword == "output") {
      Expected e = {.blob = name, .dims = ReadDims(words, next)};
      words >> e.step >> next >> e.tolerance;
      std::getline(file, line);
      std::istringstream values(line);
      for (double v; values >> v;) e.samples.push_back(v);
      cases.back().outputs.push_back(std::move(e));
    }
  }
}

std::vector<Case> AllCases() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(SULA_CAFFE_CASES_DIR))
    if (entry.path().extension() == ".case") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Case> cases;
  for (const auto& path : paths) ReadFile(path, cases);
  return cases;
}

std::string WeightsOf(const Case& c) {
  WeightFile file;
  std::map<std::string, WeightFile::Layer*> layers;
  for (const Uniform& u : c.blobs) {
    WeightFile::Layer*& layer = layers[u.name];
    if (!layer) layer = file.add_layer();
    layer->set_name(u.name);
    Blob* blob = layer->add_blobs();
    for (int64_t d : u.dims) blob->mutable_shape()->add_dim(d);
    const Tensor t = u.Draw();
    blob->mutable_data()->Add(t.data<float>().begin(), t.data<float>().end());
  }
  return file.SerializeAsString();
}

// The case's inputs in the order of the graph.
std::vector<Tensor> InputsOf(const Case& c, const Graph& graph) {
  std::vector<Tensor> inputs;
  for (ValueId v : graph.inputs()) {
    const auto it = std::find_if(c.inputs.begin(), c.inputs.end(),
                                 [&](const Uniform& u) { return u.name == graph.value(v).name; });
    EXPECT_NE(it, c.inputs.end()) << graph.value(v).name;
    if (it != c.inputs.end()) inputs.push_back(it->Draw());
  }
  return inputs;
}

void ExpectOutputs(const Case& c, std::span<const std::string> names,
                   std::span<const Tensor> outputs) {
  ASSERT_EQ(names.size(), c.outputs.size());
  for (const Expected& e : c.outputs) {
    SCOPED_TRACE(e.blob);
    const auto it = std::find(names.begin(), names.end(), e.blob);
    ASSERT_NE(it, names.end());
    const Tensor& got = outputs[it - names.begin()];
    ASSERT_EQ(got.dims(), e.dims);
    for (size_t i = 0; i < e.samples.size(); ++i)
      ASSERT_NEAR(got.AsDouble(static_cast<int64_t>(i) * e.step), e.samples[i], e.tolerance)
          << "at element " << i * e.step;
  }
}

std::vector<std::string> OutputNames(const Graph& graph) {
  std::vector<std::string> names;
  for (ValueId v : graph.outputs()) names.push_back(graph.value(v).name);
  return names;
}

class CaffeCases : public ::testing::TestWithParam<Case> {
 protected:
  Result<Graph> Import() {
    const std::string weights = WeightsOf(GetParam());
    return ImportCaffeText(GetParam().prototxt, std::as_bytes(std::span(weights)));
  }
};

TEST_P(CaffeCases, AsImported) {
  const Result<Graph> graph = Import();
  ASSERT_TRUE(graph.has_value()) << graph.error().ToString();
  const auto outputs = EvaluateGraph(*graph, InputsOf(GetParam(), *graph));
  ASSERT_TRUE(outputs.has_value()) << outputs.error().ToString();
  ExpectOutputs(GetParam(), OutputNames(*graph), *outputs);
}

TEST_P(CaffeCases, OptimizedOnCpu) {
  Result<Graph> graph = Import();
  ASSERT_TRUE(graph.has_value()) << graph.error().ToString();
  const std::vector<Tensor> inputs = InputsOf(GetParam(), *graph);
  const auto report = Optimize(*graph);
  ASSERT_TRUE(report.has_value()) << report.error().ToString();
  graph->Compact();
  const std::vector<std::string> names = OutputNames(*graph);
  auto model = Model::FromGraph(*std::move(graph));
  ASSERT_TRUE(model.has_value()) << model.error().ToString();
  auto session = Session::Create(*model, {.threads = 1});
  ASSERT_TRUE(session.has_value()) << session.error().ToString();
  Session& s = **session;
  for (size_t i = 0; i < inputs.size(); ++i)
    ASSERT_TRUE(s.BindInput(static_cast<int>(i), inputs[i].raw()).ok());
  const Status status = s.Run();
  ASSERT_TRUE(status.ok()) << status.ToString();
  std::vector<Tensor> outputs;
  for (int i = 0; i < s.num_outputs(); ++i)
    outputs.push_back(
        Tensor::Borrow(s.output_type(i), s.output_dims(i), s.output_data(i), nullptr));
  ExpectOutputs(GetParam(), names, outputs);
}

INSTANTIATE_TEST_SUITE_P(All, CaffeCases, ::testing::ValuesIn(AllCases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sula::caffe
