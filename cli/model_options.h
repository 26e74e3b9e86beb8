// Options that several commands share, and what they mean.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "npy.h"
#include "sula/convert.h"
#include "sula/model.h"
#include "sula/session.h"
#include "terminal.h"

namespace sula::cli {

// MODEL: loads a .sula file; converts anything else in memory, optimized or as it was imported.
Result<std::shared_ptr<const Model>> OpenModel(const std::string& path, Progress& progress,
                                               bool optimize = true);

// The model made for inputs of these shapes: itself where the shapes it declares allow them, else,
// if it comes from a source file, converted anew; a .sula file that was converted for other sizes
// is refused, with the remedy.
Result<std::shared_ptr<const Model>> FitModel(std::shared_ptr<const Model> model,
                                              const ModelInfo& info, const std::string& path,
                                              const InputShapes& shapes, Progress& progress,
                                              bool optimize = true);

// Shows a conversion's progress.
std::function<void(const ConvertProgress&)> ShowConversion(Progress& progress);

// "name=1,3,224,224" -> name and sizes as text. An error shows the right form.
Result<std::pair<std::string, std::vector<std::string>>> ParseInputShape(const std::string& text);

// "sr=16000" or "scale=1,0.5" -> name and numbers. An error shows the right form.
Result<std::pair<std::string, std::vector<double>>> ParseInputValue(const std::string& text);

// Shapes of several, sizes as numbers. "1,3,224,224" without a name is for the only input.
Result<InputShapes> ParseInputShapes(const std::vector<std::string>& texts, const ModelInfo& info);

// The option --input-shape, with its help.
void AddInputShapes(CLI::App& command, std::vector<std::string>& texts);

// --backend, --threads, --max-memory, --no-chains, --max-error, --pack-cache and --check-packs.
struct SessionFlags {
  std::string backend;
  int threads = 0;
  std::string max_memory;
  bool no_chains = false;
  double max_error = SessionOptions().max_error;
  std::string pack_cache;
  bool check_packs = false;
};
void AddSessionFlags(CLI::App& command, SessionFlags& flags, bool with_threads = true);
Result<SessionOptions> ToSessionOptions(const SessionFlags& flags);

// "4096", "64K", "100M", "2G" -> bytes.
Result<size_t> ParseBytes(const std::string& text);

// "1,2,4" -> numbers of threads, or whatever they are of; each at least 1.
Result<std::vector<int>> ParseCounts(const std::string& text, std::string_view of);

// The shapes of arrays that are given in the order of the model's inputs.
InputShapes ShapesOf(const ModelInfo& info, const std::vector<Array>& inputs);

// Reads input_0.npy, ... (or NAME.npy) of a folder, one for each input of the model, and checks
// their element types.
Result<std::vector<Array>> ReadInputFolder(const std::string& folder, const ModelInfo& info);

// An error that names both if the array is not of the input's element type or has another number of
// axes. `source` is where the array comes from.
Status CheckInput(const Array& array, const ValueInfo& input, const std::string& source);

// Writes output_0.npy, ... and outputs.json (a list of name, file, shape, type) to the folder,
// which is made if it does not exist.
Status WriteOutputs(const Session& session, const std::string& folder);

// Binds every array; they must outlive the runs.
Status BindInputs(Session& session, const std::vector<Array>& inputs);

}  // namespace sula::cli
