// sula ops
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "sula/model.h"
#include "terminal.h"

namespace sula::cli {
namespace {

struct Options {
  std::vector<std::string> names;
  bool json = false, markdown = false;
};

// "any", "any float", ... where the list is such a set; else the types.
std::string TypeNames(const std::vector<DType>& types) {
  auto is_float = [](DType t) {
    return t == DType::kFloat32 || t == DType::kFloat16 || t == DType::kBFloat16 ||
           t == DType::kFloat64;
  };
  constexpr int kFloatCount = 4, kIntegerCount = kDTypeCount - kFloatCount - 1;
  const auto floats = std::count_if(types.begin(), types.end(), is_float);
  const auto bools = std::count(types.begin(), types.end(), DType::kBool);
  const auto integers = static_cast<int64_t>(types.size()) - floats - bools;
  auto is = [&](int64_t f, int64_t i, int64_t b) {
    return floats == f && integers == i && bools == b;
  };
  if (is(kFloatCount, kIntegerCount, 1)) return "any";
  if (is(kFloatCount, kIntegerCount, 0)) return "any number";
  if (is(kFloatCount, 0, 0)) return "any float";
  if (is(0, kIntegerCount, 0)) return "any integer";
  std::string names;
  for (DType t : types) names += fmt::format("{}{}", names.empty() ? "" : " ", Name(t));
  return names;
}

std::string Arity(const PortInfo& port) {
  return port.optional ? "optional" : port.variadic ? "one or more" : "";
}

nlohmann::ordered_json ToJson(const std::vector<PortInfo>& ports) {
  auto list = nlohmann::ordered_json::array();
  for (const PortInfo& p : ports) {
    auto types = nlohmann::ordered_json::array();
    for (DType t : p.types) types.push_back(Name(t));
    list.push_back({{"name", p.name},
                    {"help", p.help},
                    {"types", std::move(types)},
                    {"optional", p.optional},
                    {"variadic", p.variadic}});
  }
  return list;
}

void PrintJson(const std::vector<OperatorInfo>& operators) {
  auto list = nlohmann::ordered_json::array();
  for (const OperatorInfo& op : operators) {
    nlohmann::ordered_json j;
    j["name"] = op.name;
    j["summary"] = op.summary;
    j["inputs"] = ToJson(op.inputs);
    j["outputs"] = ToJson(op.outputs);
    j["fields"] = nlohmann::ordered_json::array();
    for (const FieldInfo& f : op.fields)
      j["fields"].push_back({{"name", f.name}, {"help", f.help}, {"default", f.default_value}});
    list.push_back(std::move(j));
  }
  fmt::print("{}\n", list.dump(1));
}

// The id that Markdown renderers give a heading.
std::string Anchor(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

// Text as a cell of a table.
std::string Cell(std::string_view text) {
  std::string cell;
  for (char c : text) cell += c == '|' ? "\\|" : std::string(1, c);
  return cell;
}

void PrintMarkdown(const OperatorInfo& op) {
  fmt::print("## {}\n\n{}\n\n", op.name, op.summary);
  if (!op.inputs.empty() || !op.outputs.empty()) {
    fmt::print("| port | | types | meaning |\n|---|---|---|---|\n");
    auto ports = [](const std::vector<PortInfo>& list, std::string_view kind) {
      for (const PortInfo& p : list)
        fmt::print("| {} `{}` | {} | {} | {} |\n", kind, p.name, Arity(p), TypeNames(p.types),
                   Cell(p.help));
    };
    ports(op.inputs, "input");
    ports(op.outputs, "output");
    fmt::print("\n");
  }
  if (!op.fields.empty()) {
    fmt::print("| field | default | meaning |\n|---|---|---|\n");
    for (const FieldInfo& f : op.fields)
      fmt::print("| `{}` | `{}` | {} |\n", f.name, f.default_value, Cell(f.help));
    fmt::print("\n");
  }
}

void PrintDetails(const OperatorInfo& op) {
  Heading(op.name);
  fmt::print("  {}\n\n", op.summary);
  Table ports({{""}, {"name"}, {""}, {"types"}, {"meaning"}});
  for (const PortInfo& p : op.inputs)
    ports.Row({"input", p.name, Arity(p), TypeNames(p.types), p.help});
  for (const PortInfo& p : op.outputs)
    ports.Row({"output", p.name, Arity(p), TypeNames(p.types), p.help});
  ports.Print();
  if (!op.fields.empty()) {
    fmt::print("\n");
    Table fields({{"field"}, {"default"}, {"meaning"}});
    for (const FieldInfo& f : op.fields) fields.Row({f.name, f.default_value, f.help});
    fields.Print();
  }
  fmt::print("\n");
}

Status Run(const Options& o) {
  std::vector<OperatorInfo> operators = Operators();
  if (!o.names.empty()) {
    std::vector<OperatorInfo> chosen;
    for (const std::string& name : o.names) {
      auto it = std::find_if(operators.begin(), operators.end(),
                             [&](const OperatorInfo& op) { return op.name == name; });
      if (it == operators.end())
        return Status(Code::kNotFound, fmt::format("no operator '{}'; see sula ops", name));
      chosen.push_back(*it);
    }
    operators = std::move(chosen);
  }
  if (o.json) {
    PrintJson(operators);
  } else if (o.markdown) {
    fmt::print(
        "# Operators\n\nThe operators of sula's graphs, as `sula ops --markdown` prints them. "
        "Frontends translate "
        "the\noperators of all frameworks and versions into these.\n\n");
    for (const OperatorInfo& op : operators)
      fmt::print("* [{}](#{}): {}\n", op.name, Anchor(op.name), op.summary);
    fmt::print("\n");
    for (const OperatorInfo& op : operators) PrintMarkdown(op);
  } else if (!o.names.empty()) {
    for (const OperatorInfo& op : operators) PrintDetails(op);
  } else {
    Table table({{"operator"}, {"meaning", Align::kLeft, 100}});
    for (const OperatorInfo& op : operators) table.Row({op.name, op.summary});
    table.Print();
    fmt::print("\n  {} operators; sula ops NAME shows the inputs, outputs and fields of one\n",
               operators.size());
  }
  return {};
}

}  // namespace

void AddOps(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& c = *app.add_subcommand("ops", "List the operators that models may use");
  c.add_option("NAME", options->names, "Show all about these operators");
  auto* json = c.add_flag("--json", options->json, "Print JSON");
  c.add_flag("--markdown", options->markdown, "Print Markdown")->excludes(json);
  c.final_callback([options, &exit_code] { exit_code = Report(Run(*options)); });
}

}  // namespace sula::cli
