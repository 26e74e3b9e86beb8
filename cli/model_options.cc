#include "model_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace sula::cli {
namespace {

namespace fs = std::filesystem;

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t end; (end = text.find(separator)) != std::string_view::npos;) {
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.emplace_back(text);
  return parts;
}

template <class T>
std::optional<T> Number(std::string_view text) {
  T v{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return v;
}

// Where input i of the model lies in the folder: NAME.npy if that is there, else input_i.npy.
std::string InputFile(const std::string& folder, const ValueInfo& input, size_t i) {
  std::error_code ignored;
  bool plain = input.name.find('/') == std::string::npos;
  fs::path by_name = fs::path(folder) / (input.name + ".npy");
  if (plain && fs::exists(by_name, ignored)) return by_name.string();
  return (fs::path(folder) / fmt::format("input_{}.npy", i)).string();
}

// Whether the sizes that the model declares allow these; names of inputs that it lacks do not
// matter.
bool Allows(const ValueInfo& input, const InputShapes& shapes) {
  auto given = shapes.find(input.name);
  if (given == shapes.end() || !input.ranked) return true;
  return std::equal(input.dims.begin(), input.dims.end(), given->second.begin(),
                    given->second.end(),
                    [](int64_t declared, int64_t d) { return declared < 0 || declared == d; });
}

}  // namespace

std::function<void(const ConvertProgress&)> ShowConversion(Progress& progress) {
  return [&progress](const ConvertProgress& at) {
    switch (at.stage) {
      case ConvertProgress::Stage::kReading:
        return progress.Update(fmt::format("reading {}", at.detail));
      case ConvertProgress::Stage::kOptimizing:
        return progress.Update(fmt::format("optimizing: {} changes {}", at.steps, at.detail));
      case ConvertProgress::Stage::kVerifying:
        return progress.Update(fmt::format("verifying: {}", at.detail));
      case ConvertProgress::Stage::kWriting:
        return progress.Update(fmt::format("writing {}", at.detail));
    }
  };
}

Result<std::shared_ptr<const Model>> OpenModel(const std::string& path, Progress& progress,
                                               bool optimize) {
  if (DetectFormat(path) == "sula") return LoadModel(path);
  ConvertOptions options;
  options.on_progress = ShowConversion(progress);
  options.stop_after = optimize ? -1 : 0;
  ConvertSummary summary;
  auto model = ConvertInMemory({&path, 1}, options, &summary);
  for (const std::string& file : summary.source_files)
    if (file != path) progress.Note(fmt::format("'{}' is read as well", file));
  return model;
}

Result<std::shared_ptr<const Model>> FitModel(std::shared_ptr<const Model> model,
                                              const ModelInfo& info, const std::string& path,
                                              const InputShapes& shapes, Progress& progress,
                                              bool optimize) {
  auto misfit = std::find_if(info.inputs.begin(), info.inputs.end(),
                             [&](const ValueInfo& input) { return !Allows(input, shapes); });
  if (misfit == info.inputs.end()) return model;
  if (DetectFormat(path) == "sula") {
    const Dims& dims = shapes.at(misfit->name);
    return Invalid(fmt::format(
        "'{}' was converted for input '{}' of {}, not {}. Convert it again with --input-shape "
        "{}={}, or with names for the sizes that are to be free",
        path, misfit->name, misfit->type, ToString(dims), misfit->name, fmt::join(dims, ",")));
  }
  ConvertOptions options;
  options.on_progress = ShowConversion(progress);
  options.stop_after = optimize ? -1 : 0;
  for (const auto& [name, dims] : shapes) {
    std::vector<std::string>& sizes = options.input_shapes[name];
    for (int64_t d : dims) sizes.push_back(fmt::format("{}", d));
  }
  return ConvertInMemory({&path, 1}, options);
}

Result<std::pair<std::string, std::vector<std::string>>> ParseInputShape(const std::string& text) {
  size_t equals = text.rfind('=');
  std::string name = equals == std::string::npos ? "" : text.substr(0, equals);
  std::string sizes = equals == std::string::npos ? text : text.substr(equals + 1);
  std::erase_if(sizes, [](char c) { return c == '[' || c == ']' || c == ' '; });
  std::replace(sizes.begin(), sizes.end(), 'x', ',');
  std::pair<std::string, std::vector<std::string>> result(std::move(name), {});
  if (sizes.empty()) return result;  // a scalar
  result.second = Split(sizes, ',');
  for (const std::string& s : result.second)
    if (s.empty()) return Invalid(fmt::format("'{}' is not of the form name=1,3,224,224", text));
  return result;
}

Result<std::pair<std::string, std::vector<double>>> ParseInputValue(const std::string& text) {
  const size_t equals = text.rfind('=');
  std::pair<std::string, std::vector<double>> result;
  if (equals != std::string::npos) {
    result.first = text.substr(0, equals);
    for (const std::string& part : Split(std::string_view(text).substr(equals + 1), ',')) {
      const std::optional<double> number = Number<double>(part);
      if (!number) break;
      result.second.push_back(*number);
    }
  }
  const auto commas = std::count(text.begin(), text.end(), ',');
  if (result.first.empty() || static_cast<std::ptrdiff_t>(result.second.size()) != commas + 1)
    return Invalid(fmt::format("'{}' is not of the form name=16000 or name=1,0.5", text));
  return result;
}

Result<InputShapes> ParseInputShapes(const std::vector<std::string>& texts, const ModelInfo& info) {
  InputShapes shapes;
  for (const std::string& text : texts) {
    auto parsed = ParseInputShape(text);
    if (!parsed) return parsed.error();
    auto& [name, sizes] = *parsed;
    if (name.empty() && info.inputs.size() == 1) name = info.inputs[0].name;
    if (name.empty())
      return Invalid(fmt::format("'{}' says a shape without the name of its input", text));
    Dims& dims = shapes[name];
    dims.clear();
    for (const std::string& size : sizes) {
      std::optional<int64_t> n = Number<int64_t>(size);
      if (!n || *n < 0) return Invalid(fmt::format("'{}' in '{}' is not a size", size, text));
      dims.push_back(*n);
    }
  }
  return shapes;
}

void AddInputShapes(CLI::App& command, std::vector<std::string>& texts) {
  command
      .add_option("--input-shape", texts,
                  "Shape of an input: name=1,3,224,224 (the name may be left out if there is "
                  "one input). May be given several times")
      ->type_name("NAME=SIZES")
      ->allow_extra_args(false)
      ->take_all();
}

void AddSessionFlags(CLI::App& command, SessionFlags& flags, bool with_threads) {
  command
      .add_option("--backend", flags.backend,
                  "Backend: cpu, reference or null (default: the best of the machine)")
      ->type_name("NAME");
  if (with_threads)
    command.add_option("--threads", flags.threads, "Threads (default: all CPUs of the process)")
        ->type_name("N")
        ->check(CLI::Range(1, 4096));
  command
      .add_option(
          "--max-memory,--max-bytes", flags.max_memory,
          "Keep to that much memory, by smaller kernels if need be, or refuse; for example 64M")
      ->type_name("BYTES");
  command.add_flag("--no-chains", flags.no_chains,
                   "Give every node a kernel of its own: none that computes several at once");
  command
      .add_option("--max-error", flags.max_error,
                  "Largest error of a layer to be expected of a kernel, relative to the layer's "
                  "largest output (default: 1e-5)")
      ->type_name("ERROR");
  command
      .add_option("--pack-cache", flags.pack_cache,
                  "Keep packed weights there for the next load, which then shares them with other "
                  "processes: a folder for the files of any models (existing, or a name with / at "
                  "the end), or a file for this one")
      ->type_name("PATH");
  command.add_flag("--check-packs", flags.check_packs,
                   "Read all of the pack cache and compare it with its hashes");
}

Result<SessionOptions> ToSessionOptions(const SessionFlags& flags) {
  SessionOptions options{.threads = flags.threads,
                         .backend = flags.backend,
                         .chains = !flags.no_chains,
                         .max_error = flags.max_error,
                         .pack_cache = flags.pack_cache,
                         .check_packs = flags.check_packs};
  if (!flags.max_memory.empty()) {
    Result<size_t> bytes = ParseBytes(flags.max_memory);
    if (!bytes) return bytes.error();
    options.max_bytes = *bytes;
  }
  return options;
}

Result<size_t> ParseBytes(const std::string& text) {
  std::string_view digits = text;
  int shift = 0;
  if (!digits.empty()) {
    switch (digits.back()) {
      case 'K':
      case 'k': shift = 10; break;
      case 'M':
      case 'm': shift = 20; break;
      case 'G':
      case 'g': shift = 30; break;
      default: break;
    }
    if (shift > 0) digits.remove_suffix(1);
  }
  std::optional<size_t> n = Number<size_t>(digits);
  if (!n || *n == 0 || *n > (size_t{1} << 50 >> shift))
    return Invalid(fmt::format("'{}' is not a number of bytes (4096, 64K, 100M, 2G)", text));
  return *n << shift;
}

Result<std::vector<int>> ParseCounts(const std::string& text, std::string_view of) {
  std::vector<int> counts;
  for (const std::string& part : Split(text, ',')) {
    std::optional<int> n = Number<int>(part);
    if (!n || *n < 1 || *n > 4096)
      return Invalid(fmt::format("'{}' is not a list of numbers of {} such as 1,2", text, of));
    counts.push_back(*n);
  }
  return counts;
}

InputShapes ShapesOf(const ModelInfo& info, const std::vector<Array>& inputs) {
  InputShapes shapes;
  for (size_t i = 0; i < inputs.size(); ++i) shapes[info.inputs[i].name] = inputs[i].dims;
  return shapes;
}

Status CheckInput(const Array& array, const ValueInfo& input, const std::string& source) {
  if (array.dtype != input.dtype)
    return Invalid(fmt::format(
        "input '{}' is {}, '{}' holds {}{}; convert it first (in NumPy: x.astype('{}'))",
        input.name, input.type, source, Name(array.dtype), ToString(array.dims),
        Name(input.dtype)));
  if (input.ranked && array.dims.size() != input.dims.size())
    return Invalid(fmt::format("input '{}' is {}, '{}' holds {}{}: another number of axes",
                               input.name, input.type, source, Name(array.dtype),
                               ToString(array.dims)));
  return {};
}

Result<std::vector<Array>> ReadInputFolder(const std::string& folder, const ModelInfo& info) {
  std::vector<Array> inputs;
  std::error_code ignored;
  for (size_t i = 0; i < info.inputs.size(); ++i) {
    const ValueInfo& input = info.inputs[i];
    std::string file = InputFile(folder, input, i);
    if (!fs::exists(file, ignored))
      return Status(Code::kNotFound,
                    fmt::format("no file for input {} '{}' ({}): neither input_{}.npy nor the "
                                "input's name with .npy is in '{}'",
                                i, input.name, input.type, i, folder));
    Result<Array> array = ReadNpy(file);
    if (!array) return array.error();
    if (Status s = CheckInput(*array, input, file); !s.ok()) return s;
    inputs.push_back(std::move(array).value());
  }
  fs::path extra = fs::path(folder) / fmt::format("input_{}.npy", info.inputs.size());
  if (fs::exists(extra, ignored))
    return Invalid(fmt::format("'{}' is one too many: the model has {} input{}", extra.string(),
                               info.inputs.size(), info.inputs.size() == 1 ? "" : "s"));
  return inputs;
}

Status WriteOutputs(const Session& session, const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return Status(Code::kIo, fmt::format("cannot make '{}': {}", folder, error.message()));
  auto list = nlohmann::ordered_json::array();
  for (int i = 0; i < session.num_outputs(); ++i) {
    std::string file = fmt::format("output_{}.npy", i);
    TensorView view{session.output_type(i), session.output_dims(i), session.output_data(i)};
    if (Status s = WriteNpy((fs::path(folder) / file).string(), view); !s.ok()) return s;
    nlohmann::ordered_json entry;
    entry["name"] = session.output_name(i);
    entry["file"] = file;
    entry["shape"] = view.dims;
    entry["type"] = Name(view.dtype);
    list.push_back(std::move(entry));
  }
  std::string path = (fs::path(folder) / "outputs.json").string();
  std::ofstream out(path);
  out << list.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  out.close();
  if (!out) return Status(Code::kIo, fmt::format("cannot write '{}'", path));
  return {};
}

Status BindInputs(Session& session, const std::vector<Array>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i)
    if (Status s = session.BindInput(static_cast<int>(i), inputs[i].data.get()); !s.ok()) return s;
  return {};
}

}  // namespace sula::cli
