// Helpers for OpDef::cost.
#pragma once

#include <span>

#include "ir/op_def.h"

namespace sula {

// Number of elements; 0 while the shape is unknown or symbolic (also for an absent input).
double Elements(const TensorType& type);

// Elements of one slice along the first axis; 0 where Elements is.
double SliceElements(const TensorType& type);

// Every input read once, every output written once, `flops` operations.
Cost Traffic(std::span<const TensorType> inputs, std::span<const TensorType> outputs, double flops);

}  // namespace sula
