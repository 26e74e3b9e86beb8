// Converting trained models of other frameworks. Lives in libsula_convert; a program that only runs
// .sula files needs none of it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sula/model.h"
#include "sula/status.h"

namespace sula {

// Where a conversion is, for people who wait.
struct ConvertProgress {
  enum class Stage { kReading, kOptimizing, kWriting };
  Stage stage = Stage::kReading;
  int64_t steps = 0;        // changes applied so far, when optimizing
  std::string_view detail;  // the file, or the change as "rule@node"
};

struct ConvertOptions {
  // Replaces the declared shapes of inputs, by name. A size is a number ("224") or a name that
  // stands for a size known at run time ("batch").
  std::map<std::string, std::vector<std::string>> input_shapes;
  std::set<std::string, std::less<>> disabled_rules;  // by name; see Rules()
  int stop_after = -1;  // changes of the optimizer; -1: no limit, 0: no optimization
  std::string dump_ir;  // if not empty: the final graph is written to this file as text
  std::function<void(const ConvertProgress&)> on_progress;
};

struct ConvertSummary {
  std::string source_format;                  // "ONNX"
  int64_t nodes_before = 0, nodes_after = 0;  // as imported, as written
  double multiply_adds_before = 0, multiply_adds_after = 0;
  int64_t uncounted_nodes = 0;  // of the result: sizes unknown, so not in multiply_adds_after
  int64_t parameters = 0;       // elements of constants in the result
  int64_t constant_bytes = 0;   // their bytes
  int64_t source_bytes = 0, file_bytes = 0;                // of the files read and the file written
  std::vector<std::pair<std::string, int64_t>> operators;  // of the result, most frequent first
  std::vector<std::pair<std::string, int>> rules;          // applied, with how often
  std::vector<std::string> warnings;
};

// The format of a model file, judged by its first bytes, then by its name: "sula" or "ONNX", which
// can be converted, or the name of another one, for a clear refusal ("TFLite", "Caffe", ...). Empty
// if it cannot be told.
std::string DetectFormat(const std::string& path);

// Reads the model in `files` (most formats have one), optimizes it and writes `output`. Errors:
// kUnsupported names everything at once that has no translation; kInvalidModel says what is wrong
// with the file.
Result<ConvertSummary> Convert(std::span<const std::string> files, const std::string& output,
                               const ConvertOptions& options = {});

// The same without a file: the model is ready for a session.
Result<std::shared_ptr<const Model>> ConvertInMemory(std::span<const std::string> files,
                                                     const ConvertOptions& options = {},
                                                     ConvertSummary* summary = nullptr);

// The optimizer's rules and passes in the order in which they are tried.
struct RuleInfo {
  std::string name, summary;
};
std::vector<RuleInfo> Rules();

}  // namespace sula
