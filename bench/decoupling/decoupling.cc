// What it saves to plan once: for each model the time of a run that is planned anew (session made,
// kernels chosen, weights packed, memory planned) against that of a run of a session made before.
// The paper's comparison of pre-inference (Jiang et al., MLSys 2020, table 2).
//   decoupling [--threads N] [--seconds S] NET.sula...
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "sula/session.h"

namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Ones in whatever type the inputs have: what is timed doesn't depend on the values.
void FillInputs(sula::Session& session) {
  for (int i = 0; i < session.num_inputs(); ++i) {
    size_t elements = 1;
    for (int64_t size : session.input_dims(i)) elements *= static_cast<size_t>(size);
    if (session.input_type(i) == sula::DType::kFloat32) {
      std::fill_n(static_cast<float*>(session.input_data(i)), elements, 1.f);
    } else {
      std::memset(session.input_data(i), 0, elements * sula::SizeOf(session.input_type(i)));
    }
  }
}

struct Times {
  double planned_anew = 1e9, planned_once = 1e9;  // least seconds of a run
};

sula::Result<Times> Measure(const std::string& path, int threads, double seconds) {
  auto model = sula::LoadModel(path);
  if (!model) return model.error();
  const sula::SessionOptions options{.threads = threads};
  auto kept = sula::Session::Create(*model, options);
  if (!kept) return kept.error();
  FillInputs(**kept);
  Times times;
  // In turns, so that drift of the machine meets both; the least of each, since other work on the
  // machine only ever slows a run down.
  for (const Clock::time_point start = Clock::now(); Since(start) < seconds;) {
    const Clock::time_point anew = Clock::now();
    auto session = sula::Session::Create(*model, options);
    if (!session) return session.error();
    FillInputs(**session);
    if (sula::Status status = (*session)->Run(); !status.ok()) return status;
    times.planned_anew = std::min(times.planned_anew, Since(anew));
    session->reset();
    for (int run = 0; run < 3; ++run) {
      const Clock::time_point once = Clock::now();
      if (sula::Status status = (*kept)->Run(); !status.ok()) return status;
      times.planned_once = std::min(times.planned_once, Since(once));
    }
  }
  return times;
}

bool ParseNumber(const char* text, double& value) {
  const char* end = text + std::strlen(text);
  return std::from_chars(text, end, value).ptr == end && value > 0;
}

int Usage() {
  std::fprintf(stderr, "usage: decoupling [--threads N] [--seconds S] NET.sula...\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  double threads = 1, seconds = 2;
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    double* option = nullptr;
    if (std::strcmp(argv[i], "--threads") == 0) option = &threads;
    if (std::strcmp(argv[i], "--seconds") == 0) option = &seconds;
    if (!option) {
      paths.emplace_back(argv[i]);
    } else if (++i == argc || !ParseNumber(argv[i], *option)) {
      return Usage();
    }
  }
  if (paths.empty()) return Usage();
  std::printf(
      "| net | planned at each run, ms | planned once, ms | saved |\n|---|---:|---:|---:|\n");
  for (const std::string& path : paths) {
    auto times = Measure(path, static_cast<int>(threads), seconds);
    if (!times) {
      std::fprintf(stderr, "error: %s: %s\n", path.c_str(), times.error().ToString().c_str());
      return 1;
    }
    std::printf("| %s | %.3f | %.3f | %.1f %% |\n",
                std::filesystem::path(path).stem().string().c_str(), times->planned_anew * 1e3,
                times->planned_once * 1e3, 100 * (1 - times->planned_once / times->planned_anew));
    std::fflush(stdout);
  }
}
