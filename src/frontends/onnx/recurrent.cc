// RNN, GRU and LSTM.
#include "ops/recurrent.h"

#include <algorithm>
#include <cctype>

#include "frontends/onnx/node_import.h"

namespace sula::onnx {
namespace {

// The known function of that name; its case varies in old files.
Result<GateFunction> FindFunction(const std::string& name) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  for (std::string_view known : EnumNames<GateKind>::kNames)
    if (std::equal(known.begin(), known.end(), name.begin(), name.end(), same))
      return FindGateFunction(known);
  return FindGateFunction(name);
}

// The next number of the list, if there is one: the lists hold numbers for those functions only
// that take some.
float TakeNumber(const std::vector<float>& list, size_t& next, float otherwise) {
  return next < list.size() ? list[next++] : otherwise;
}

void ReadFunctions(NodeImport& n, RecurrentParams& p) {
  const std::vector<float> alpha = n.Floats("activation_alpha"), beta = n.Floats("activation_beta");
  size_t next_alpha = 0, next_beta = 0;
  for (const std::string& name : n.Strings("activations")) {
    const Result<GateFunction> f = FindFunction(name);
    if (!f) return n.Fail(Status(f.error()).AddContext("attribute 'activations'"));
    const int numbers = NumbersOf(f->kind);
    p.activations.emplace_back(EnumNames<GateKind>::kNames[static_cast<size_t>(f->kind)]);
    p.alpha.push_back(numbers > 0 ? TakeNumber(alpha, next_alpha, f->a) : f->a);
    p.beta.push_back(numbers > 1 ? TakeNumber(beta, next_beta, f->b) : f->b);
  }
  if (next_alpha < alpha.size() || next_beta < beta.size()) {
    n.Fail(Unsupported("more numbers in 'activation_alpha' (", alpha.size(),
                       ") or 'activation_beta' (", beta.size(), ") than the activations take (",
                       next_alpha, " and ", next_beta, ")"));
  }
}

RecurrentParams ReadShared(NodeImport& n) {
  RecurrentParams p;
  p.direction = n.Choice<Direction>("direction", "forward",
                                    {{"forward", Direction::kForward},
                                     {"reverse", Direction::kReverse},
                                     {"bidirectional", Direction::kBidirectional}});
  p.batch_first = n.Flag("layout", false);
  p.clip = n.Float("clip", 0);
  ReadFunctions(n, p);
  n.Ignore("output_sequence");  // of opset 1; the outputs that are named say the same
  if (n.Has("hidden_size")) {
    const int64_t units = n.RequiredInt("hidden_size");
    const auto& r = n.ShapeOf(n.Input(2));
    if (r && r->rank() == 3 && (*r)[2].is_const() && (*r)[2] != units)
      n.Fail(
          InvalidModel("attribute 'hidden_size' is ", units, " but R has shape ", r->ToString()));
  }
  return p;
}

void Rnn(NodeImport& n) { n.Emit(op::kRnn, ReadShared(n), n.inputs()); }

void Gru(NodeImport& n) {
  GruParams p{ReadShared(n)};
  p.linear_before_reset = n.Flag("linear_before_reset", false);
  n.Emit(op::kGru, p, n.inputs());
}

void Lstm(NodeImport& n) {
  LstmParams p{ReadShared(n)};
  p.input_forget = n.Flag("input_forget", false);
  n.Emit(op::kLstm, p, n.inputs());
}

constexpr OpHandler kHandlers[] = {
    {"GRU", Gru, 3, 6, 2},
    {"LSTM", Lstm, 3, 8, 3},
    {"RNN", Rnn, 3, 6, 2},
};

}  // namespace

std::span<const OpHandler> RecurrentHandlers() { return kHandlers; }

}  // namespace sula::onnx
