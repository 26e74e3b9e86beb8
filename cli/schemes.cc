#include "schemes.h"

#include <fmt/format.h>

#include <fstream>

namespace sula::cli {

void AddSchemeFlags(CLI::App& c, SchemeFlags& flags) {
  c.add_option("--tune", flags.tune,
               "Time the kernels of nodes that have a choice, for at most so many seconds, and "
               "choose by what was measured")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 86400.0));
  c.add_option("--save-schemes", flags.save,
               "Write the kernels and layouts that were chosen to a scheme lock, a text file for "
               "--schemes")
      ->type_name("FILE");
  auto* schemes =
      c.add_option("--schemes", flags.schemes,
                   "Take the kernels and layouts of this scheme lock instead of searching; refused "
                   "unless it was made for this model, these input shapes, this number of threads "
                   "and this kind of processor")
          ->type_name("FILE");
  c.add_flag("--adapt-schemes", flags.adapt,
             "With --schemes: use what of the lock fits, and search the rest")
      ->needs(schemes);
}

Status SetSchemes(const SchemeFlags& flags, SessionOptions& options) {
  options.tune_seconds = flags.tune;
  options.adapt_schemes = flags.adapt;
  if (flags.schemes.empty()) return {};
  std::ifstream in(flags.schemes, std::ios::binary);
  if (!in)
    return Status(Code::kNotFound, fmt::format("cannot read the schemes '{}'", flags.schemes));
  options.schemes.assign(std::istreambuf_iterator<char>(in), {});
  if (options.schemes.empty())
    return Status(Code::kInvalidArgument,
                  fmt::format("'{}' is empty, no scheme lock", flags.schemes));
  return {};
}

void ShowTuning(const TuneProgress& at, double budget, Progress& progress) {
  progress.Update(fmt::format("tuning: {} of {} kinds of nodes, {:.1f} of {:.0f} s, {} '{}'",
                              at.measured, at.distinct_nodes, at.seconds, budget, at.op, at.node));
}

Status SaveSchemes(const SchemeFlags& flags, const Session& session) {
  if (flags.save.empty()) return {};
  Result<std::string> text = session.Schemes();
  if (!text) return text.error();
  std::ofstream out(flags.save, std::ios::binary);
  out << *text;
  out.close();
  if (!out) return Status(Code::kIo, fmt::format("cannot write '{}'", flags.save));
  return {};
}

std::string TuneText(const TuneReport& report) {
  if (report.budget_seconds <= 0) return "";
  if (report.distinct_nodes == 0) return "nothing to tune: no node has a choice";
  std::string text = fmt::format(
      "tuned {} of {} kinds of nodes that have a choice ({} of their predicted time), {} kernels "
      "in {} runs, {}",
      report.measured_nodes, report.distinct_nodes,
      FormatPercent(report.covered_seconds, report.predicted_seconds), report.candidates,
      report.runs, FormatSeconds(report.seconds));
  const std::string tuned = FormatSeconds(report.tuned_run_seconds),
                    untuned = FormatSeconds(report.untuned_run_seconds);
  switch (report.outcome) {
    case TuneOutcome::kNone: break;
    case TuneOutcome::kSame: return text + "; it changed no choice";
    case TuneOutcome::kTuned:
      return text + fmt::format("; the tuned plan is kept: {} a run, untuned {}", tuned, untuned);
    case TuneOutcome::kUntuned:
      return text + fmt::format("; the untuned plan is kept: {} a run, tuned {}", untuned, tuned);
    case TuneOutcome::kUncompared:
      return text +
             "; the untuned plan is kept, as the tuned one could not be held against it: "
             "allow more seconds";
  }
  return text;
}

std::string OriginText(const ProfileInUse& profile) {
  if (profile.note == "read")
    return fmt::format("read from {}{}", profile.file,
                       profile.named ? ", which SULA_MACHINE names" : "");
  const std::string kept = profile.file.empty()
                               ? (profile.named ? "not kept, as SULA_MACHINE tells" : "not kept")
                               : fmt::format("kept in {}{}", profile.file,
                                             profile.named ? ", which SULA_MACHINE names" : "");
  if (profile.note == "measured") return "measured now; " + kept;
  return fmt::format("{}; {}", profile.note, kept);
}

}  // namespace sula::cli
