#include "fuzz/target.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>

#include "ir/text.h"
#include "ops/catalogue.h"
#include "ops/control.h"
#include "optimizer/optimizer.h"

namespace sula::fuzz {
namespace {

constexpr int64_t kMaxElements = 1 << 14;  // of one tensor
constexpr double kMaxFlops = 1e7;          // of one run

[[noreturn]] void Die(std::string_view what, const std::string& why) {
  std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(what.size()), what.data(), why.c_str());
  std::abort();
}

bool Small(const TensorType& type) {
  if (!type.shape) return false;
  int64_t elements = 1;
  for (const Dim& d : *type.shape) {
    if (!d.is_const() || d.value() < 0 || d.value() > kMaxElements) return false;
    elements *= d.value();
    if (elements > kMaxElements) return false;
  }
  return true;
}

// Every tensor small, no loop (as many trips as the bytes say), work below `flops`.
bool Bounded(const Graph& graph, double& flops) {
  for (ValueId v : graph.inputs())
    if (!Small(graph.value(v).type)) return false;
  for (NodeId id : graph.TopologicalOrder()) {
    const Node& node = graph.node(id);
    if (node.Is(op::kLoop)) return false;
    bool small = true;
    auto types = [&](const std::vector<ValueId>& values) {
      std::vector<TensorType> r;
      for (ValueId v : values) {
        r.push_back(v == kNoValue ? TensorType{} : graph.value(v).type);
        small &= v == kNoValue || Small(r.back());
      }
      return r;
    };
    const std::vector<TensorType> inputs = types(node.inputs), outputs = types(node.outputs);
    if (!small) return false;
    if (node.op->cost) flops -= node.op->cost(node, inputs, outputs).flops;
    if (!(flops > 0)) return false;
    for (const Graph& body : node.subgraphs)
      if (!Bounded(body, flops)) return false;
  }
  return true;
}

}  // namespace

bool Refused(const Status& error) {
  if (error.code() == Code::kInternal) Die("the reader blames itself", error.ToString());
  if (error.message().empty()) Die("an error without a message", error.ToString());
  return false;
}

MemoryFile::MemoryFile(std::string_view bytes) : descriptor_(memfd_create("input", 0)) {
  if (descriptor_ < 0) Die("memfd_create", "failed");
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
    if (written <= 0) Die("write", "failed");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  path_ = StrCat("/proc/self/fd/", descriptor_);
}

MemoryFile::~MemoryFile() { close(descriptor_); }

void Exercise(Graph graph) {
  if (Status s = Verify(graph); !s.ok()) Die("a reader gave a broken graph", s.ToString());
  std::map<std::string, Shape> shapes;
  for (ValueId v : graph.inputs()) {
    const auto& shape = graph.value(v).type.shape;
    if (!shape) return;
    std::vector<Dim> dims;
    for (const Dim& d : *shape) dims.push_back(d.is_const() ? d : Dim(2));
    shapes[graph.value(v).name] = Shape(std::move(dims));
  }
  if (!InferShapes(graph, &shapes).ok()) return;
  double flops = kMaxFlops;
  if (!Bounded(graph, flops)) return;
  std::vector<Tensor> feeds;
  for (ValueId v : graph.inputs()) {
    const TensorType& type = graph.value(v).type;
    feeds.push_back(RandomTensor(type.dtype, type.shape->Concrete(), feeds.size()));
  }
  const bool runs = EvaluateGraph(graph, feeds).has_value();
  if (Result<OptimizeReport> r = Optimize(graph); !r) {
    (void)Refused(r.error());
    return;
  }
  if (!runs) return;
  // Work that the optimizer leaves can't have grown, but a node may have refused its operands.
  if (Result<std::vector<Tensor>> r = EvaluateGraph(graph, feeds); !r)
    Die("the optimized graph does not run", r.error().ToString());
}

}  // namespace sula::fuzz
