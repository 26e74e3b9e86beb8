#include "compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

namespace sula::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// A tensor that somebody else owns, or keeps for us.
struct Tensors {
  std::map<std::string, TensorView> by_name;
  std::vector<Array> owned;
};

bool IsOutput(const Workload& w, const std::string& name) {
  return std::any_of(w.info.outputs.begin(), w.info.outputs.end(),
                     [&](const ValueInfo& v) { return v.name == name; });
}

// The values of `names` that are no output of the model anyway.
std::vector<std::string> Inner(const Workload& w, const std::vector<std::string>& names) {
  std::vector<std::string> inner;
  for (const std::string& name : names)
    if (!IsOutput(w, name)) inner.push_back(name);
  return inner;
}

Tensors OutputsOf(const Session& session) {
  Tensors t;
  for (int i = 0; i < session.num_outputs(); ++i)
    t.by_name.try_emplace(
        session.output_name(i),
        TensorView{session.output_type(i), session.output_dims(i), session.output_data(i)});
  return t;
}

// Names that stand for the outputs of `w` on the other side: equal names, else equal positions.
std::map<std::string, std::string> OutputNames(const Workload& w,
                                               const std::vector<std::string>& theirs) {
  std::map<std::string, std::string> names;
  for (size_t i = 0; i < w.info.outputs.size(); ++i) {
    const std::string& name = w.info.outputs[i].name;
    const bool known = std::find(theirs.begin(), theirs.end(), name) != theirs.end();
    if (known)
      names[name] = name;
    else if (i < theirs.size())
      names[name] = theirs[i];
  }
  return names;
}

// What is known of the values of a model, by name.
std::map<std::string, ComparedValue> Describe(const Workload& w) {
  std::map<std::string, ComparedValue> values;
  for (const NodeInfo& node : Nodes(*w.model))
    for (const ValueInfo& v : node.outputs)
      values[v.name] = {.name = v.name, .node = node.name, .op = node.op, .type = v.type};
  for (const ValueInfo& v : w.info.outputs) {
    ComparedValue& value = values[v.name];
    value.name = v.name;
    value.output = true;
  }
  return values;
}

Status CannotCompare(const std::string& why) {
  return Status(Code::kInvalidArgument, "there is nothing to compare: " + why);
}

// Compares `names` of `described`; b under the name that `renamed` gives, if any.
void CompareAll(const std::vector<std::string>& names,
                const std::map<std::string, ComparedValue>& described, const Tensors& a,
                const Tensors& b, const std::map<std::string, std::string>& renamed,
                Comparison& c) {
  for (const std::string& name : names) {
    const auto other = renamed.find(name);
    const auto in_a = a.by_name.find(name);
    const auto in_b = b.by_name.find(other == renamed.end() ? name : other->second);
    if (in_a == a.by_name.end() || in_b == b.by_name.end()) continue;
    ComparedValue value = described.at(name);
    value.difference = Compare(in_a->second, in_b->second);
    value.type = fmt::format("{}{}", Name(in_a->second.dtype), ToString(in_a->second.dims));
    c.values.push_back(std::move(value));
  }
}

// The tensors of a folder by name; `outputs` are the names for output_0.npy, ...
Result<Tensors> ReadFolder(const std::string& folder, const std::vector<ValueInfo>& outputs) {
  std::vector<std::pair<std::string, std::string>> files;  // name, file
  std::error_code ignored;
  if (const fs::path list = fs::path(folder) / "outputs.json"; fs::exists(list, ignored)) {
    std::ifstream in(list);
    const Json json = Json::parse(in, nullptr, false);
    if (!json.is_array())
      return Status(Code::kInvalidArgument, fmt::format("'{}' is not a list", list.string()));
    for (const Json& entry : json) {
      const auto text = [&](const char* key) {
        return entry.is_object() && entry.contains(key) && entry[key].is_string()
                   ? entry[key].get<std::string>()
                   : std::string();
      };
      const fs::path file = text("file");
      if (file.empty() || file != file.filename())
        return Status(Code::kInvalidArgument,
                      fmt::format("'{}': an entry without a file in this folder", list.string()));
      files.emplace_back(text("name"), (fs::path(folder) / file).string());
    }
  } else {
    for (size_t i = 0; i < outputs.size(); ++i) {
      const std::string file = (fs::path(folder) / fmt::format("output_{}.npy", i)).string();
      if (fs::exists(file, ignored)) files.emplace_back(outputs[i].name, file);
    }
  }
  if (files.empty())
    return Status(Code::kNotFound,
                  fmt::format("neither outputs.json nor output_0.npy is in '{}'", folder));
  Tensors t;
  for (const auto& [name, file] : files) {
    Result<Array> array = ReadNpy(file);
    if (!array) return array.error();
    t.by_name.try_emplace(name, array->view());
    t.owned.push_back(std::move(array).value());
  }
  return t;
}

}  // namespace

bool Comparison::Agrees(const ComparedValue& v) const {
  return v.difference.mismatch.empty() && v.difference.relative <= tolerance;
}

bool Comparison::OutputsAgree() const {
  return std::all_of(values.begin(), values.end(),
                     [&](const ComparedValue& v) { return !v.output || Agrees(v); });
}

const ComparedValue* Comparison::FirstDivergence() const {
  const auto first = std::find_if(values.begin(), values.end(),
                                  [&](const ComparedValue& v) { return !Agrees(v); });
  return first == values.end() ? nullptr : &*first;
}

const ComparedValue* Comparison::Worst() const {
  const ComparedValue* worst = nullptr;
  for (const ComparedValue& v : values)
    if (!worst || v.difference.relative > worst->difference.relative) worst = &v;
  return worst;
}

std::vector<std::string> ValueNames(const Workload& w) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  const auto add = [&](const std::string& name) {
    if (!name.empty() && seen.insert(name).second) names.push_back(name);
  };
  for (const NodeInfo& node : Nodes(*w.model))
    for (const ValueInfo& v : node.outputs) add(v.name);
  for (const ValueInfo& v : w.info.outputs) add(v.name);
  return names;
}

Result<std::unique_ptr<Session>> RunWith(const Side& side, const std::vector<std::string>& values) {
  SessionOptions options = side.session;
  options.extra_outputs = Inner(side.workload, values);
  auto session = OpenSession(side.workload, options);
  if (!session) return Status(session.error()).AddContext("preparing " + side.title);
  if (Status s = (*session)->Run(); !s.ok()) return s.AddContext("running " + side.title);
  return session;
}

Result<Comparison> CompareSides(const Side& a, const Side& b, double tolerance) {
  Comparison c{.a = a.title, .b = b.title, .tolerance = tolerance};
  const std::vector<std::string> in_a = ValueNames(a.workload), in_b = ValueNames(b.workload);
  const std::set<std::string> known(in_b.begin(), in_b.end());
  std::vector<std::string> theirs;
  for (const ValueInfo& v : b.workload.info.outputs) theirs.push_back(v.name);
  const auto renamed = OutputNames(a.workload, theirs);
  if (renamed.empty())
    return CannotCompare(fmt::format("{} has no output that {} has", a.title, b.title));
  std::vector<std::string> names, common;
  for (const std::string& name : in_a) {
    const bool output = renamed.contains(name);
    if (!output && !known.contains(name)) continue;
    names.push_back(name);
    if (!output) common.push_back(name);
  }
  if (a.workload.info.outputs.size() != b.workload.info.outputs.size())
    c.notes.push_back(fmt::format("A has {} outputs, B has {}", a.workload.info.outputs.size(),
                                  b.workload.info.outputs.size()));
  const size_t hidden = in_a.size() - names.size();
  if (hidden > 0)
    c.notes.push_back(fmt::format(
        "{} of A's {} values are not in B, most of them fused into others", hidden, in_a.size()));
  auto first = RunWith(a, common);
  if (!first) return first.error();
  auto second = RunWith(b, common);
  if (!second) return second.error();
  CompareAll(names, Describe(a.workload), OutputsOf(**first), OutputsOf(**second), renamed, c);
  return c;
}

Result<Comparison> CompareWithFolder(const Side& b, const std::string& folder, double tolerance) {
  Comparison c{.a = folder, .b = b.title, .tolerance = tolerance};
  Result<Tensors> expected = ReadFolder(folder, b.workload.info.outputs);
  if (!expected) return expected.error();
  std::vector<std::string> names;
  for (const std::string& name : ValueNames(b.workload))
    if (expected->by_name.contains(name)) names.push_back(name);
  if (names.empty()) return CannotCompare(fmt::format("{} has no value of '{}'", b.title, folder));
  if (names.size() < expected->by_name.size())
    c.notes.push_back(fmt::format("{} of the {} tensors in the folder are of values that {} lacks",
                                  expected->by_name.size() - names.size(), expected->by_name.size(),
                                  b.title));
  auto session = RunWith(b, names);
  if (!session) return session.error();
  CompareAll(names, Describe(b.workload), *expected, OutputsOf(**session), {}, c);
  return c;
}

}  // namespace sula::cli
