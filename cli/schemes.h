// Options about how kernels are chosen: by measuring, or as a scheme lock tells.
#pragma once

#include <string>

#include "model_options.h"
#include "sula/machine.h"

namespace sula::cli {

// --tune, --schemes, --adapt-schemes and --save-schemes.
struct SchemeFlags {
  double tune = 0;
  std::string schemes, save;
  bool adapt = false;
};
void AddSchemeFlags(CLI::App& command, SchemeFlags& flags);

// Puts them into a session's options; reads the lock.
Status SetSchemes(const SchemeFlags& flags, SessionOptions& options);

// Shows how far tuning is.
void ShowTuning(const TuneProgress& at, double budget, Progress& progress);

// Writes the session's schemes to the file asked for, if any.
Status SaveSchemes(const SchemeFlags& flags, const Session& session);

// "tuned 31 of 40 kinds of nodes (97.0 % of the predicted time) in 12.3 s; the tuned plan is kept:
// ..."; empty without tuning.
std::string TuneText(const TuneReport& report);

// "read from FILE, which SULA_MACHINE names", "measured now; kept in FILE"
std::string OriginText(const ProfileInUse& profile);

}  // namespace sula::cli
