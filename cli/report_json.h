// The report of a plan as JSON, for programs and for pages.
#pragma once

#include <nlohmann/json.hpp>

#include "profile.h"
#include "sula/machine.h"
#include "sula/model.h"

namespace sula::cli {

nlohmann::ordered_json ToJson(const PlanReport& report);
// The same with the times of profiled runs: "min_seconds", "median_seconds" at each node, and
// "runs".
nlohmann::ordered_json ToJson(const Profile& profile);
nlohmann::ordered_json ToJson(const std::vector<ValueInfo>& values);

// Where a machine profile comes from: "file", "note", "named".
nlohmann::ordered_json ToJson(const ProfileInUse& profile);

// As text; bytes that are not UTF-8 are replaced.
std::string Text(const nlohmann::ordered_json& json);

}  // namespace sula::cli
