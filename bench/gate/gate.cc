// Work of fixed size for a count of instructions: kernels by name, and small nets through a whole
// plan. Counts repeat where times don't, so a few per cent more are seen on any machine.
//   gate              prints the names of the cases
//   gate CASE         runs it once, inside sula_gate_measured: what tools/bench_gate.py counts
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "backend/host.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/machine_profile.h"
#include "backends/reference/reference_backend.h"
#include "backends_cpu/profiles.h"
#include "base/aligned_buffer.h"
#include "base/function_ref.h"
#include "ir/text.h"
#include "ops/catalogue.h"
#include "runtime/plan.h"

extern "C" [[gnu::noinline]] void sula_gate_measured(sula::FunctionRef<void()> work) {
  work();
  asm volatile("");  // no tail call: the count ends where this function does
}

namespace sula {
namespace {

struct Case {
  const char* name;
  const char* kernel;  // of the CPU backend; null: the graph as a plan, kernels by its own choice
  const char* graph;
};

constexpr Case kCases[] = {
    {"conv_1x1", "implicit_gemm", R"(graph "g" {
       input %x: float32[1,96,14,14]
       const %w: float32[184,96,1,1] = random(1)
       const %b: float32[184] = random(2)
       %y = Conv(%x, %w, %b) {activation="relu"} "c"
       output %y })"},
    {"conv_3x3_stride_2", "implicit_gemm", R"(graph "g" {
       input %x: float32[1,64,28,28]
       const %w: float32[64,64,3,3] = random(1)
       %y = Conv(%x, %w) {strides=[2, 2], pads=[1, 1, 1, 1]} "c"
       output %y })"},
    {"conv_first_layer", "planar_input", R"(graph "g" {
       input %x: float32[1,3,112,112]
       const %w: float32[32,3,3,3] = random(1)
       %y = Conv(%x, %w) {strides=[2, 2], pads=[1, 1, 1, 1]} "c"
       output %y })"},
    {"winograd_2x2_3x3", "winograd_2x2_3x3", R"(graph "g" {
       input %x: float32[1,128,14,14]
       const %w: float32[128,128,3,3] = random(1)
       %y = Conv(%x, %w) {pads=[1, 1, 1, 1]} "c"
       output %y })"},
    {"winograd_4x4_3x3", "winograd_4x4_3x3", R"(graph "g" {
       input %x: float32[1,64,28,28]
       const %w: float32[64,64,3,3] = random(1)
       %y = Conv(%x, %w) {pads=[1, 1, 1, 1]} "c"
       output %y })"},
    {"depthwise_3x3", "depthwise", R"(graph "g" {
       input %x: float32[1,144,28,28]
       const %w: float32[144,1,3,3] = random(1)
       %y = Conv(%x, %w) {pads=[1, 1, 1, 1], group=144, activation="relu"} "c"
       output %y })"},
    {"matmul_packed", "packed_gemm", R"(graph "g" {
       input %a: float32[128,384]
       const %b: float32[384,392] = random(1)
       %y = MatMul(%a, %b) "m"
       output %y })"},
    {"max_pool", nullptr, R"(graph "g" {
       input %x: float32[1,64,56,56]
       %y = MaxPool(%x) {kernel=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]} "p"
       output %y })"},
    {"softmax", nullptr, R"(graph "g" {
       input %x: float32[197,197]
       %y = Softmax(%x) "s"
       output %y })"},
    {"lstm", nullptr, R"(graph "g" {
       input %x: float32[8,1,128]
       const %w: float32[1,512,128] = random(1)
       const %r: float32[1,512,128] = random(2)
       %y = Lstm(%x, %w, %r) "l"
       output %y })"},
    {"net_separable", nullptr, R"(graph "g" {
       input %x: float32[1,24,28,28]
       const %w1: float32[144,24,1,1] = random(1)
       const %w2: float32[144,1,3,3] = random(2)
       const %w3: float32[24,144,1,1] = random(3)
       %a = Conv(%x, %w1) {activation="relu"} "expand"
       %b = Conv(%a, %w2) {pads=[1, 1, 1, 1], group=144, activation="relu"} "depthwise"
       %c = Conv(%b, %w3, _, %x) "project"
       output %c })"},
    {"net_residual", nullptr, R"(graph "g" {
       input %x: float32[1,3,56,56]
       const %w0: float32[64,3,7,7] = random(1)
       const %w1: float32[64,64,3,3] = random(2)
       const %w2: float32[64,64,3,3] = random(3)
       %a = Conv(%x, %w0) {strides=[2, 2], pads=[3, 3, 3, 3], activation="relu"} "first"
       %b = Conv(%a, %w1) {pads=[1, 1, 1, 1], activation="relu"} "one"
       %c = Conv(%b, %w2, _, %a) {pads=[1, 1, 1, 1], activation="relu"} "two"
       %d = GlobalAveragePool(%c) "pool"
       output %d })"},
};

void Fail(const Status& status) {
  std::fprintf(stderr, "error: %s\n", status.ToString().c_str());
  std::exit(1);
}

// The channel-last or row-major desc that a kernel's need asks for.
TensorDesc DescFor(const Value& value, LayoutNeed need) {
  const Dims dims = value.type.shape->Concrete();
  const bool last = need != LayoutNeed::kRowMajor && dims.size() >= 3;
  return DenseDesc(value.type.dtype, dims, last ? Layout::kChannelLast : Layout::kRowMajor);
}

// Memory that holds 0.5 everywhere: no denormals, nothing infinite.
AlignedBuffer Filled(const TensorDesc& desc) {
  AlignedBuffer buffer(desc.SpanBytes());
  std::fill_n(buffer.as<float>(), buffer.bytes() / sizeof(float), 0.5f);
  return buffer;
}

void RunKernel(const Graph& graph, const char* name) {
  const Node& node = graph.node(graph.TopologicalOrder().at(0));
  const std::unique_ptr<Backend> backend = MakeCpuBackend();
  for (const KernelEntry& entry : backend->Kernels(*node.op)) {
    if (entry.name != name) continue;
    std::vector<LayoutNeed> need_in(node.inputs.size(), LayoutNeed::kRowMajor);
    std::vector<LayoutNeed> need_out(node.outputs.size(), LayoutNeed::kRowMajor);
    std::vector<TensorDesc> in, out;
    std::vector<const Tensor*> constants;
    const auto describe = [&] {
      in.clear(), out.clear();
      for (size_t i = 0; i < node.inputs.size(); ++i)
        in.push_back(node.HasInput(i) ? DescFor(graph.value(node.inputs[i]), need_in[i])
                                      : TensorDesc());
      for (size_t i = 0; i < node.outputs.size(); ++i)
        out.push_back(DescFor(graph.value(node.outputs[i]), need_out[i]));
    };
    describe();
    for (ValueId v : node.inputs) constants.push_back(graph.Constant(v));
    const KernelRequest plain{&node, in, out, constants, 1};
    if (Verdict verdict = entry.accept(plain); !verdict) Fail(Unsupported(verdict.reason()));
    if (entry.layouts) entry.layouts(plain, need_in, need_out);
    for (size_t i = 0; i < constants.size(); ++i)
      if (constants[i]) need_in[i] = LayoutNeed::kRowMajor;
    describe();
    Result<std::unique_ptr<Kernel>> kernel =
        backend->Create(entry, KernelRequest{&node, in, out, constants, 1});
    if (!kernel) Fail(kernel.error());
    std::vector<AlignedBuffer> memory;
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    for (size_t i = 0; i < in.size(); ++i) {
      memory.push_back(in[i].present ? Filled(in[i]) : AlignedBuffer());
      inputs.push_back(constants[i] ? constants[i]->raw() : memory.back().data());
    }
    for (const TensorDesc& desc : out) {
      memory.push_back(Filled(desc));
      outputs.push_back(memory.back().data());
    }
    const AlignedBuffer workspace((*kernel)->workspace_bytes());
    Status status;
    const RunArgs args{inputs, outputs, workspace.data(), Parallel(1), &status};
    (*kernel)->Run(args);  // pages touched, tables made
    sula_gate_measured([&] { (*kernel)->Run(args); });
    if (!status.ok()) Fail(status);
    return;
  }
  Fail(NotFound("the CPU backend has no kernel '", name, "' for ", node.op->name));
}

void RunPlan(const Graph& graph) {
  std::vector<TensorType> types;
  for (ValueId v : graph.inputs()) types.push_back(graph.value(v).type);
  const std::unique_ptr<Backend> cpu = MakeCpuBackend(), reference = MakeReferenceBackend();
  Backend* const backends[] = {cpu.get(), reference.get()};
  Result<std::unique_ptr<Plan>> plan = Plan::Make(graph, types, backends, {.threads = 1});
  if (!plan) Fail(plan.error());
  for (size_t i = 0; i < types.size(); ++i)
    std::fill_n(static_cast<float*>((*plan)->input_data(static_cast<int>(i))),
                NumElements(types[i].shape->Concrete()), 0.5f);
  Status status = (*plan)->Run(false);
  sula_gate_measured([&] { status = (*plan)->Run(false); });
  if (!status.ok()) Fail(status);
}

}  // namespace
}  // namespace sula

int main(int argc, char** argv) {
  using namespace sula;
  // What is chosen must not depend on the machine.
  const cpu::ScopedProfile profile(cpu::TestProfile());
  for (const Case& c : kCases) {
    if (argc < 2) std::printf("%s\n", c.name);
    if (argc < 2 || std::strcmp(argv[1], c.name) != 0) continue;
    const Result<Graph> graph = ParseGraph(c.graph, AllOps());
    if (!graph) Fail(graph.error());
    if (c.kernel) {
      RunKernel(*graph, c.kernel);
    } else {
      RunPlan(*graph);
    }
    return 0;
  }
  if (argc < 2) return 0;
  std::fprintf(stderr, "error: there is no case '%s'\n", argv[1]);
  return 2;
}
