// Weights below the smallest normal number, which training leaves behind where a weight decays to
// nothing. They add nothing to any sum of products that a float can show, but processors take a
// hundred cycles for each: zeros instead, and the user is told. Types: float32 and bfloat16 (a
// float16 denormal is a number of ordinary size). A constant of one element is left alone: it may
// be the epsilon of a logarithm.
#include <cstring>
#include <memory>

#include "optimizer/passes/passes.h"

namespace sula::passes {
namespace {

bool MayHold(const Tensor* t) {
  return t && t->num_elements() > 1 &&
         (t->dtype() == DType::kFloat32 || t->dtype() == DType::kBFloat16);
}

// Denormals of a type with 8 bits of exponent: those bits 0, another one not.
template <class Bits>
bool IsDenormal(Bits bits) {
  constexpr Bits kExponent = static_cast<Bits>(Bits{0xff} << (sizeof(Bits) * 8 - 9));
  constexpr Bits kMagnitude = static_cast<Bits>(~(Bits{1} << (sizeof(Bits) * 8 - 1)));
  return (bits & kExponent) == 0 && (bits & kMagnitude) != 0;
}

template <class Bits>
int64_t CountIn(const Tensor& t) {
  int64_t count = 0;
  for (int64_t i = 0; i < t.num_elements(); ++i) {
    Bits bits;
    std::memcpy(&bits, t.raw() + i * static_cast<int64_t>(sizeof bits), sizeof bits);
    count += IsDenormal(bits);
  }
  return count;
}

int64_t CountDenormals(const Tensor& t) {
  return t.dtype() == DType::kFloat32 ? CountIn<uint32_t>(t) : CountIn<uint16_t>(t);
}

// A copy with zeros in place of denormals.
template <class Bits>
Tensor Flushed(const Tensor& t) {
  Tensor out(t.dtype(), t.dims());
  for (int64_t i = 0; i < t.num_elements(); ++i) {
    Bits bits;
    const int64_t at = i * static_cast<int64_t>(sizeof bits);
    std::memcpy(&bits, t.raw() + at, sizeof bits);
    if (IsDenormal(bits)) bits = 0;
    std::memcpy(out.mutable_raw() + at, &bits, sizeof bits);
  }
  return out;
}

// Constants that hold denormals and that nodes read; what is also an output is given as it is.
struct Found {
  std::vector<ValueId> constants;
  int64_t elements = 0;
};
Found Find(const Graph& graph) {
  const UseIndex uses(graph);
  Found found;
  for (ValueId v = 0; v < graph.value_slots(); ++v) {
    const Tensor* t = graph.Constant(v);
    if (!MayHold(t) || uses.Of(v).empty() || graph.IsOutput(v)) continue;
    const int64_t count = CountDenormals(*t);
    if (count > 0) found.constants.push_back(v);
    found.elements += count;
  }
  return found;
}

Result<int> FlushDenormals(Graph& graph) {
  const Found found = Find(graph);
  for (ValueId v : found.constants) {
    const Tensor& t = *graph.Constant(v);
    graph.value(v).constant = std::make_shared<const Tensor>(
        t.dtype() == DType::kFloat32 ? Flushed<uint32_t>(t) : Flushed<uint16_t>(t));
  }
  return static_cast<int>(found.constants.size());
}

std::string Warning(const Graph& graph) {
  const Found found = Find(graph);
  if (found.elements == 0) return {};
  return StrCat(found.elements, found.elements == 1 ? " weight" : " weights",
                " below the smallest normal number (1.2e-38) set to 0, first in '",
                graph.value(found.constants.front()).name, "'");
}

}  // namespace

constinit const Pass kFlushDenormals = {"flush-denormals",
                                        "denormal numbers in constants of several elements -> 0",
                                        FlushDenormals, Warning};

}  // namespace sula::passes
