// The subcommands. Each Add function declares a command's options and, when it is the one that the
// user called, leaves its exit code in `exit_code`.
#pragma once

#include <CLI/CLI.hpp>

namespace sula::cli {

void AddConvert(CLI::App& app, int& exit_code);
void AddRun(CLI::App& app, int& exit_code);
void AddBench(CLI::App& app, int& exit_code);
void AddInfo(CLI::App& app, int& exit_code);
void AddExplain(CLI::App& app, int& exit_code);
void AddCompare(CLI::App& app, int& exit_code);
void AddOps(CLI::App& app, int& exit_code);
void AddMachine(CLI::App& app, int& exit_code);

}  // namespace sula::cli
