#include "runtime/prepare/scheme_lock.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/thread_pool.h"
#include "ir/params.h"

namespace sula {
namespace {

constexpr std::string_view kFirstWord = "sula-schemes";
constexpr int kVersion = 1;

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_./:+-").find(c) != std::string_view::npos;
}

// ---- printing

std::string Word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsPlain) ? std::string(text)
                                                                         : Quoted(text);
}

std::string SizesText(const Dims& dims) {
  std::string text;
  for (int64_t d : dims) text += (text.empty() ? "" : ",") + std::to_string(d);
  return text.empty() ? "scalar" : text;
}

std::string LayoutText(const std::vector<std::optional<Layout>>& layouts) {
  std::string text;
  for (const std::optional<Layout>& l : layouts) {
    if (!text.empty()) text += ',';
    text += !l ? "-" : *l == Layout::kChannelLast ? "last" : *l == Layout::kStrided ? "any" : "row";
  }
  return text;
}

// "98.2"; four figures, but never fewer than hundredths.
std::string Microseconds(double seconds) {
  if (seconds <= 0) return "-";
  char buffer[400];
  const double us = std::min(seconds * 1e6, 1e15);
  const int decimals = us < 10 ? 3 : us < 100 ? 2 : 1;
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, us, std::chars_format::fixed, decimals).ptr;
  return std::string(buffer, end);
}

std::string Hex(uint64_t hash) {
  char buffer[16];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, hash, 16).ptr;
  const std::string digits(buffer, end);
  return std::string(16 - digits.size(), '0') + digits;
}

// ---- parsing

struct Token {
  std::string text;
  bool quoted = false;
};

// The words of one line, comments left out.
Result<std::vector<Token>> Split(std::string_view line) {
  std::vector<Token> tokens;
  size_t i = 0;
  while (i < line.size()) {
    const char c = line[i];
    if (c == ' ' || c == '\t' || c == '\r') {
      ++i;
    } else if (c == '#') {
      break;
    } else if (c == '"') {
      Token token{{}, true};
      for (++i; i < line.size() && line[i] != '"'; ++i) {
        if (line[i] != '\\') {
          token.text += line[i];
          continue;
        }
        const char escape = ++i < line.size() ? line[i] : '\0';
        uint8_t code = 0;
        if (escape == 'n') {
          token.text += '\n';
        } else if (escape == '"' || escape == '\\') {
          token.text += escape;
        } else if (const char* const digits = line.data() + i + 1;
                   escape == 'x' && line.size() - i > 2 &&
                   std::from_chars(digits, digits + 2, code, 16).ptr == digits + 2) {
          token.text += static_cast<char>(code);
          i += 2;
        } else {
          return InvalidArgument("unknown escape in a quoted name");
        }
      }
      if (i == line.size()) return InvalidArgument("a quoted name without an end");
      ++i;
      tokens.push_back(std::move(token));
    } else {
      Token token;
      for (; i < line.size() && std::string_view(" \t\r#\"").find(line[i]) == std::string::npos;
           ++i)
        token.text += line[i];
      tokens.push_back(std::move(token));
    }
  }
  return tokens;
}

template <class T>
std::optional<T> Number(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> SplitAt(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  if (text.empty()) return parts;
  for (size_t end; (end = text.find(separator)) != std::string_view::npos;) {
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.push_back(text);
  return parts;
}

Result<Dims> ParseSizes(std::string_view text) {
  Dims dims;
  if (text == "scalar") return dims;
  for (std::string_view part : SplitAt(text, ',')) {
    const std::optional<int64_t> size = Number<int64_t>(part);
    if (!size || *size < 0) return InvalidArgument("'", part, "' is not a size");
    dims.push_back(*size);
  }
  if (dims.empty()) return InvalidArgument("expected sizes such as 1,3,224,224");
  return dims;
}

Result<std::vector<std::optional<Layout>>> ParseLayouts(std::string_view text) {
  std::vector<std::optional<Layout>> layouts;
  for (std::string_view part : SplitAt(text, ',')) {
    if (part == "-") {
      layouts.emplace_back();
    } else if (part == "row") {
      layouts.emplace_back(Layout::kRowMajor);
    } else if (part == "last") {
      layouts.emplace_back(Layout::kChannelLast);
    } else if (part == "any") {
      layouts.emplace_back(Layout::kStrided);
    } else {
      return InvalidArgument("'", part, "' is not a layout (row, last, any or -)");
    }
  }
  return layouts;
}

// "-" is 0. Microseconds may be any number that makes sense.
Result<double> ParseMicroseconds(std::string_view text) {
  if (text == "-") return 0.0;
  double us = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), us);
  if (error != std::errc() || end != text.data() + text.size() || !(us >= 0) || !(us < 1e16))
    return InvalidArgument("'", text, "' is not a number of microseconds, nor -");
  return us * 1e-6;
}

class Parser {
 public:
  Result<SchemeLock> Run(std::string_view text) {
    while (!text.empty()) {
      ++line_;
      const size_t end = std::min(text.find('\n'), text.size());
      if (Status status = Line(text.substr(0, end)); !status.ok())
        return std::move(status).AddContext(StrCat("line ", line_));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (!begun_)
      return InvalidArgument("not a scheme lock: it does not begin with '", kFirstWord, " ",
                             kVersion, "'");
    for (std::string_view key : {"model", "cpu", "threads"})
      if (!seen_.contains(std::string(key))) return InvalidArgument("there is no line '", key, "'");
    return std::move(lock_);
  }

 private:
  Status Line(std::string_view line) {
    ASSIGN_OR_RETURN(const std::vector<Token> tokens, Split(line));
    if (tokens.empty()) return {};
    const std::string& key = tokens[0].text;
    if (!begun_) return First(tokens);
    if (key == "node") return Node(tokens);
    if (key == "input") return Input(tokens);
    if (!seen_.insert(key).second) return InvalidArgument("a second line '", key, "'");
    if (key == "library") {
      RETURN_IF_ERROR(Expect(tokens, 2, "library VERSION"));
      lock_.library = tokens[1].text;
    } else if (key == "model") {
      RETURN_IF_ERROR(Expect(tokens, 2, "model HASH"));
      const auto hash = Number<uint64_t>(tokens[1].text, 16);
      if (!hash) return InvalidArgument("'", tokens[1].text, "' is not a hash");
      lock_.scope.model = *hash;
    } else if (key == "cpu") {
      RETURN_IF_ERROR(Expect(tokens, 3, "cpu KIND INSTRUCTION-SET"));
      lock_.scope.cpu = tokens[1].text;
      lock_.scope.isa = tokens[2].text;
    } else if (key == "threads") {
      RETURN_IF_ERROR(Expect(tokens, 2, "threads NUMBER"));
      const auto threads = Number<int>(tokens[1].text);
      if (!threads || *threads < 1 || *threads > ThreadPool::kMaxThreads)
        return InvalidArgument("'", tokens[1].text, "' is not a number of threads");
      lock_.scope.threads = *threads;
    } else if (key == "kept") {
      return Kept(tokens);
    } else {
      return InvalidArgument("unknown line '", key, "'");
    }
    return {};
  }

  Status Kept(const std::vector<Token>& tokens) {
    RETURN_IF_ERROR(Expect(tokens, 4, "kept tuned|untuned MICROSECONDS MICROSECONDS"));
    const std::string& which = tokens[1].text;
    if (which != "tuned" && which != "untuned")
      return InvalidArgument("'", which, "' is neither tuned nor untuned");
    lock_.kept = {.tuned = which == "tuned"};
    ASSIGN_OR_RETURN(lock_.kept->tuned_seconds, ParseMicroseconds(tokens[2].text));
    ASSIGN_OR_RETURN(lock_.kept->untuned_seconds, ParseMicroseconds(tokens[3].text));
    return {};
  }

  static Status Expect(const std::vector<Token>& tokens, size_t count, std::string_view form) {
    if (tokens.size() == count) return {};
    return InvalidArgument("expected '", form, "'");
  }

  Status First(const std::vector<Token>& tokens) {
    if (tokens[0].text != kFirstWord || tokens.size() != 2)
      return InvalidArgument("not a scheme lock: it does not begin with '", kFirstWord, " ",
                             kVersion, "'");
    const auto version = Number<int>(tokens[1].text);
    if (!version || *version < 1) return InvalidArgument("'", tokens[1].text, "' is not a version");
    if (*version > kVersion)
      return Unsupported("written in version ", *version, " of the format; this sula reads up to ",
                         kVersion, ". Use a newer sula, or tune again");
    begun_ = true;
    return {};
  }

  Status Input(const std::vector<Token>& tokens) {
    RETURN_IF_ERROR(Expect(tokens, 3, "input NAME SIZES"));
    ASSIGN_OR_RETURN(Dims dims, ParseSizes(tokens[2].text));
    if (!lock_.scope.inputs.emplace(tokens[1].text, std::move(dims)).second)
      return InvalidArgument("a second line for input '", tokens[1].text, "'");
    return {};
  }

  Status Node(const std::vector<Token>& tokens) {
    RETURN_IF_ERROR(
        Expect(tokens, 7, "node NAME OPERATOR BACKEND/KERNEL LAYOUTS PREDICTED MEASURED"));
    NodeScheme node;
    node.line = line_;
    node.name = tokens[1].text;
    node.op = tokens[2].text;
    const std::string_view kernel = tokens[3].text, layouts = tokens[4].text;
    const size_t slash = kernel.find('/'), arrow = layouts.find("->");
    if (slash == std::string_view::npos)
      return InvalidArgument("'", kernel, "' is not of the form backend/kernel");
    node.backend = kernel.substr(0, slash);
    node.kernel = kernel.substr(slash + 1);
    if (arrow == std::string_view::npos)
      return InvalidArgument("'", layouts, "' is not of the form last,row->last");
    ASSIGN_OR_RETURN(node.inputs, ParseLayouts(layouts.substr(0, arrow)));
    ASSIGN_OR_RETURN(node.outputs, ParseLayouts(layouts.substr(arrow + 2)));
    ASSIGN_OR_RETURN(node.predicted_seconds, ParseMicroseconds(tokens[5].text));
    ASSIGN_OR_RETURN(node.measured_seconds, ParseMicroseconds(tokens[6].text));
    if (!names_.insert(node.name).second)
      return InvalidArgument("a second line for node '", node.name, "'");
    lock_.nodes.push_back(std::move(node));
    return {};
  }

  SchemeLock lock_;
  std::set<std::string> seen_, names_;
  int line_ = 0;
  bool begun_ = false;
};

std::string ShapesText(const std::map<std::string, Dims>& inputs) {
  std::string text;
  for (const auto& [name, dims] : inputs)
    text += StrCat(text.empty() ? "" : ", ", name, ToString(dims));
  return text;
}

}  // namespace

std::string Print(const SchemeLock& lock) {
  std::string text = StrCat(kFirstWord, " ", kVersion, "\n");
  text += StrCat("library ", Word(lock.library), "\n");
  text += StrCat("model ", Hex(lock.scope.model), "\n");
  text += StrCat("cpu ", Word(lock.scope.cpu), " ", Word(lock.scope.isa), "\n");
  text += StrCat("threads ", lock.scope.threads, "\n");
  for (const auto& [name, dims] : lock.scope.inputs)
    text += StrCat("input ", Word(name), " ", SizesText(dims), "\n");
  if (lock.kept)
    text += StrCat("kept ", lock.kept->tuned ? "tuned " : "untuned ",
                   Microseconds(lock.kept->tuned_seconds), " ",
                   Microseconds(lock.kept->untuned_seconds), "\n");
  text += "\n# node  operator  kernel  layouts  predicted and measured microseconds\n";
  for (const NodeScheme& node : lock.nodes) {
    text += StrCat("node ", Word(node.name), " ", Word(node.op), " ", Word(node.kernel_name()), " ",
                   LayoutText(node.inputs), "->", LayoutText(node.outputs), " ",
                   Microseconds(node.predicted_seconds), " ", Microseconds(node.measured_seconds));
    // A line break would end the comment.
    std::string detail = node.detail;
    std::replace(detail.begin(), detail.end(), '\n', ' ');
    text += detail.empty() ? "\n" : StrCat("  # ", detail, "\n");
  }
  return text;
}

Result<SchemeLock> ParseSchemeLock(std::string_view text) { return Parser().Run(text); }

Status CheckScope(const SchemeScope& lock, const SchemeScope& here) {
  std::string differs;
  const auto compare = [&](std::string_view what, const auto& theirs, const auto& ours) {
    if (theirs == ours) return;
    differs += StrCat(differs.empty() ? "" : "; ", what, " ", theirs, ", here ", ours);
  };
  compare("the model is", Hex(lock.model), Hex(here.model));
  compare("the processor is", lock.cpu, here.cpu);
  compare("the instruction set is", lock.isa, here.isa);
  compare("the number of threads is", lock.threads, here.threads);
  if (lock.inputs != here.inputs)
    compare("the inputs are", ShapesText(lock.inputs), ShapesText(here.inputs));
  if (differs.empty()) return {};
  return InvalidArgument("the scheme lock was made for something else: ", differs,
                         ". Make a new one (tune, and save the schemes), or ask for the old one to "
                         "be adapted (adapt_schemes)");
}

}  // namespace sula
