// In which order to run the nodes, so that few values are live at the same time.
#pragma once

#include "runtime/prepare/concrete.h"

namespace sula {

// Bytes of values live at the same time, at most, if the nodes of graph.order run in that order:
// outputs of nodes from the node that makes them to the last that reads them. Reshapes count once.
// Graph inputs, outputs and constants have memory of their own and don't count, values of unknown
// size can't. Kernels' workspaces are not known yet.
size_t LiveBytes(const ConcreteGraph& graph);

// Reorders graph.order where that lowers LiveBytes by a hundredth or more: branches that end small
// are finished before others begin. A beam search over sets of nodes that have run (as Ahn et al.,
// "Ordering chaos: memory-aware scheduling of irregularly wired neural networks", MLSys 2020, do
// exactly): deterministic, and narrower the larger the graph, so that it takes milliseconds. Leaves
// graphs with impure nodes alone.
void OrderForMemory(ConcreteGraph& graph);

}  // namespace sula
