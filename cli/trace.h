// Traces of runs in the Trace Event Format that Perfetto (ui.perfetto.dev) and chrome://tracing
// open.
#pragma once

#include <string>

#include "profile.h"

namespace sula::cli {

// Writes the runs that the profile kept: one slice per run and within it one per command, with what
// is known of it as arguments, and a counter of the planned memory that is in use.
Status WriteTrace(const std::string& path, const Profile& profile, const std::string& model);

}  // namespace sula::cli
