// The one ordered list: what the optimizer does, and when.
#include "optimizer/optimizer.h"
#include "optimizer/passes/passes.h"
#include "optimizer/rules/rules.h"

namespace sula {

std::span<const Stage> DefaultPipeline() {
  using namespace rules;
  static const std::vector<Stage> stages = {
      // First what is known before the run, so that later rules see constants and shapes.
      {passes::kFoldShapes, {&kFoldConstants}},
      {passes::kInlineIfs, {}},
      {passes::kFoldShapes, {&kFoldConstants}},  // shapes that needed a folded constant
      // An If in a branch may ask for shapes that are known only now.
      {passes::kInlineIfs, {}},
      {passes::kFoldShapes, {&kFoldConstants}},
      {passes::kInlineIfs, {}},
      {passes::kFoldShapes, {&kFoldConstants}},
      {{},
       {&kRemoveIdentity, &kRemoveCast, &kMergeCasts, &kRemoveNoOpShape, &kRemoveNoOpSlice,
        &kRemoveNoOpPad, &kRemoveNoOpConcat, &kRemoveNoOpArithmetic, &kRemoveEmptyClip,
        &kMergeReshapes, &kMergeSlices, &kMergeConcats, &kSliceOfConcat, &kSplitOfConcat,
        &kMergePads}},
      {passes::kMergeDuplicates, {}},
      // Pictures, activations and norms before anything else takes their pieces apart.
      {{},
       {&kRecognisePixels, &kFoldResizeIntoPixels, &kFoldGatherIntoPixels, &kFoldAffineIntoPixels}},
      {{},
       {&kMaxToLeakyRelu, &kMinMaxToClip, &kMergeClips, &kRecognisePRelu, &kPReluToLeakyRelu,
        &kRecogniseActivation}},
      {{},
       {&kRecogniseNorm, &kRecogniseRmsNorm, &kRecogniseGroupNorm, &kRecogniseSoftmax,
        &kFoldAffineIntoNorm}},
      // Before factors and transposes move away from the products.
      {{}, {&kRecogniseAttention}},
      {{},
       {&kFoldTransposeIntoAttention, &kMergeTransposes, &kSinkTranspose, &kMoveTransposes,
        &kMatMulToConv, &kFoldTransposeIntoMatMul}},
      {{},
       {&kTransposeToReshape, &kMergeReshapes, &kRemoveNoOpShape, &kReduceToGlobalPool,
        &kPoolToGlobalPool}},
      // Weights: what follows a convolution, then what comes before it.
      {{},
       {&kConvToScale, &kFoldAffineIntoWeights, &kMergeIntoGroups, &kDilateConv, &kFoldPadIntoConv,
        &kFoldPadIntoAveragePool, &kFoldPadIntoMaxPool, &kFoldScaleIntoAlpha,
        &kFoldScaleOfInputIntoAlpha}},
      {{}, {&kFoldAffineOfInput, &kShiftBeforeScale, &kFoldAffineIntoWeights}},
      {{}, {&kTrimKernel, &kMergeConvs}},
      {{}, {&kBatchNormToScale, &kMergeFactors, &kFactorOut}},
      {passes::kFlushDenormals, {}},  // now that the weights are what they will be
      {passes::kMergeDuplicates, {}},
      // A residual is added before the activation, so it is looked for first.
      {{}, {&kFuseResidual}},
      {{}, {&kFuseActivation}},
      {{}, {&kMergeIntoGroups, &kMergeSiblings}},  // with activations in the parts
      {passes::kRemoveDead, {}},
  };
  return stages;
}

}  // namespace sula
