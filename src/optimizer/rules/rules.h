// All rules by topic; optimizer/pipeline.cc says in what order they are tried. Each is explained by
// its summary, which `sula` prints.
#pragma once

#include "optimizer/optimizer.h"

namespace sula::rules {

// constants.cc
extern const Rule kFoldConstants;
// identities.cc: nodes that change nothing
extern const Rule kRemoveIdentity, kRemoveCast, kMergeCasts, kRemoveNoOpShape, kRemoveNoOpSlice,
    kRemoveNoOpPad, kRemoveNoOpConcat, kRemoveNoOpArithmetic, kRemoveEmptyClip;
// reshapes.cc
extern const Rule kMergeReshapes, kTransposeToReshape, kReduceToGlobalPool, kPoolToGlobalPool;
// transposes.cc
extern const Rule kMergeTransposes, kFoldTransposeIntoMatMul;
// move_transposes.cc
extern const Rule kMoveTransposes, kSinkTranspose;
// pieces.cc: slices, splits, concatenations and pads that meet
extern const Rule kMergeSlices, kMergeConcats, kSliceOfConcat, kSplitOfConcat, kMergePads;
// affine.cc: y = scale * x + shift per channel
extern const Rule kFoldAffineIntoWeights, kFoldAffineOfInput, kShiftBeforeScale,
    kFoldScaleIntoAlpha, kFoldScaleOfInputIntoAlpha, kBatchNormToScale;
// convs.cc: convolutions with constant weights
extern const Rule kMergeConvs, kTrimKernel, kMergeIntoGroups, kConvToScale, kMatMulToConv;
// dilation.cc: dilations that are spelled out
extern const Rule kDilateConv;
// siblings.cc: several readers of one value as one that is wider
extern const Rule kMergeSiblings;
// arithmetic.cc
extern const Rule kMergeFactors, kFactorOut;
// pads.cc
extern const Rule kFoldPadIntoConv, kFoldPadIntoAveragePool, kFoldPadIntoMaxPool;
// activations.cc: activations that exporters spell out
extern const Rule kRecogniseActivation, kPReluToLeakyRelu;
// piecewise.cc: those of straight pieces
extern const Rule kMinMaxToClip, kMergeClips, kMaxToLeakyRelu, kRecognisePRelu;
// norms.cc: normalisations that exporters spell out
extern const Rule kRecogniseNorm, kRecogniseRmsNorm, kRecogniseGroupNorm, kRecogniseSoftmax,
    kFoldAffineIntoNorm;
// attention.cc: attention that exporters spell out
extern const Rule kRecogniseAttention, kFoldTransposeIntoAttention;
// pixels.cc: pictures of bytes as inputs
extern const Rule kRecognisePixels, kFoldAffineIntoPixels, kFoldResizeIntoPixels,
    kFoldGatherIntoPixels;
// epilogues.cc
extern const Rule kFuseResidual, kFuseActivation;

}  // namespace sula::rules
