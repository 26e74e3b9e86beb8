#include "plan_harness.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backends/cpu/cpu_backend.h"
#include "backends/reference/reference_backend.h"
#include "ir/text.h"
#include "layout_backend.h"
#include "ops/catalogue.h"
#include "runtime/prepare/concrete.h"

namespace sula {
namespace {

// As ==, but that zeros of both signs are equal.
testing::AssertionResult SameNumbers(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.dims() != b.dims())
    return testing::AssertionFailure() << ToString(a.dims()) << " and " << ToString(b.dims());
  for (int64_t i = 0; i < a.num_elements(); ++i)
    if (a.AsDouble(i) != b.AsDouble(i))
      return testing::AssertionFailure()
             << "element " << i << ": " << a.AsDouble(i) << " and " << b.AsDouble(i);
  return testing::AssertionSuccess();
}

// "Conv cpu implicit_gemm: float32[1,4,4,4] channel-last -> ...", a line for each command.
std::string Commands(const Plan& plan) {
  std::string text;
  for (const NodeReport& node : plan.report().nodes) {
    text += StrCat("  ", node.op, " '", node.name, "' ", node.backend, " ", node.kernel, ":");
    for (const std::string& input : node.inputs) text += " " + input;
    text += " ->";
    for (const std::string& output : node.outputs) text += " " + output;
    text += "\n";
  }
  return text;
}

}  // namespace

Graph ParseOrFail(std::string_view text) {
  auto graph = ParseGraph(text, AllOps());
  EXPECT_TRUE(graph) << graph.error().ToString();
  return graph ? *std::move(graph) : Graph();
}

Tensor WholeNumbers(DType dtype, const Dims& dims, uint64_t seed) {
  Tensor t = RandomTensor(dtype, dims, seed);
  if (dtype == DType::kFloat32)
    for (float& f : t.mutable_data<float>()) f = std::floor(3 * f);
  return t;
}

std::vector<Tensor> RandomInputs(const Graph& graph, uint64_t seed) {
  std::vector<Tensor> inputs;
  for (ValueId v : graph.inputs())
    inputs.push_back(
        WholeNumbers(graph.value(v).type.dtype, graph.value(v).type.shape->Concrete(), seed++));
  return inputs;
}

int PlanOnBackends::CountKernel(std::string_view kernel) const {
  const auto& nodes = plan->report().nodes;
  return static_cast<int>(std::count_if(nodes.begin(), nodes.end(),
                                        [&](const NodeReport& n) { return n.kernel == kernel; }));
}

PlanOnBackends MakePlan(const Graph& graph, const HarnessOptions& options) {
  PlanOnBackends result;
  result.backends.push_back(options.backend ? options.backend()
                            : options.cpu   ? MakeCpuBackend()
                                            : MakeLayoutBackend(options.chains));
  result.backends.push_back(MakeReferenceBackend());
  Backend* const backends[] = {result.backends[0].get(), result.backends[1].get()};
  auto types = ConcreteInputTypes(graph, {});
  EXPECT_TRUE(types) << types.error().ToString();
  auto plan = Plan::Make(
      graph, *types, backends,
      {.threads = options.threads, .pad_pixels = options.pad_pixels, .chains = options.use_chains});
  EXPECT_TRUE(plan) << plan.error().ToString();
  if (plan) result.plan = *std::move(plan);
  return result;
}

std::vector<Tensor> RunPlan(Plan& plan, const Graph& graph, const std::vector<Tensor>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].bytes() > 0)
      std::memcpy(plan.input_data(static_cast<int>(i)), inputs[i].raw(), inputs[i].bytes());
  const Status status = plan.Run(false);
  EXPECT_TRUE(status.ok()) << status.ToString();
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const int k = static_cast<int>(i);
    outputs.push_back(Tensor::Borrow(graph.value(graph.outputs()[i]).type.dtype,
                                     plan.output_dims(k), plan.output_data(k), nullptr)
                          .Clone());
  }
  return outputs;
}

PlanOnBackends ExpectSameAsEvaluate(const Graph& graph, const HarnessOptions& options) {
  PlanOnBackends made = MakePlan(graph, options);
  if (!made.plan) return made;
  for (uint64_t seed : {1, 100}) {
    const std::vector<Tensor> inputs = RandomInputs(graph, seed);
    const auto expected = EvaluateGraph(graph, inputs);
    EXPECT_TRUE(expected) << expected.error().ToString();
    if (!expected) return made;
    const std::vector<Tensor> actual = RunPlan(*made.plan, graph, inputs);
    for (size_t i = 0; i < actual.size(); ++i)
      EXPECT_TRUE(SameNumbers(actual[i], (*expected)[i]))
          << "output " << i << " '" << graph.value(graph.outputs()[i]).name << "'\n"
          << Commands(*made.plan);
  }
  return made;
}

}  // namespace sula
