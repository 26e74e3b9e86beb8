// Names for sizes that only the run tells.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "tensor/dim.h"

namespace sula::onnx {

// Gives every dim_param of a model a symbol in sula's alphabet; different names stay different.
class Symbols {
 public:
  // The symbol for a dim_param: always the same one for the same name.
  Dim Named(std::string_view dim_param);
  // A symbol that nothing else has, called after the input and the axis it belongs to.
  Dim Fresh(std::string_view input, int axis);

 private:
  std::string Claim(std::string_view wish);
  std::map<std::string, std::string, std::less<>> names_;
  std::set<std::string> used_;
};

}  // namespace sula::onnx
