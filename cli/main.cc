// sula: the command line.
#include <cstdio>
#include <exception>
#include <new>

#include "commands.h"
#include "sula/model.h"
#include "terminal.h"

namespace {

constexpr const char* kFooter = R"(
Examples:
  sula convert net.onnx -o net.sula
  sula convert net.prototxt net.caffemodel -o net.sula
  sula convert net.onnx -o net.sula --image imagenet --labels labels.txt
  sula run net.sula photo.jpg
  sula bench net.sula --threads 1,2 --profile
  sula explain net.sula --input-shape image=1,3,640,480
  sula explain net.sula --html net.html
  sula compare net.onnx net.sula

MODEL is a .sula file or a source model (.onnx; .prototxt with the .caffemodel of the same name
beside it), which is then converted in memory.
Exit codes: 0 done, 1 error, 2 wrong usage, 3 refused because something is not supported.)";

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("sula runs trained neural networks.", "sula");
  app.set_version_flag("--version", std::string(sula::Version()));
  app.set_help_all_flag("--help-all", "Show the help of all commands");
  app.require_subcommand(1);
  app.footer(kFooter);
  int exit_code = sula::cli::kExitOk;
  sula::cli::AddConvert(app, exit_code);
  sula::cli::AddRun(app, exit_code);
  sula::cli::AddBench(app, exit_code);
  sula::cli::AddInfo(app, exit_code);
  sula::cli::AddExplain(app, exit_code);
  sula::cli::AddCompare(app, exit_code);
  sula::cli::AddOps(app, exit_code);
  sula::cli::AddMachine(app, exit_code);
  // CLI11 reports wrong usage by exceptions, the standard library and fmt a lack of memory or an
  // output that cannot be written; all end here.
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? sula::cli::kExitOk : sula::cli::kExitUsage;
  } catch (const std::bad_alloc&) {
    return sula::cli::Report(sula::Status(sula::Code::kResourceExhausted, "out of memory"));
  } catch (const std::exception& e) {
    return sula::cli::Report(sula::Status(sula::Code::kIo, e.what()));
  }
  if (std::fflush(stdout) != 0)
    return sula::cli::Report(sula::Status(sula::Code::kIo, "cannot write to standard output"));
  return exit_code;
}
