// The data of `sula explain --html`.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "profile.h"
#include "sula/model.h"

namespace sula::cli {

struct Explained {
  std::string path;  // as the user gave it
  ModelInfo info;
  Profile profile;  // without runs: estimates alone
  MachineSpeed speed;
  std::optional<ProfileInUse> chosen_by;  // of the CPU backend
};

// The report with, under "machine", what the machine can do and, of each command, the bound that
// sets.
nlohmann::ordered_json PlanJson(const Explained& explained);

// What cli/html/explain.js reads: the report with the times, and under "model", "machine" and
// "summary" what it is the report of.
nlohmann::ordered_json ToJson(const Explained& explained);

}  // namespace sula::cli
