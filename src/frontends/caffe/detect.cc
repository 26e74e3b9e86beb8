// Whether a file is one of Caffe's, by its contents.
#include <algorithm>
#include <cctype>
#include <optional>

#include "frontends/caffe/caffe.h"

namespace sula {
namespace {

using Bytes = std::span<const std::byte>;

// One field of a protobuf message. `payload`: of fields with a length.
struct WireField {
  uint64_t number = 0;
  int type = 0;
  Bytes payload;
};
constexpr int kVarint = 0, kLength = 2;

std::optional<uint64_t> TakeVarint(Bytes& bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<uint64_t>(bytes[0]);
    bytes = bytes.subspan(1);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// The next field; nothing if the bytes are no field. Groups count as none: Caffe has no such.
// Source: Protocol Buffers, "Encoding".
std::optional<WireField> TakeField(Bytes& bytes) {
  const std::optional<uint64_t> tag = TakeVarint(bytes);
  if (!tag || *tag >> 3 == 0) return std::nullopt;
  WireField field{*tag >> 3, static_cast<int>(*tag & 7), {}};
  uint64_t size = 0;
  switch (field.type) {
    case kVarint:
      if (!TakeVarint(bytes)) return std::nullopt;
      return field;
    case 1: size = 8; break;
    case 5: size = 4; break;
    case kLength: {
      const std::optional<uint64_t> length = TakeVarint(bytes);
      if (!length) return std::nullopt;
      size = *length;
      break;
    }
    default: return std::nullopt;
  }
  if (size > bytes.size()) return std::nullopt;
  field.payload = bytes.first(size);
  bytes = bytes.subspan(size);
  return field;
}

// A layer holds its name once and, beside it, its type: a name in the present form (fields 1 and
// 2), a number before (4 and 5).
bool LooksLikeLayer(Bytes bytes, bool present) {
  int names = 0, types = 0;
  while (!bytes.empty()) {
    const std::optional<WireField> field = TakeField(bytes);
    if (!field) return false;
    names += field->number == (present ? 1 : 4) && field->type == kLength;
    types += field->number == (present ? 2 : 5) && field->type == (present ? kLength : kVarint);
  }
  return names == 1 && types == 1;
}

// The type of wire that a field of a net has; -1 for fields that nets lack.
int NetFieldType(uint64_t number) {
  switch (number) {
    case 1:    // name
    case 2:    // layers
    case 3:    // input
    case 6:    // state
    case 8:    // input_shape
    case 100:  // layer
      return kLength;
    case 4:  // input_dim
    case 5:  // force_backward
    case 7:  // debug_info
      return kVarint;
    default: return -1;
  }
}

// Takes blanks, comments and one word (or one sign) from the front; gives the word.
std::string_view TakeWord(std::string_view& text) {
  while (!text.empty()) {
    if (text[0] == '#') {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (std::isspace(static_cast<unsigned char>(text[0]))) {
      text.remove_prefix(1);
    } else {
      break;
    }
  }
  size_t length = 0;
  while (length < text.size() &&
         (std::isalnum(static_cast<unsigned char>(text[length])) || text[length] == '_'))
    ++length;
  if (length == 0) length = std::min<size_t>(1, text.size());
  const std::string_view word = text.substr(0, length);
  text.remove_prefix(length);
  return word;
}

}  // namespace

bool LooksLikeCaffeWeights(std::span<const std::byte> contents) {
  bool has_layer = false;
  int names = 0;
  while (!contents.empty()) {
    const std::optional<WireField> field = TakeField(contents);
    if (!field || field->type != NetFieldType(field->number)) return false;
    names += field->number == 1;
    if (names > 1) return false;
    if (field->number != 2 && field->number != 100) continue;
    if (!LooksLikeLayer(field->payload, field->number == 100)) return false;
    has_layer = true;
  }
  return has_layer;
}

bool LooksLikePrototxt(std::string_view contents) {
  std::string_view word = TakeWord(contents), sign = TakeWord(contents);
  if (word == "name" && sign == ":") {
    const std::string_view quote = TakeWord(contents);
    if (quote != "\"" && quote != "'") return false;
    const size_t end = contents.find(quote[0]);
    if (end == std::string_view::npos) return false;
    contents.remove_prefix(end + 1);
    word = TakeWord(contents);
    sign = TakeWord(contents);
  }
  if (word == "input" || word == "input_dim" || word == "force_backward") return sign == ":";
  if (word == "layer" || word == "layers" || word == "input_shape" || word == "state")
    return sign == "{" || sign == ":";
  return false;
}

}  // namespace sula
