// sula machine
#include "sula/machine.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "report_json.h"
#include "schemes.h"
#include "terminal.h"

namespace sula::cli {
namespace {

struct Options {
  int threads = 0;
  bool renew = false, json = false;
};

Status Run(const Options& o) {
  const ProfileInUse profile = o.renew ? RenewMachineProfile(o.threads) : MachineProfile(o.threads);
  if (o.json) {
    nlohmann::ordered_json j = ToJson(profile);
    j["profile"] = profile.text;
    fmt::print("{}\n", Text(j));
    return {};
  }
  fmt::print("{}", profile.text);
  fmt::print(stderr, "sula: note: {}\n", OriginText(profile));
  return {};
}

}  // namespace

void AddMachine(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& c = *app.add_subcommand(
      "machine", "Show what kernels are chosen by: speeds of this machine, measured once");
  c.add_option("--threads", options->threads, "Threads to show besides one (0: all CPUs)")
      ->check(CLI::Range(0, 256));
  c.add_flag("--renew", options->renew, "Measure anew");
  c.add_flag("--json", options->json, "Print JSON");
  c.final_callback([options, &exit_code] { exit_code = Report(Run(*options)); });
}

}  // namespace sula::cli
