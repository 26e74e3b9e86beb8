#include "ops/catalogue.h"

#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/pool.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"

namespace sula {
namespace {

// Sorted by name, in the order of bytes; a test checks it.
constexpr const OpDef* kAll[] = {
    &op::kAbs,
    &op::kAcos,
    &op::kAcosh,
    &op::kAdd,
    &op::kAnd,
    &op::kAsin,
    &op::kAsinh,
    &op::kAtan,
    &op::kAtanh,
    &op::kAveragePool,
    &op::kBatchNormalization,
    &op::kCast,
    &op::kCeil,
    &op::kCelu,
    &op::kClip,
    &op::kConstantOfShape,
    &op::kConv,
    &op::kConvTranspose,
    &op::kCos,
    &op::kCosh,
    &op::kDiv,
    &op::kElu,
    &op::kEqual,
    &op::kErf,
    &op::kExp,
    &op::kExpand,
    &op::kFlatten,
    &op::kFloor,
    &op::kGelu,
    &op::kGlobalAveragePool,
    &op::kGlobalMaxPool,
    &op::kGreater,
    &op::kGreaterOrEqual,
    &op::kGroupNormalization,
    &op::kHardSigmoid,
    &op::kHardSwish,
    &op::kHardmax,
    &op::kIdentity,
    &op::kInstanceNormalization,
    &op::kIsInf,
    &op::kIsNaN,
    &op::kLRN,
    &op::kLayerNormalization,
    &op::kLeakyRelu,
    &op::kLess,
    &op::kLessOrEqual,
    &op::kLog,
    &op::kLogSoftmax,
    &op::kLpNormalization,
    &op::kMatMul,
    &op::kMax,
    &op::kMaxPool,
    &op::kMin,
    &op::kMish,
    &op::kMod,
    &op::kMul,
    &op::kNeg,
    &op::kNot,
    &op::kOr,
    &op::kPRelu,
    &op::kPow,
    &op::kRMSNormalization,
    &op::kRange,
    &op::kReciprocal,
    &op::kRelu,
    &op::kReshape,
    &op::kRound,
    &op::kSelu,
    &op::kShape,
    &op::kSigmoid,
    &op::kSign,
    &op::kSin,
    &op::kSinh,
    &op::kSize,
    &op::kSoftmax,
    &op::kSoftplus,
    &op::kSoftsign,
    &op::kSqrt,
    &op::kSqueeze,
    &op::kSub,
    &op::kSwish,
    &op::kTan,
    &op::kTanh,
    &op::kThresholdedRelu,
    &op::kUnsqueeze,
    &op::kWhere,
    &op::kXor,
};

}  // namespace

Catalogue AllOps() { return kAll; }

}  // namespace sula
