#include "optimizer/passes/passes.h"

namespace sula::passes {
namespace {

Result<int> RemoveDead(Graph& graph) { return graph.RemoveDead(); }

}  // namespace

constinit const Pass kRemoveDead = {"remove-dead", "nodes whose results nobody reads", RemoveDead};

}  // namespace sula::passes
