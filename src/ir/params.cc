#include "ir/params.h"

#include <charconv>
#include <cmath>

namespace sula {
namespace field_internal {

Status WrongType(std::string_view expected) { return InvalidModel("expected ", expected); }

Status OutOfRange(int64_t value) {
  return InvalidModel("the integer ", value, " does not fit this field");
}

Status UnknownName(std::string_view name, std::span<const std::string_view> known) {
  std::string list;
  for (std::string_view k : known) list += (list.empty() ? "" : ", ") + std::string(k);
  return InvalidModel("unknown name '", name, "'; known are ", list);
}

}  // namespace field_internal

std::string Quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\x";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  return out += '"';
}

namespace {

std::string Text(bool b) { return b ? "true" : "false"; }
std::string Text(int64_t i) { return std::to_string(i); }
std::string Text(double d) {
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, d).ptr;
  std::string s(buffer, end);
  if (s.find_first_of(".eni") == std::string::npos) s += ".0";  // n, i: nan and inf
  return s;
}
std::string Text(const std::string& s) { return Quoted(s); }
template <class T>
std::string Text(const std::vector<T>& list) {
  std::string out = "[";
  for (size_t i = 0; i < list.size(); ++i) out += (i ? ", " : "") + Text(list[i]);
  return out += "]";
}

}  // namespace

std::string ToString(const FieldValue& value) {
  return std::visit([](const auto& v) { return Text(v); }, value);
}

}  // namespace sula
