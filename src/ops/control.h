// Control flow: operators with bodies. A body is a subgraph of the node; what it captures is listed
// behind the node's own inputs (Graph::captures).
#pragma once

#include "ir/op_def.h"

namespace sula {
namespace op {

// condition (one element), captures of the first body, captures of the second -> outputs...
// The first body runs if the condition is true, else the second; neither has inputs of its own.
extern const OpDef kIf;

// max_trips? (one element), condition? (one element), carried... (1 or more), captures
//   -> carried..., collected...
// Body: trip number (int64 scalar), condition (bool scalar), carried..., captures
//   -> condition, carried..., collected...
// Runs the body while the condition holds, at most max_trips times. Collected outputs of all trips
// are stacked along a new first axis.
extern const OpDef kLoop;

}  // namespace op
}  // namespace sula
