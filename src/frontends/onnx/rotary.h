// RotaryEmbedding: a row of AttentionHandlers, in a file of its own.
#pragma once

#include "frontends/onnx/node_import.h"

namespace sula::onnx {

void RotaryEmbedding(NodeImport& n);

}  // namespace sula::onnx
