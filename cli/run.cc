// sula run
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "model_options.h"
#include "picture.h"

namespace sula::cli {
namespace {

struct Options {
  std::string model, output, resize, layout, channels, scale;
  std::vector<std::string> inputs;
  std::vector<double> mean, std;
  SessionFlags session;
  bool json = false;
};

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

// "0.5", "1/255"
std::optional<double> ParseRatio(const std::string& text) {
  size_t slash = text.find('/');
  auto number = [](const std::string& s) -> std::optional<double> {
    char* end = nullptr;
    double v = std::strtod(s.c_str(), &end);
    if (s.empty() || *end != '\0' || !std::isfinite(v) || v == 0) return std::nullopt;
    return v;
  };
  if (slash == std::string::npos) return number(text);
  auto a = number(text.substr(0, slash)), b = number(text.substr(slash + 1));
  if (!a || !b) return std::nullopt;
  return *a / *b;
}

Result<PictureOptions> ToPictureOptions(const Options& o) {
  PictureOptions p{.mean = o.mean, .std = o.std, .layout = o.layout};
  if (o.resize == "none") {
    p.keep_size = true;
  } else if (!o.resize.empty()) {
    int width = 0, height = 0, used = 0;
    if (std::sscanf(o.resize.c_str(), "%5dx%5d%n", &width, &height, &used) != 2 ||
        used != static_cast<int>(o.resize.size()) || width < 1 || height < 1 || width > 32768 ||
        height > 32768)
      return Invalid(fmt::format("--resize '{}' is neither WIDTHxHEIGHT nor none", o.resize));
    p.size = {width, height};
  }
  if (!o.scale.empty()) {
    std::optional<double> scale = ParseRatio(o.scale);
    if (!scale) return Invalid(fmt::format("--scale '{}' is not a number such as 1/255", o.scale));
    p.scale = *scale;
  }
  if (std::count(o.std.begin(), o.std.end(), 0.0) > 0) return Invalid("--std must not be 0");
  if (o.channels == "rgb") p.channels = ChannelOrder::kRgb;
  if (o.channels == "bgr") p.channels = ChannelOrder::kBgr;
  if (o.channels == "gray") p.channels = ChannelOrder::kGray;
  return p;
}

Result<Array> ReadInput(const std::string& path, const ValueInfo& input, const Options& o) {
  if (LooksLikePicture(path)) {
    Result<PictureOptions> options = ToPictureOptions(o);
    if (!options) return options.error();
    return PictureInput(path, input, *options);
  }
  Result<Array> array = ReadNpy(path);
  if (!array) return array;
  if (Status s = CheckInput(*array, input, path); !s.ok()) return s;
  return array;
}

// NAME=FILE if NAME is an input of the model.
const ValueInfo* NamedInput(const std::string& text, const ModelInfo& info, std::string& file) {
  for (const ValueInfo& input : info.inputs)
    if (text.size() > input.name.size() && text.compare(0, input.name.size(), input.name) == 0 &&
        text[input.name.size()] == '=') {
      file = text.substr(input.name.size() + 1);
      return &input;
    }
  return nullptr;
}

// All inputs of the model: from a folder, from one file, or from NAME=FILE arguments.
Result<std::vector<Array>> ReadInputs(const Options& o, const ModelInfo& info) {
  std::error_code ignored;
  if (o.inputs.size() == 1 && std::filesystem::is_directory(o.inputs[0], ignored))
    return ReadInputFolder(o.inputs[0], info);
  std::vector<Array> arrays(info.inputs.size());
  for (const std::string& text : o.inputs) {
    std::string file = text;
    const ValueInfo* input = NamedInput(text, info, file);
    if (!input && info.inputs.size() == 1) input = &info.inputs[0];
    if (!input)
      return Invalid(
          fmt::format("--input '{}': the model has {} inputs; give a folder or NAME=FILE for each",
                      text, info.inputs.size()));
    if (!std::filesystem::exists(file, ignored))
      return Status(Code::kNotFound, fmt::format("no such file: '{}'", file));
    Result<Array> array = ReadInput(file, *input, o);
    if (!array) return array.error();
    arrays[static_cast<size_t>(input - info.inputs.data())] = std::move(array).value();
  }
  for (size_t i = 0; i < arrays.size(); ++i)
    if (!arrays[i].data)
      return Invalid(fmt::format("nothing given for input '{}' ({}): use --input",
                                 info.inputs[i].name, info.inputs[i].type));
  return arrays;
}

// Smallest, largest and mean of the finite elements of a float32 output; text for the table.
std::string Range(const Session& session, int i) {
  int64_t n = NumElements(session.output_dims(i));
  if (session.output_type(i) != DType::kFloat32 || n == 0) return "";
  const float* data = static_cast<const float*>(session.output_data(i));
  auto [low, high] = std::minmax_element(data, data + n);
  double sum = 0;
  for (int64_t k = 0; k < n; ++k) sum += data[k];
  return fmt::format("{:.5g} .. {:.5g}, mean {:.5g}", *low, *high, sum / static_cast<double>(n));
}

void PrintResult(const Session& session, const Options& o, double prepare, double run) {
  if (o.json) {
    nlohmann::ordered_json j;
    j["prepare_ms"] = prepare * 1e3;
    j["run_ms"] = run * 1e3;
    j["outputs"] = nlohmann::ordered_json::array();
    for (int i = 0; i < session.num_outputs(); ++i)
      j["outputs"].push_back({{"name", session.output_name(i)},
                              {"shape", session.output_dims(i)},
                              {"type", Name(session.output_type(i))}});
    fmt::print("{}\n", j.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  Table table({{"output"}, {"name", Align::kLeft, 40}, {"type"}, {"values"}});
  for (int i = 0; i < session.num_outputs(); ++i)
    table.Row({fmt::format("output_{}.npy", i), session.output_name(i),
               fmt::format("{}{}", Name(session.output_type(i)), ToString(session.output_dims(i))),
               Range(session, i)});
  table.Print();
  fmt::print("  ready in {}, first run {}\n", FormatSeconds(prepare), FormatSeconds(run));
}

Status Run(const Options& o) {
  auto start = std::chrono::steady_clock::now();
  auto elapsed = [&start] {
    auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(start, now)).count();
  };
  Result<SessionOptions> options = ToSessionOptions(o.session);
  if (!options) return options.error();
  std::unique_ptr<Session> session;
  std::vector<Array> arrays;
  double prepare = 0, run = 0;
  {
    Progress progress(o.json);
    auto model = OpenModel(o.model, progress);
    if (!model) return model.error();
    Result<ModelInfo> info = Inspect(**model);
    if (!info) return info.error();
    Result<std::vector<Array>> inputs = ReadInputs(o, *info);
    if (!inputs) return inputs.error();
    arrays = std::move(inputs).value();
    InputShapes shapes = ShapesOf(*info, arrays);
    model = FitModel(*model, *info, o.model, shapes, progress);
    if (!model) return model.error();
    progress.Update("preparing");
    auto created = Session::Create(*model, *options, shapes);
    if (!created) return Status(created.error()).AddContext("preparing '" + o.model + "'");
    session = std::move(created).value();
    if (Status s = BindInputs(*session, arrays); !s.ok()) return s;
    prepare = elapsed();
    progress.Update("running");
    if (Status s = session->Run(); !s.ok()) return s.AddContext("running '" + o.model + "'");
    run = elapsed();
  }
  if (!o.output.empty())
    if (Status s = WriteOutputs(*session, o.output); !s.ok()) return s;
  PrintResult(*session, o, prepare, run);
  return {};
}

}  // namespace

void AddRun(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  Options& o = *options;
  CLI::App& c = *app.add_subcommand("run", "Run a model on given inputs");
  c.add_option("MODEL", o.model, "A .sula file or a source model")->required();
  c.add_option("--input", o.inputs,
               "A folder with input_0.npy, input_1.npy, ... in the order of the model's inputs "
               "(or NAME.npy by the input's name); or, for a model with one input, an .npy file "
               "or a picture (PNG, JPEG, BMP); or NAME=FILE, once for each input")
      ->type_name("DIR|FILE")
      ->allow_extra_args(false)
      ->take_all();
  c.add_option("--output", o.output,
               "Folder for output_0.npy, ... in the order of the model's outputs, and outputs.json")
      ->type_name("DIR");
  AddSessionFlags(c, o.session);
  c.add_flag("--json", o.json, "Print the outcome as JSON");
  const char* group = "Pictures: input = (pixel * scale - mean) / std, pixels 0..255";
  c.add_option("--resize", o.resize, "Size of the input (default: the model's); none: as it is")
      ->type_name("WxH|none")
      ->group(group);
  c.add_option("--scale", o.scale, "Default: 1/255 for float inputs, 1 for integers")
      ->type_name("X")
      ->group(group);
  c.add_option("--mean", o.mean, "One number, or one per channel with commas between")
      ->delimiter(',')
      ->type_name("M,M,M")
      ->group(group);
  c.add_option("--std", o.std, "One number, or one per channel with commas between")
      ->delimiter(',')
      ->type_name("S,S,S")
      ->group(group);
  c.add_option("--layout", o.layout, "nchw or nhwc (default: from the input's shape)")
      ->check(CLI::IsMember({"nchw", "nhwc"}))
      ->type_name("ORDER")
      ->group(group);
  c.add_option("--channels", o.channels, "rgb, bgr or gray (default: from the input's shape)")
      ->check(CLI::IsMember({"rgb", "bgr", "gray"}))
      ->type_name("ORDER")
      ->group(group);
  c.final_callback([options, &exit_code] { exit_code = Report(Run(*options)); });
}

}  // namespace sula::cli
