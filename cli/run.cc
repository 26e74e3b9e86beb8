// sula run
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "classes.h"
#include "commands.h"
#include "model_options.h"
#include "picture.h"
#include "schemes.h"

namespace sula::cli {
namespace {

struct Options {
  std::string model, output;
  std::vector<std::string> files, inputs, image;
  ClassFlags classes;
  SessionFlags session;
  SchemeFlags schemes;
  bool json = false;
};

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

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

// The files by input, in the order of the model's inputs.
Result<std::vector<std::vector<std::string>>> FilesByInput(const std::vector<std::string>& files,
                                                           const ModelInfo& info) {
  std::vector<std::vector<std::string>> by_input(info.inputs.size());
  for (const std::string& text : files) {
    std::string file = text;
    const ValueInfo* input = NamedInput(text, info, file);
    if (!input && info.inputs.size() == 1) input = &info.inputs[0];
    if (!input)
      return Invalid(
          fmt::format("'{}': the model has {} inputs; give a folder or NAME=FILE for each", text,
                      info.inputs.size()));
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored))
      return Status(Code::kNotFound, fmt::format("no such file: '{}'", file));
    by_input[static_cast<size_t>(input - info.inputs.data())].push_back(file);
  }
  return by_input;
}

// What the runs take. A model with one input takes pictures one after another, or as many at a time
// as it declares; otherwise all files are for one run.
Result<std::vector<std::vector<std::string>>> Runs(const std::vector<std::string>& files,
                                                   const ModelInfo& info) {
  std::vector<std::vector<std::string>> runs;
  const bool pictures = info.inputs.size() == 1 && !files.empty() &&
                        std::all_of(files.begin(), files.end(), LooksLikeImageFile);
  if (!pictures) return std::vector<std::vector<std::string>>{files};
  const size_t group = static_cast<size_t>(PicturesAtATime(info.inputs[0]));
  if (files.size() % group != 0)
    return Invalid(fmt::format("input '{}' ({}) takes {} pictures at a time; {} were given",
                               info.inputs[0].name, info.inputs[0].type, group, files.size()));
  for (size_t i = 0; i < files.size(); i += group)
    runs.emplace_back(files.begin() + static_cast<std::ptrdiff_t>(i),
                      files.begin() + static_cast<std::ptrdiff_t>(i + group));
  return runs;
}

// All inputs of the model: from a folder, from one file, or from NAME=FILE arguments.
Result<std::vector<Array>> ReadInputs(const std::vector<std::string>& files, const Options& o,
                                      const ModelInfo& info, std::string& note) {
  std::error_code ignored;
  if (files.size() == 1 && std::filesystem::is_directory(files[0], ignored))
    return ReadInputFolder(files[0], info);
  Result<std::vector<std::vector<std::string>>> by_input = FilesByInput(files, info);
  if (!by_input) return by_input.error();
  std::vector<Array> arrays;
  for (size_t i = 0; i < info.inputs.size(); ++i) {
    const ValueInfo& input = info.inputs[i];
    const std::vector<std::string>& own = (*by_input)[i];
    if (own.empty())
      return Invalid(
          fmt::format("nothing given for input '{}' ({}): use --input", input.name, input.type));
    if (std::all_of(own.begin(), own.end(), LooksLikeImageFile)) {
      Result<ImageInput> settings = PictureSettings(ImageTexts(o.image), info, input, note);
      if (!settings) return settings.error();
      Result<Array> array = PictureInput(own, *settings, input);
      if (!array) return array.error();
      arrays.push_back(std::move(array).value());
      continue;
    }
    if (own.size() > 1)
      return Invalid(
          fmt::format("input '{}' ({}) takes one file, unless all are pictures; {} were "
                      "given",
                      input.name, input.type, own.size()));
    Result<Array> array = ReadNpy(own[0]);
    if (!array) return array.error();
    if (Status s = CheckInput(*array, input, own[0]); !s.ok()) return s;
    arrays.push_back(std::move(array).value());
  }
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

// What a run gave.
struct Outcome {
  std::vector<std::string> files;
  double prepare = 0, run = 0;  // seconds
  std::vector<std::vector<Ranked>> rankings;
};

nlohmann::ordered_json ToJson(const Session& session, const Outcome& outcome,
                              const Classes& classes) {
  nlohmann::ordered_json j;
  j["files"] = outcome.files;
  j["prepare_ms"] = outcome.prepare * 1e3;
  j["run_ms"] = outcome.run * 1e3;
  j["outputs"] = nlohmann::ordered_json::array();
  for (int i = 0; i < session.num_outputs(); ++i)
    j["outputs"].push_back({{"name", session.output_name(i)},
                            {"shape", session.output_dims(i)},
                            {"type", Name(session.output_type(i))}});
  for (const std::vector<Ranked>& ranking : outcome.rankings)
    j["best"].push_back(classes.ToJson(ranking));
  return j;
}

void PrintOutcome(const Session& session, const Outcome& outcome, const Classes& classes,
                  bool with_files) {
  if (with_files && outcome.rankings.empty())
    for (const std::string& file : outcome.files) Heading(file);
  if (outcome.rankings.empty() || session.num_outputs() > 1) {
    Table table({{"output"}, {"name", Align::kLeft, 40}, {"type"}, {"values"}});
    for (int i = 0; i < session.num_outputs(); ++i)
      table.Row(
          {fmt::format("output_{}.npy", i), session.output_name(i),
           fmt::format("{}{}", Name(session.output_type(i)), ToString(session.output_dims(i))),
           Range(session, i)});
    table.Print();
  }
  for (size_t i = 0; i < outcome.rankings.size(); ++i) {
    if (outcome.rankings.size() == outcome.files.size()) Heading(outcome.files[i]);
    classes.Print(outcome.rankings[i]);
  }
  fmt::print("  ready in {}, run in {}\n", FormatSeconds(outcome.prepare),
             FormatSeconds(outcome.run));
}

void Note(const std::string& text, std::string& said) {
  if (!text.empty() && text != said) fmt::print(stderr, "sula: note: {}\n", text);
  if (!text.empty()) said = text;
}

// A model being run on one set of inputs after another.
class Runner {
 public:
  explicit Runner(const Options& o) : o_(o) {}

  Status Open() {
    Result<SessionOptions> options = ToSessionOptions(o_.session);
    if (!options) return options.error();
    options_ = *options;
    if (Status s = SetSchemes(o_.schemes, options_); !s.ok()) return s;
    options_.on_tune = [this](const TuneProgress& at) {
      ShowTuning(at, o_.schemes.tune, *progress_);
    };
    Progress progress(o_.json);
    auto model = OpenModel(o_.model, progress);
    if (!model) return model.error();
    model_ = *model;
    Result<ModelInfo> info = Inspect(*model_);
    if (!info) return info.error();
    info_ = std::move(info).value();
    Result<Classes> classes = Classes::Make(o_.classes, info_);
    if (!classes) return classes.error();
    classes_ = std::move(classes).value();
    return {};
  }

  // Reads the files, runs the model on them, and tells or writes what it gave; `folder` is where
  // outputs go, if anywhere.
  Status Run(const std::vector<std::string>& files, const std::string& folder, bool with_files) {
    Outcome outcome{.files = files};
    std::string note;
    {
      Progress progress(o_.json);
      Result<std::vector<Array>> inputs = ReadInputs(files, o_, info_, note);
      if (!inputs) return inputs.error();
      if (Status s = Prepare(*inputs, progress); !s.ok()) return s;
      outcome.prepare = Elapsed();
      progress.Update("running");
      if (Status s = session_->Run(); !s.ok()) return s.AddContext("running '" + o_.model + "'");
      outcome.run = Elapsed();
    }
    Note(note, said_[0]);
    if (!folder.empty())
      if (Status s = WriteOutputs(*session_, folder); !s.ok()) return s;
    std::string unranked;
    outcome.rankings = classes_.Rank(*session_, unranked);
    Note(unranked, said_[1]);
    if (o_.json) {
      json_.push_back(ToJson(*session_, outcome, classes_));
    } else {
      PrintOutcome(*session_, outcome, classes_, with_files);
    }
    Elapsed();
    return {};
  }

  const ModelInfo& info() const { return info_; }
  const std::vector<nlohmann::ordered_json>& json() const { return json_; }

 private:
  Status Prepare(const std::vector<Array>& inputs, Progress& progress) {
    InputShapes shapes = ShapesOf(info_, inputs);
    progress_ = &progress;
    if (!session_) {
      auto model = FitModel(model_, info_, o_.model, shapes, progress);
      if (!model) return model.error();
      progress.Update("preparing");
      auto created = Session::Create(*model, options_, shapes);
      if (!created) return Status(created.error()).AddContext("preparing '" + o_.model + "'");
      session_ = std::move(created).value();
      if (Status s = SaveSchemes(o_.schemes, *session_); !s.ok()) return s;
    } else if (Status s = session_->Resize(shapes); !s.ok()) {
      return s.AddContext("preparing '" + o_.model + "'");
    }
    return BindInputs(*session_, inputs);
  }

  // Seconds since the last call.
  double Elapsed() {
    auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(start_, now)).count();
  }

  const Options& o_;
  SessionOptions options_;
  Progress* progress_ = nullptr;  // of the run that prepares
  std::shared_ptr<const Model> model_;
  ModelInfo info_;
  Classes classes_;
  std::unique_ptr<Session> session_;
  std::string said_[2];
  std::vector<nlohmann::ordered_json> json_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Status Run(const Options& o) {
  std::vector<std::string> files = o.files;
  files.insert(files.end(), o.inputs.begin(), o.inputs.end());
  Runner runner(o);
  if (Status s = runner.Open(); !s.ok()) return s;
  Result<std::vector<std::vector<std::string>>> runs = Runs(files, runner.info());
  if (!runs) return runs.error();
  const bool several = runs->size() > 1;
  for (size_t i = 0; i < runs->size(); ++i) {
    const std::string folder =
        o.output.empty() || !several ? o.output : fmt::format("{}/{}", o.output, i);
    if (Status s = runner.Run((*runs)[i], folder, several); !s.ok()) return s;
  }
  if (o.json) {
    const nlohmann::ordered_json j =
        several ? nlohmann::ordered_json(runner.json()) : runner.json()[0];
    fmt::print("{}\n", j.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  return {};
}

}  // namespace

void AddRun(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  Options& o = *options;
  CLI::App& c = *app.add_subcommand("run", "Run a model on given inputs");
  c.add_option("MODEL", o.model, "A .sula file or a source model")->required();
  c.add_option("FILE", o.files,
               "Inputs, as with --input. Of several pictures for a model with one input each one "
               "is run after the other");
  c.add_option("--input", o.inputs,
               "A folder with input_0.npy, input_1.npy, ... in the order of the model's inputs "
               "(or NAME.npy by the input's name); or, for a model with one input, an .npy file "
               "or a picture (PNG, JPEG, BMP); or NAME=FILE, once for each input")
      ->type_name("DIR|FILE")
      ->allow_extra_args(false)
      ->take_all();
  c.add_option("--output", o.output,
               "Folder for output_0.npy, ... in the order of the model's outputs, and outputs.json "
               "(of several runs, each in a folder of its own there: 0, 1, ...)")
      ->type_name("DIR");
  AddSessionFlags(c, o.session);
  AddSchemeFlags(c, o.schemes);
  c.add_flag("--json", o.json, "Print the outcome as JSON");
  AddClassFlags(c, o.classes);
  AddImageOption(c, o.image,
                 "How a picture becomes an input; fields left out are as the model says");
  c.final_callback([options, &exit_code] { exit_code = Report(Run(*options)); });
}

}  // namespace sula::cli
