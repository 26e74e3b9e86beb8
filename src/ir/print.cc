#include <algorithm>
#include <charconv>

#include "ir/text.h"

namespace sula {
namespace {

constexpr int64_t kMaxElements = 64;  // of a constant, unless all are asked for

std::string ValueName(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '.' || c == '/' || c == '-';
  };
  if (std::ranges::all_of(name, plain)) return "%" + std::string(name);
  return "%" + Quoted(name);
}

// The shortest text that reads back as this number.
template <class T>
std::string Number(T x) {
  char buffer[40];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, x).ptr);
}

std::string Elements(const Tensor& t) {
  std::string out = "[";
  DispatchDType(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (T x : t.data<T>()) {
      if (out.size() > 1) out += ", ";
      if constexpr (std::is_same_v<T, bool>) {
        out += x ? "true" : "false";
      } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        out += Number(static_cast<float>(x));
      } else if constexpr (std::is_integral_v<T>) {
        out += Number(static_cast<int64_t>(x));
      } else {
        out += Number(x);
      }
    }
  });
  return out += "]";
}

// A field's value; a float member as the shortest text that gives the same float.
std::string FieldText(const OpDef& op, const Field& field, const FieldValue& value) {
  const double* d = std::get_if<double>(&value);
  const std::vector<double>* list = std::get_if<std::vector<double>>(&value);
  if (!d && !list) return ToString(value);
  const auto shorten = [](double x) {
    const std::string text = Number(static_cast<float>(x));
    double short_x = x;
    std::from_chars(text.data(), text.data() + text.size(), short_x);
    return short_x;
  };
  FieldValue shorter = value;
  if (d) {
    shorter = shorten(*d);
  } else {
    for (double& x : std::get<std::vector<double>>(shorter)) x = shorten(x);
  }
  const std::pair<std::string, FieldValue> given = {std::string(field.name), shorter};
  const Result<Params> params = MakeParams(op, {&given, 1});
  const bool same = params.has_value() && Field::Get(field, *params) == value;
  return ToString(same ? shorter : value);
}

class Printer {
 public:
  explicit Printer(const PrintOptions& options) : options_(options) {}

  void Write(const Graph& g, const std::string& indent) {
    const std::string in = indent + "  ";
    out_ += indent + "graph " + Quoted(g.name) + " {\n";
    for (const auto& [key, value] : g.metadata)
      out_ += in + "meta " + Quoted(key) + " = " + Quoted(value) + "\n";
    if (!g.captures.empty()) {
      out_ += in + "captures";
      for (size_t i = 0; i < g.captures.size(); ++i)
        out_ += (i ? ", " : " ") + ValueName(g.captures[i]);
      out_ += "\n";
    }
    for (ValueId v : g.inputs())
      out_ += in + "input " + ValueName(g.value(v).name) + ": " + g.value(v).type.ToString() + "\n";
    for (ValueId v = 0; v < g.value_slots(); ++v) {
      const Value& value = g.value(v);
      if (!value.constant) continue;
      out_ += in + "const " + ValueName(value.name) + ": " + value.type.ToString() + " = ";
      const bool whole = options_.all_elements || value.constant->num_elements() <= kMaxElements;
      out_ += (whole ? Elements(*value.constant) : "...") + "\n";
    }
    for (NodeId id : g.TopologicalOrder()) WriteNode(g, g.node(id), in);
    if (!g.outputs().empty()) {
      out_ += in + "output ";
      for (size_t i = 0; i < g.outputs().size(); ++i)
        out_ += (i ? ", " : "") + ValueName(g.value(g.outputs()[i]).name);
      out_ += "\n";
    }
    out_ += indent + "}\n";
  }

  std::string TakeText() { return std::move(out_); }

 private:
  void WriteNode(const Graph& g, const Node& node, const std::string& in) {
    out_ += in;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (i) out_ += ", ";
      if (node.outputs[i] == kNoValue) {
        out_ += "_";
        continue;
      }
      const Value& value = g.value(node.outputs[i]);
      out_ += ValueName(value.name);
      if (options_.types) out_ += ": " + value.type.ToString();
    }
    out_ += " = " + std::string(node.op->name) + "(";
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (i) out_ += ", ";
      out_ += node.inputs[i] == kNoValue ? "_" : ValueName(g.value(node.inputs[i]).name);
    }
    out_ += ")";
    std::string fields;
    for (const auto& [name, value] : FieldTexts(node))
      fields += (fields.empty() ? "" : ", ") + name + "=" + value;
    if (!fields.empty()) out_ += " {" + fields + "}";
    out_ += " " + Quoted(node.name);
    if (!node.subgraphs.empty()) {
      out_ += " {\n";
      for (const Graph& subgraph : node.subgraphs) Write(subgraph, in + "  ");
      out_ += in + "}";
    }
    out_ += "\n";
  }

  const PrintOptions& options_;
  std::string out_;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> FieldTexts(const Node& node) {
  const Params defaults = node.op->default_params();
  std::vector<std::pair<std::string, std::string>> texts;
  for (const Field& field : node.op->fields) {
    const FieldValue value = Field::Get(field, node.params);
    if (value == Field::Get(field, defaults)) continue;
    texts.emplace_back(field.name, FieldText(*node.op, field, value));
  }
  return texts;
}

std::string Print(const Graph& graph, const PrintOptions& options) {
  Printer printer(options);
  printer.Write(graph, "");
  return printer.TakeText();
}

}  // namespace sula
