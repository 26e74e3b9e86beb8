// Attention (opset 23 on).
#include "ops/attention.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "frontends/onnx/node_import.h"
#include "frontends/onnx/rotary.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/reduce.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"

namespace sula::onnx {
namespace {

constexpr int kMask = 3, kPastKey = 4, kPastValue = 5, kValidKeys = 6;
constexpr int kPresentKey = 1, kPresentValue = 2, kScores = 3;
constexpr double kInf = std::numeric_limits<double>::infinity();

// What qk_matmul_output shows.
enum class ScoresMode { kProduct, kCapped, kMasked, kWeights };

class AttentionImport {
 public:
  explicit AttentionImport(NodeImport& n) : n_(n) {}

  void Run() {
    n_.Ignore("softmax_precision");  // sula's reference computes in double, its kernels in float
    params_.softcap = n_.Float("softcap", 0);
    causal_ = n_.Flag("is_causal", false);
    // Windows came with opset 25.
    left_ = n_.Int("left_window_size", -1), right_ = n_.Int("right_window_size", -1);
    if (left_ < -1 || right_ < -1)
      return n_.Fail(
          InvalidModel("a window of ", left_, " and ", right_, " keys: each must be -1 or more"));
    const int64_t mode = n_.Int("qk_matmul_output_mode", 0);
    if (mode < 0 || mode > 3)
      return n_.Fail(InvalidModel("attribute 'qk_matmul_output_mode' is ", mode));
    if (n_.HasInput(kPastKey) != n_.HasInput(kPastValue))
      return n_.Fail(InvalidModel("past_key and past_value must be given together"));
    if (n_.HasInput(kPastKey) && n_.HasInput(kValidKeys))
      return n_.Fail(InvalidModel("nonpad_kv_seqlen cannot be given together with past_key"));
    if (!ReadOperands() || !ReadScale()) return;
    ReadMask();
    // The last query sees all keys if as many new ones come as queries.
    const bool past = n_.HasInput(kPastKey);
    if (left_ >= 0 || right_ >= 0 || n_.HasInput(kValidKeys) ||
        (causal_ && (n_.HasOutput(kScores) || (past && new_keys_ != queries_))))
      MaskByPosition();
    else if (causal_)
      params_.causality = past ? Causality::kBottomRight : Causality::kTopLeft;
    if (!n_.ok()) return;
    params_.heads_inside = rank_ == 3;
    if (rank_ == 3) {
      const ValueId heads = n_.Add(op::kAttention, params_, Inputs(), "heads");
      n_.EmitOutput(0, op::kReshape, ReshapeParams{}, {heads, n_.Constant({0, 0, -1}, "flat")});
    } else {
      n_.EmitOutput(0, op::kAttention, params_, Inputs());
    }
    if (n_.HasOutput(kScores)) EmitScores(static_cast<ScoresMode>(mode));
  }

 private:
  std::vector<ValueId> Inputs() const {
    std::vector<ValueId> inputs = {q_, k_, v_};
    if (mask_ != kNoValue) inputs.push_back(mask_);
    return inputs;
  }

  // q, k and v as [batch, heads, positions, size], keys and values behind those of the past.
  bool ReadOperands() {
    const auto rank = n_.RankOf(n_.Input(0), "the order of its axes");
    if (!rank) return false;
    rank_ = *rank;
    if (rank_ != 3 && rank_ != 4) {
      n_.Fail(InvalidModel("input 0 has rank ", rank_, ", expected 3 or 4"));
      return false;
    }
    const int64_t q_heads = n_.Int("q_num_heads", 0), kv_heads = n_.Int("kv_num_heads", 0);
    q_ = Heads(0, q_heads, "q");
    k_ = Heads(1, kv_heads, "k");
    v_ = Heads(2, kv_heads, "v");
    if (!n_.ok()) return false;
    queries_ = SizeOf(q_, 2), new_keys_ = SizeOf(k_, 2);
    k_ = WithPast(k_, kPastKey, kPresentKey, "all_keys");
    v_ = WithPast(v_, kPastValue, kPresentValue, "all_values");
    return n_.ok();
  }

  ValueId Heads(int i, int64_t heads, const std::string& name) {
    const ValueId x = n_.Input(i);
    if (rank_ == 4) return x;
    if (heads < 1) {
      n_.Fail(InvalidModel("attribute '", i == 0 ? "q" : "kv", "_num_heads' is missing or ", heads,
                           " with inputs of rank 3"));
      return kNoValue;
    }
    const ValueId cut = n_.Add(op::kReshape, ReshapeParams{},
                               {x, n_.Constant({0, 0, heads, -1}, name + "_cut")}, name + "_heads");
    return n_.Add(op::kTranspose, TransposeParams{.perm = {0, 2, 1, 3}}, {cut}, name);
  }

  ValueId WithPast(ValueId x, int input, int output, const char* name) {
    if (n_.HasInput(input)) {
      const ConcatParams along = {.axis = 2};
      if (n_.HasOutput(output)) {
        n_.EmitOutput(output, op::kConcat, along, {n_.Input(input), x});
        return n_.results()[output];
      }
      return n_.Add(op::kConcat, along, {n_.Input(input), x}, name);
    }
    if (n_.HasOutput(output)) n_.EmitOutput(output, op::kIdentity, NoParams{}, {x});
    return x;
  }

  Dim SizeOf(ValueId v, int axis) {
    const auto& shape = n_.ShapeOf(v);
    if (shape && shape->rank() == 4) return (*shape)[axis];
    n_.Fail(Unsupported("operator Attention with operands of unknown rank"));
    return 0;
  }

  bool ReadScale() {
    const bool given = n_.Has("scale");
    params_.scale = n_.Float("scale", 1);
    if (given || !n_.ok()) return n_.ok();
    const Dim size = SizeOf(q_, 3);
    if (!size.is_const() || size.value() < 1) {
      n_.Fail(Unsupported("operator Attention without a scale and with heads of size ",
                          size.ToString()));
      return false;
    }
    params_.scale = 1 / std::sqrt(static_cast<float>(size.value()));
    return true;
  }

  ValueId Number(double value, const std::string& name) {
    return n_.Scalar(value, n_.TypeOf(q_), name);
  }
  // 0 where true, -infinity where false
  ValueId AsMask(ValueId condition, const std::string& name) {
    return n_.Add(op::kWhere, NoParams{},
                  {condition, Number(0, name + "_zero"), Number(-kInf, name + "_hidden")}, name);
  }
  void AddMask(ValueId mask, const std::string& name) {
    mask_ = mask_ == kNoValue ? mask : n_.Add(op::kAdd, BinaryParams{}, {mask_, mask}, name);
  }

  void ReadMask() {
    if (!n_.HasInput(kMask)) return;
    ValueId mask = n_.Input(kMask);
    if (n_.TypeOf(mask) == DType::kBool) mask = AsMask(mask, "mask");
    // Keys that it has no numbers for are hidden.
    const auto& shape = n_.ShapeOf(mask);
    if (!shape || shape->rank() < 1)
      return n_.Fail(Unsupported("operator Attention with a mask of unknown rank"));
    const Dim given = (*shape)[shape->rank() - 1], keys = SizeOf(k_, 2);
    if (given != keys) {
      if (!given.is_const() || !keys.is_const())
        return n_.Fail(Unsupported("operator Attention with a mask for ", given.ToString(), " of ",
                                   keys.ToString(), " keys"));
      std::vector<int64_t> pads(2 * shape->rank(), 0);
      pads.back() = keys.value() - given.value();
      if (pads.back() < 0)
        return n_.Fail(InvalidModel("the mask has numbers for ", given.ToString(), " of ",
                                    keys.ToString(), " keys"));
      mask = n_.Add(op::kPad, PadParams{},
                    {mask, n_.Constant(pads, "mask_pads"), Number(-kInf, "mask_padding")},
                    "padded_mask");
    }
    mask_ = mask;
  }

  // Hides keys by where they lie against the query: causality, windows, the number of valid keys.
  void MaskByPosition() {
    const Dim keys = SizeOf(k_, 2);
    constexpr int64_t kMost = 1 << 16;
    if (!keys.is_const() || !queries_.is_const() || keys.value() > kMost ||
        queries_.value() > kMost)
      return n_.Fail(Unsupported("operator Attention that hides keys by their position, with ",
                                 queries_.ToString(), " queries and ", keys.ToString(), " keys"));
    const ValueId key = Positions(keys.value(), 0, {1, 1, 1, keys.value()}, "key_positions");
    ValueId valid = kNoValue;  // keys of each batch entry
    int64_t offset = 0;        // of the queries, unless it goes by batch entry
    if (n_.HasInput(kValidKeys)) {
      const ValueId counts = n_.Input(kValidKeys);
      const ValueId wide = n_.Add(op::kCast, CastParams{.to = DType::kInt64}, {counts}, "counts");
      valid = n_.Add(op::kUnsqueeze, NoParams{}, {wide, n_.Constant({1, 2, 3}, "count_axes")},
                     "valid_keys");
      AddMask(AsMask(n_.Add(op::kLess, NoParams{}, {key, valid}, "is_valid"), "valid_mask"),
              "mask_of_valid");
      offset = -queries_.value();
    } else if (n_.HasInput(kPastKey)) {
      if (!new_keys_.is_const())
        return n_.Fail(Unsupported("operator Attention with ", new_keys_.ToString(),
                                   " new keys that hides keys by their position"));
      offset = keys.value() - new_keys_.value();
    }
    if (!causal_ && left_ < 0 && right_ < 0) return;
    ValueId query =
        Positions(queries_.value(), offset, {1, 1, queries_.value(), 1}, "query_positions");
    if (valid != kNoValue)
      query = n_.Add(op::kAdd, BinaryParams{}, {query, valid}, "offset_positions");
    const ValueId behind = n_.Add(op::kSub, BinaryParams{}, {query, key}, "behind");
    const auto hide = [&](const OpDef& op, int64_t bound, const std::string& name) {
      const ValueId limit = n_.Scalar(static_cast<double>(bound), DType::kInt64, name + "_bound");
      AddMask(AsMask(n_.Add(op, NoParams{}, {behind, limit}, name + "_seen"), name + "_mask"),
              "mask_of_" + name);
    };
    if (causal_) hide(op::kGreaterOrEqual, 0, "causal");
    if (left_ >= 0) hide(op::kLessOrEqual, left_, "left");
    if (right_ >= 0) hide(op::kGreaterOrEqual, -right_, "right");
  }

  ValueId Positions(int64_t count, int64_t first, Dims dims, const std::string& name) {
    std::vector<int64_t> positions(count);
    std::iota(positions.begin(), positions.end(), first);
    return n_.Constant(Tensor::FromInts(positions).Reshaped(std::move(dims)), name);
  }

  // The scores, or what becomes of them, computed once more: they are wanted by who looks into a
  // model, not by who runs it.
  void EmitScores(ScoresMode mode) {
    const Dim heads = SizeOf(q_, 1), kv_heads = SizeOf(k_, 1);
    if (!heads.is_const() || !kv_heads.is_const())
      return n_.Fail(
          Unsupported("operator Attention with qk_matmul_output and an unknown number "
                      "of heads"));
    // Heads that share keys lie beside each other: their queries are as one head's.
    const ValueId grouped =
        n_.Add(op::kReshape, ReshapeParams{},
               {q_, n_.Constant({0, kv_heads.value(), -1, HeadSize()}, "groups")}, "grouped");
    const ValueId product =
        n_.Add(op::kMatMul, MatMulParams{.trans_b = true, .alpha = params_.scale}, {grouped, k_},
               "group_scores");
    const Dim keys = SizeOf(k_, 2);
    if (!n_.ok()) return;
    if (!keys.is_const())
      return n_.Fail(
          Unsupported("operator Attention with qk_matmul_output and ", keys.ToString(), " keys"));
    const ValueId shape = n_.Constant({0, heads.value(), -1, keys.value()}, "scores_shape");
    ValueId s = n_.Add(op::kReshape, ReshapeParams{}, {product, shape}, "scores");
    if (mode != ScoresMode::kProduct && params_.softcap > 0) {
      const ValueId cap = Number(params_.softcap, "cap");
      const ValueId share = n_.Add(op::kDiv, BinaryParams{}, {s, cap}, "share_of_cap");
      s = n_.Add(op::kMul, BinaryParams{}, {n_.Add(op::kTanh, NoParams{}, {share}, "bounded"), cap},
                 "capped");
    }
    if (mode >= ScoresMode::kMasked && mask_ != kNoValue)
      s = n_.Add(op::kAdd, BinaryParams{}, {s, mask_}, "masked");
    if (mode != ScoresMode::kWeights) return n_.EmitOutput(kScores, op::kIdentity, NoParams{}, {s});
    // A query without a key has no weights.
    const ValueId max = n_.Add(op::kReduceMax, ReduceParams{.axes = {3}}, {s}, "largest");
    const ValueId empty =
        n_.Add(op::kEqual, NoParams{}, {max, Number(-kInf, "nothing")}, "without_key");
    const ValueId weights = n_.Add(op::kSoftmax, SoftmaxParams{}, {s}, "weights");
    n_.EmitOutput(kScores, op::kWhere, NoParams{}, {empty, Number(0, "no_weight"), weights});
  }

  int64_t HeadSize() {
    const Dim size = SizeOf(q_, 3);
    return size.is_const() ? size.value() : -1;
  }

  NodeImport& n_;
  AttentionParams params_;
  int rank_ = 4;
  bool causal_ = false;
  int64_t left_ = -1, right_ = -1;
  ValueId q_ = kNoValue, k_ = kNoValue, v_ = kNoValue, mask_ = kNoValue;
  Dim queries_, new_keys_;
};

constexpr OpHandler kHandlers[] = {
    {"Attention", [](NodeImport& n) { AttentionImport(n).Run(); }, 3, 7, 4},
    {"RotaryEmbedding", RotaryEmbedding, 3, 4},
};

}  // namespace

std::span<const OpHandler> AttentionHandlers() { return kHandlers; }

}  // namespace sula::onnx
