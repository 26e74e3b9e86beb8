#include "backends/cpu/kernel_table.h"

#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/stream_kernels.h"
#include "ops/attention.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/pixels.h"
#include "ops/pool.h"
#include "ops/recurrent.h"
#include "ops/reduce.h"
#include "ops/resize.h"
#include "ops/softmax.h"

namespace sula {
namespace {

struct Row {
  const OpDef* op;
  std::span<const KernelEntry> (*kernels)();
};

// Operators without a row run on the reference backend.
constexpr Row kTable[] = {
    {&op::kAbs, cpu::UnaryKernels},
    {&op::kAdd, cpu::BinaryKernels},
    {&op::kAnd, cpu::TypedKernels},
    {&op::kArgMax, cpu::ArgKernels},
    {&op::kArgMin, cpu::ArgKernels},
    {&op::kAttention, cpu::AttentionKernels},
    {&op::kAveragePool, cpu::AveragePoolKernels},
    {&op::kCast, cpu::TypedKernels},
    {&op::kCeil, cpu::UnaryKernels},
    {&op::kCelu, cpu::UnaryKernels},
    {&op::kClip, cpu::UnaryKernels},
    {&op::kConv, cpu::ConvKernels},
    {&op::kConvTranspose, cpu::ConvTransposeKernels},
    {&op::kCumSum, cpu::CumSumKernels},
    {&op::kDiv, cpu::BinaryKernels},
    {&op::kElu, cpu::UnaryKernels},
    {&op::kEqual, cpu::TypedKernels},
    {&op::kErf, cpu::UnaryKernels},
    {&op::kExp, cpu::UnaryKernels},
    {&op::kFloor, cpu::UnaryKernels},
    {&op::kFromPixels, cpu::FromPixelsKernels},
    {&op::kGather, cpu::GatherKernels},
    {&op::kGelu, cpu::UnaryKernels},
    {&op::kGlobalAveragePool, cpu::GlobalAveragePoolKernels},
    {&op::kGlobalMaxPool, cpu::GlobalMaxPoolKernels},
    {&op::kGreater, cpu::TypedKernels},
    {&op::kGreaterOrEqual, cpu::TypedKernels},
    {&op::kGroupNormalization, cpu::GroupNormKernels},
    {&op::kGru, cpu::RecurrentKernels},
    {&op::kHardSigmoid, cpu::UnaryKernels},
    {&op::kHardSwish, cpu::UnaryKernels},
    {&op::kInstanceNormalization, cpu::GroupNormKernels},
    {&op::kLRN, cpu::LrnKernels},
    {&op::kLayerNormalization, cpu::LayerNormKernels},
    {&op::kLeakyRelu, cpu::UnaryKernels},
    {&op::kLess, cpu::TypedKernels},
    {&op::kLessOrEqual, cpu::TypedKernels},
    {&op::kLog, cpu::UnaryKernels},
    {&op::kLogSoftmax, cpu::SoftmaxKernels},
    {&op::kLstm, cpu::RecurrentKernels},
    {&op::kMatMul, cpu::MatMulKernels},
    {&op::kMax, cpu::BinaryKernels},
    {&op::kMaxPool, cpu::MaxPoolKernels},
    {&op::kMin, cpu::BinaryKernels},
    {&op::kMish, cpu::UnaryKernels},
    {&op::kMul, cpu::BinaryKernels},
    {&op::kNeg, cpu::UnaryKernels},
    {&op::kNot, cpu::TypedKernels},
    {&op::kOr, cpu::TypedKernels},
    {&op::kPRelu, cpu::BinaryKernels},
    {&op::kPow, cpu::TypedKernels},
    {&op::kRMSNormalization, cpu::LayerNormKernels},
    {&op::kReciprocal, cpu::UnaryKernels},
    {&op::kReduceL1, cpu::ReduceKernels},
    {&op::kReduceL2, cpu::ReduceKernels},
    {&op::kReduceMax, cpu::ReduceKernels},
    {&op::kReduceMean, cpu::ReduceKernels},
    {&op::kReduceMin, cpu::ReduceKernels},
    {&op::kReduceProd, cpu::ReduceKernels},
    {&op::kReduceSum, cpu::ReduceKernels},
    {&op::kReduceSumSquare, cpu::ReduceKernels},
    {&op::kRelu, cpu::UnaryKernels},
    {&op::kResize, cpu::ResizeKernels},
    {&op::kRnn, cpu::RecurrentKernels},
    {&op::kRound, cpu::UnaryKernels},
    {&op::kSelu, cpu::UnaryKernels},
    {&op::kSigmoid, cpu::UnaryKernels},
    {&op::kSign, cpu::UnaryKernels},
    {&op::kSoftmax, cpu::SoftmaxKernels},
    {&op::kSoftplus, cpu::UnaryKernels},
    {&op::kSoftsign, cpu::UnaryKernels},
    {&op::kSqrt, cpu::UnaryKernels},
    {&op::kSub, cpu::BinaryKernels},
    {&op::kSwish, cpu::UnaryKernels},
    {&op::kTanh, cpu::UnaryKernels},
    {&op::kThresholdedRelu, cpu::UnaryKernels},
    {&op::kTopK, cpu::TopKKernels},
    {&op::kWhere, cpu::TypedKernels},
    {&op::kXor, cpu::TypedKernels},
};

}  // namespace

std::span<const KernelEntry> CpuKernels(const OpDef& op) {
  for (const Row& row : kTable)
    if (row.op == &op) return row.kernels();
  return {};
}

std::span<const ChainEntry> CpuChains() { return cpu::ConvChains(); }

}  // namespace sula
