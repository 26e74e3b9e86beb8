// Converting trained models of other frameworks. Lives in libsula_convert; a program that only runs
// .sula files needs none of it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sula/model.h"
#include "sula/status.h"

#pragma GCC visibility push(default)
namespace sula {

// Where a conversion is, for people who wait.
struct ConvertProgress {
  enum class Stage { kReading, kOptimizing, kWriting, kVerifying };
  Stage stage = Stage::kReading;
  int64_t steps = 0;        // changes applied so far, when optimizing
  std::string_view detail;  // the file, the change as "rule@node", or what verification runs
};

struct ConvertOptions {
  // Replaces the declared shapes of inputs, by name. A size is a number ("224") or a name that
  // stands for a size known at run time ("batch").
  std::map<std::string, std::vector<std::string>> input_shapes;
  // Inputs that will have these values in every run, by name: one number for all elements, or one
  // each. What depends on them alone is computed now, so that an If becomes the branch that is
  // taken; the model still has the input, and no longer reads it. Its sizes must be known.
  std::map<std::string, std::vector<double>> input_values;
  std::set<std::string, std::less<>> disabled_rules;  // by name; see Rules()
  int stop_after = -1;  // changes of the optimizer; -1: no limit, 0: no optimization
  std::string dump_ir;  // if not empty: the final graph is written to this file as text
  // How pictures become inputs, by the input's name ("" stands for the only one): text as
  // sula/image.h describes it, checked and stored in the model.
  std::map<std::string, std::string> image_inputs;
  // Pre-processing that becomes part of the model, by the input's name ("" stands for the only
  // one). The input then takes uint8 pictures [N, height, width, channels], rows from the top, and
  // what the text says is done to them within the run, without a float copy of the picture. The
  // text is that of image_inputs, which it also starts from, with two fields more:
  //
  //   from=...       rgb, bgr, rgba, bgra, gray: what the pictures hold; left out: rgb. An alpha
  //                  channel is not read. (order= says what the network wants; from colours to grey
  //                  0.299 R + 0.587 G + 0.114 B are taken.)
  //   picture=WxH    size of the pictures; left out: any, told by the shapes given to a session,
  //                  which prepares itself for each
  //
  // The order is: resize and fit, channels, (pixel * scale - mean) / std. Nothing is rounded to
  // levels in between, so results differ from those of image_inputs by a level or so where pictures
  // are resized or made grey. Resizing: nearest-pil, bilinear-pil, bicubic-pil, nearest-opencv,
  // bilinear-opencv. For inputs of floats with four axes. What else the conversion does (shapes,
  // values) concerns the input as it was.
  std::map<std::string, std::string> preprocess;
  std::string labels;  // names of the classes, one per line, stored in the model
  // Runs the model on the reference interpreter before and after every change of the optimizer,
  // with inputs made from the seed, and fails with kInternal at the first change that alters
  // results by more than roundings explain: the message names its rule. kUnsupported if no inputs
  // are found with which the model runs. Takes several times as long as one slow run.
  bool verify = false;
  uint64_t verify_seed = 1;
  std::function<void(const ConvertProgress&)> on_progress;
};

// What verification found.
struct VerifySummary {
  uint64_t seed = 0;
  std::string inputs;             // "x float32[1,3,224,224]": what the model was run with
  int64_t changes = 0;            // verified
  int64_t unverified = 0;         // changes in parts that do not run with these inputs
  std::string unverified_reason;  // of the first of them
  double largest_error = 0;       // relative to the largest number of the tensor
  std::string largest_error_at;   // the change as "rule@node"
};

struct ConvertSummary {
  std::string source_format;                  // "ONNX", "Caffe"
  std::vector<std::string> source_files;      // read: those given, and what lay beside them
  int64_t nodes_before = 0, nodes_after = 0;  // as imported, as written
  double multiply_adds_before = 0, multiply_adds_after = 0;
  int64_t uncounted_nodes = 0;  // of the result: sizes unknown, so not in multiply_adds_after
  int64_t parameters = 0;       // elements of constants in the result
  int64_t constant_bytes = 0;   // their bytes
  int64_t source_bytes = 0, file_bytes = 0;  // of the files read and the file written
  // With how many nodes they have, most frequent first: as imported, and of the result.
  std::vector<std::pair<std::string, int64_t>> operators_before, operators;
  std::vector<std::pair<std::string, int>> rules;  // applied, with how often
  std::optional<VerifySummary> verified;           // if asked for
  std::vector<std::string> warnings;
};

// The format of a model file, judged by its contents, then by its name: "sula", "ONNX" or "Caffe",
// which can be converted, or the name of another one, for a clear refusal ("TFLite", ...). Empty if
// it cannot be told.
std::string DetectFormat(const std::string& path);

// Reads the model in `files` (one; for Caffe the .prototxt and the .caffemodel, of which one is
// looked for beside the other under the same name if it is not given), optimizes it and writes
// `output`. Errors: kUnsupported names everything at once that has no translation; kInvalidModel
// says what is wrong with the file.
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
#pragma GCC visibility pop
