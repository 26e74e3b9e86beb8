// Passes over the whole graph; optimizer/pipeline.cc says when they run.
#pragma once

#include "optimizer/optimizer.h"

namespace sula::passes {

extern const Pass kFlushDenormals;   // flush_denormals.cc
extern const Pass kFoldShapes;       // fold_shapes.cc
extern const Pass kInlineIfs;        // inline_if.cc
extern const Pass kMergeDuplicates;  // merge_duplicates.cc
extern const Pass kRemoveDead;       // remove_dead.cc

}  // namespace sula::passes
