// sula compare
#include <fmt/format.h>

#include <filesystem>

#include "commands.h"
#include "compare.h"
#include "pages.h"
#include "report_json.h"

namespace sula::cli {
namespace {

struct Options {
  std::string a, b, input, expect, save, html, optimizer;
  std::string backend_a, backend_b;
  int threads_a = 0, threads_b = 0;
  std::vector<std::string> input_shapes;
  double tolerance = 1e-3;
  bool all = false, json = false;

  bool two_models() const { return !b.empty(); }
  bool folder() const { return !expect.empty() || !save.empty(); }
};

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

// Whether source models are optimized. As they were imported they have the most values to compare,
// and one model against itself is what the optimizer and the kernels made of it.
bool Optimize(const Options& o, bool first) {
  if (!o.optimizer.empty()) return o.optimizer == "on";
  return o.folder() || (!o.two_models() && !first);
}

SessionOptions SessionOf(const Options& o, bool first) {
  SessionOptions options{.threads = first ? o.threads_a : o.threads_b,
                         .backend = first ? o.backend_a : o.backend_b};
  if (first && !o.two_models() && !o.folder() && options.backend.empty())
    options.backend = "reference";
  return options;
}

std::string TitleOf(const std::string& path, bool optimize, const SessionOptions& session) {
  std::string title = path;
  if (DetectFormat(path) != "sula") title += optimize ? ", optimized" : ", as imported";
  if (!session.backend.empty()) title += ", on " + session.backend;
  if (session.threads > 0)
    title += fmt::format(", {} thread{}", session.threads, session.threads == 1 ? "" : "s");
  return title;
}

Result<Side> OpenFirst(const Options& o, Progress& progress) {
  const bool optimize = Optimize(o, true);
  std::string input = o.input;
  std::error_code ignored;
  if (input.empty() && !o.expect.empty() &&
      std::filesystem::exists(std::filesystem::path(o.expect) / "input_0.npy", ignored))
    input = o.expect;
  auto w = OpenWorkload(o.a, {.input = input, .input_shapes = o.input_shapes, .optimize = optimize},
                        progress);
  if (!w) return w.error();
  const SessionOptions session = SessionOf(o, true);
  return Side{TitleOf(o.a, optimize, session), std::move(w).value(), session};
}

Result<Side> OpenSecond(const Options& o, const Side& a, Progress& progress) {
  const bool optimize = Optimize(o, false);
  const std::string& path = o.two_models() ? o.b : o.a;
  auto w = OpenWorkloadLike(a.workload, path, optimize, progress);
  if (!w) return w.error();
  const SessionOptions session = SessionOf(o, false);
  return Side{TitleOf(path, optimize, session), std::move(w).value(), session};
}

Status Save(const Options& o, Progress& progress) {
  Result<Side> side = OpenFirst(o, progress);
  if (!side) return side.error();
  progress.Update("running");
  auto session = RunWith(*side, ValueNames(side->workload));
  if (!session) return session.error();
  if (Status s = WriteOutputs(**session, o.save); !s.ok()) return s;
  for (size_t i = 0; i < side->workload.inputs.size(); ++i) {
    const auto file = std::filesystem::path(o.save) / fmt::format("input_{}.npy", i);
    if (Status s = WriteNpy(file.string(), side->workload.inputs[i].view()); !s.ok()) return s;
  }
  return {};
}

Result<Comparison> CompareNow(const Options& o, Progress& progress) {
  Result<Side> a = OpenFirst(o, progress);
  if (!a) return a.error();
  if (!o.expect.empty()) {
    progress.Update("running");
    return CompareWithFolder(*a, o.expect, o.tolerance);
  }
  Result<Side> b = OpenSecond(o, *a, progress);
  if (!b) return b.error();
  progress.Update("running both");
  return CompareSides(*a, *b, o.tolerance);
}

Status Check(const Options& o) {
  if (o.folder() && (o.two_models() || !o.backend_b.empty() || o.threads_b > 0))
    return Invalid("--expect and --save are for one model on one side");
  if (!o.expect.empty() && !o.save.empty()) return Invalid("give --expect or --save, not both");
  return {};
}

// The exit code: an error as usual, 1 where the outputs differ.
int Run(const Options& o) {
  if (Status s = Check(o); !s.ok()) return Report(s);
  Result<Comparison> c = Status(Code::kInternal, "");
  {
    Progress progress(o.json);
    if (!o.save.empty()) return Report(Save(o, progress));
    c = CompareNow(o, progress);
  }
  if (!c) return Report(c.error());
  if (!o.html.empty())
    if (Status s = WritePage(o.html, "compare.html", ToJson(*c)); !s.ok()) return Report(s);
  if (o.json) {
    fmt::print("{}\n", Text(ToJson(*c)));
  } else {
    Print(*c, o.all);
  }
  return c->OutputsAgree() ? kExitOk : kExitError;
}

}  // namespace

void AddCompare(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  Options& o = *options;
  CLI::App& c = *app.add_subcommand(
      "compare", "Compare two models, or one on two backends, value by value on the same inputs");
  c.add_option("A", o.a, "A .sula file or a source model")->required();
  c.add_option("B", o.b,
               "What to compare it with (default: A as it was imported, on the reference backend, "
               "against A as run would run it)");
  c.add_option("--input", o.input, "Folder with inputs, as for run (default: random ones)")
      ->type_name("DIR");
  AddInputShapes(c, o.input_shapes);
  c.add_option("--tolerance", o.tolerance,
               "Largest difference of two elements, as a share of the value's largest element")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  c.add_option("--expect", o.expect,
               "Compare A with the tensors of this folder: those that outputs.json lists by name, "
               "or output_0.npy, ...; input_0.npy, ... there are the inputs")
      ->type_name("DIR");
  c.add_option("--save", o.save,
               "Write every value of A and its inputs to this folder, for --expect with another "
               "build")
      ->type_name("DIR");
  c.add_option("--optimizer", o.optimizer,
               "on or off for source models (default: off; with one model on for B, with --expect "
               "and --save on)")
      ->check(CLI::IsMember({"on", "off"}))
      ->type_name("WHICH");
  c.add_option("--backend-a", o.backend_a, "Backend of A")->type_name("NAME");
  c.add_option("--backend-b", o.backend_b, "Backend of B")->type_name("NAME");
  for (const auto& [name, threads] :
       {std::pair{"--threads-a", &o.threads_a}, std::pair{"--threads-b", &o.threads_b}})
    c.add_option(name, *threads, "Threads (default: all CPUs of the process)")
        ->type_name("N")
        ->check(CLI::Range(1, 4096));
  c.add_option("--html", o.html, "Also write a page with all values")->type_name("FILE");
  c.add_flag("--all", o.all, "Show every value");
  c.add_flag("--json", o.json, "Print everything as JSON");
  c.footer("Exit code: 0 if the outputs agree, 1 if they differ.");
  c.final_callback([options, &exit_code] { exit_code = Run(*options); });
}

}  // namespace sula::cli
