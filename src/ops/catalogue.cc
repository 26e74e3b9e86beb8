#include "ops/catalogue.h"

#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/pool.h"

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
    &op::kCast,
    &op::kCeil,
    &op::kCelu,
    &op::kClip,
    &op::kConv,
    &op::kConvTranspose,
    &op::kCos,
    &op::kCosh,
    &op::kDiv,
    &op::kElu,
    &op::kEqual,
    &op::kErf,
    &op::kExp,
    &op::kFloor,
    &op::kGelu,
    &op::kGlobalAveragePool,
    &op::kGlobalMaxPool,
    &op::kGreater,
    &op::kGreaterOrEqual,
    &op::kHardSigmoid,
    &op::kHardSwish,
    &op::kIdentity,
    &op::kIsInf,
    &op::kIsNaN,
    &op::kLeakyRelu,
    &op::kLess,
    &op::kLessOrEqual,
    &op::kLog,
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
    &op::kReciprocal,
    &op::kRelu,
    &op::kRound,
    &op::kSelu,
    &op::kSigmoid,
    &op::kSign,
    &op::kSin,
    &op::kSinh,
    &op::kSoftplus,
    &op::kSoftsign,
    &op::kSqrt,
    &op::kSub,
    &op::kSwish,
    &op::kTan,
    &op::kTanh,
    &op::kThresholdedRelu,
    &op::kWhere,
    &op::kXor,
};

}  // namespace

Catalogue AllOps() { return kAll; }

}  // namespace sula
