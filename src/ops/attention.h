// Scaled dot-product attention of several heads.
#pragma once

#include "ir/op_def.h"

namespace sula {

// Which keys a query may attend to, by position.
enum class Causality : uint8_t {
  kNone,         // all
  kTopLeft,      // query i: keys up to i
  kBottomRight,  // query i: keys up to i + keys - queries, so that the last sees all
};
template <>
struct EnumNames<Causality> {
  static constexpr std::string_view kNames[] = {"none", "top_left", "bottom_right"};
};

struct AttentionParams {
  float scale = 1;
  float softcap = 0;  // 0: none
  Causality causality = Causality::kNone;
  bool heads_inside = false;  // the result is [batch, queries, heads, size]
  friend bool operator==(const AttentionParams&, const AttentionParams&) = default;
};

// The sizes of a node, all known.
struct AttentionGeometry {
  int64_t batch = 1, heads = 1, kv_heads = 1;  // heads is a multiple of kv_heads
  int64_t queries = 0, keys = 0;
  int64_t size = 0, value_size = 0;  // of a query or key, and of a value

  // How many keys, from the first on, query i may attend to.
  int64_t VisibleKeys(Causality causality, int64_t i) const;
};
// Precondition: shapes that Infer accepted.
AttentionGeometry ResolveAttention(const Dims& q, const Dims& k, const Dims& v);

namespace op {
// inputs q [batch,heads,queries,size], k [batch,kv_heads,keys,size],
// v [batch,kv_heads,keys,value_size], mask? (broadcasts to [batch,heads,queries,keys]):
//   s = cap(scale * q k^T) + mask, cap(x) = softcap * tanh(x / softcap)
//   y = softmax(s over the keys that the query may attend to) v
// Head h reads key and value head h / (heads / kv_heads). A query whose scores are all -infinity,
// or that has no keys, gives zeros.
extern const OpDef kAttention;  // AttentionParams
}  // namespace op

}  // namespace sula
