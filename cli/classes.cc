#include "classes.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "terminal.h"

namespace sula::cli {
namespace {

template <class T>
std::vector<float> Copy(const Session& session, int i) {
  const T* data = static_cast<const T*>(session.output_data(i));
  return {data, data + NumElements(session.output_dims(i))};
}

// Empty if the output is of a type that scores don't have.
std::vector<float> Scores(const Session& session, int i) {
  switch (session.output_type(i)) {
    case DType::kFloat32: return Copy<float>(session, i);
    case DType::kUInt8: return Copy<uint8_t>(session, i);
    case DType::kInt8: return Copy<int8_t>(session, i);
    default: return {};
  }
}

}  // namespace

void AddClassFlags(CLI::App& command, ClassFlags& flags) {
  command
      .add_option("--labels", flags.labels,
                  "Names of the classes, one per line (default: those in the model)")
      ->type_name("FILE");
  command
      .add_option("--top", flags.top,
                  "Show the N strongest classes (default: 5 if there are labels, else none)")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
}

Result<std::string> ReadLabels(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) return Status(Code::kNotFound, fmt::format("cannot read '{}'", path));
  if (auto labels = ParseLabels(text); !labels)
    return Status(labels.error()).AddContext(fmt::format("file '{}'", path));
  return text;
}

std::string LabelSummary(const std::vector<std::string>& labels) {
  constexpr size_t kShown = 3;
  std::string text = fmt::format("{} labels", labels.size());
  for (size_t i = 0; i < std::min(labels.size(), kShown); ++i)
    text += fmt::format("{} {:.30}", i == 0 ? ":" : ",", labels[i]);
  return labels.size() > kShown ? text + ", ..." : text;
}

Result<Classes> Classes::Make(const ClassFlags& flags, const ModelInfo& info) {
  Classes classes;
  if (flags.labels.empty()) {
    classes.labels_ = StoredLabels(info);
  } else {
    Result<std::string> text = ReadLabels(flags.labels);
    if (!text) return text.error();
    classes.labels_ = ParseLabels(*text).value();
  }
  classes.top_ = flags.top >= 0 ? flags.top : classes.labels_.empty() ? 0 : 5;
  return classes;
}

std::vector<std::vector<Ranked>> Classes::Rank(const Session& session, std::string& note) const {
  std::vector<std::vector<Ranked>> rankings;
  if (top_ == 0) return rankings;
  for (int i = 0; i < session.num_outputs() && rankings.empty(); ++i) {
    const std::vector<float> scores = Scores(session, i);
    const Dims& dims = session.output_dims(i);
    const size_t classes = !labels_.empty() ? labels_.size()
                           : dims.size() > 1 && dims[0] > 0
                               ? scores.size() / static_cast<size_t>(dims[0])
                               : scores.size();
    if (scores.empty() || scores.size() % classes != 0) continue;
    if (!labels_.empty() && dims.size() > 1 && dims[0] > 0 &&
        scores.size() / classes != static_cast<size_t>(dims[0]))
      continue;
    for (size_t row = 0; row < scores.size(); row += classes)
      rankings.push_back(BestScores(std::span(scores).subspan(row, classes), top_));
  }
  if (rankings.empty())
    note = labels_.empty() ? "no output holds scores to rank"
                           : fmt::format("there are {} labels, but no output has as many scores",
                                         labels_.size());
  return rankings;
}

std::string Classes::Label(int64_t index) const {
  return labels_.empty() ? "" : labels_[static_cast<size_t>(index)];
}

void Classes::Print(const std::vector<Ranked>& ranking) const {
  Table table({{"class", Align::kRight}, {"score", Align::kRight}, {"label", Align::kLeft, 60}});
  for (const Ranked& r : ranking)
    table.Row({fmt::format("{}", r.index), fmt::format("{:.5g}", r.score), Label(r.index)});
  table.Print();
}

nlohmann::ordered_json Classes::ToJson(const std::vector<Ranked>& ranking) const {
  auto list = nlohmann::ordered_json::array();
  for (const Ranked& r : ranking) {
    nlohmann::ordered_json entry{{"class", r.index}, {"score", r.score}};
    if (!labels_.empty()) entry["label"] = Label(r.index);
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace sula::cli
