#include "frontends/onnx/symbols.h"

#include "base/status.h"

namespace sula::onnx {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string Symbols::Claim(std::string_view wish) {
  std::string name;
  for (char c : wish) name += IsLetter(c) || IsDigit(c) || c == '.' ? c : '_';
  if (name.empty() || !IsLetter(name[0])) name = "d" + name;
  // These are functions in the text form of sizes.
  if (name == "floor" || name == "ceil" || name == "min" || name == "max") name += "_";
  std::string unique = name;
  for (int i = 2; !used_.insert(unique).second; ++i) unique = StrCat(name, "_", i);
  return unique;
}

Dim Symbols::Named(std::string_view dim_param) {
  auto it = names_.find(dim_param);
  if (it == names_.end()) it = names_.emplace(dim_param, Claim(dim_param)).first;
  return Dim::Symbol(it->second);
}

Dim Symbols::Fresh(std::string_view input, int axis) {
  return Dim::Symbol(Claim(StrCat(input, "_d", axis)));
}

}  // namespace sula::onnx
