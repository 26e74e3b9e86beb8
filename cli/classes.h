// The strongest classes of a classifier's output, with their names.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sula/image.h"
#include "sula/session.h"

namespace sula::cli {

// --labels and --top.
struct ClassFlags {
  std::string labels;  // a file
  int top = -1;        // -1: 5 if there are labels
};
void AddClassFlags(CLI::App& command, ClassFlags& flags);

// The text of a file of labels. Errors: it cannot be read, or holds no labels.
Result<std::string> ReadLabels(const std::string& path);

// "1000 labels: tench, goldfish, ..."
std::string LabelSummary(const std::vector<std::string>& labels);

class Classes {
 public:
  // Labels from the file, else from the model.
  static Result<Classes> Make(const ClassFlags& flags, const ModelInfo& info);

  // Ranks the first output that has a score for each label; without labels, the first that holds
  // scores at all. One ranking for each row of classes; none if nothing was asked for or no output
  // will do (`note` then says so).
  std::vector<std::vector<Ranked>> Rank(const Session& session, std::string& note) const;

  void Print(const std::vector<Ranked>& ranking) const;
  nlohmann::ordered_json ToJson(const std::vector<Ranked>& ranking) const;

 private:
  std::string Label(int64_t index) const;
  std::vector<std::string> labels_;
  int top_ = 0;
};

}  // namespace sula::cli
