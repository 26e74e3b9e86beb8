#include <fmt/format.h>

#include <cmath>
#include <ctime>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "timing.h"

namespace sula::cli {
namespace {

constexpr size_t kMaxRuns = 400;

double Seconds(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Times in milliseconds, rounded to nanoseconds.
std::vector<double> Milliseconds(const std::vector<double>& seconds) {
  std::vector<double> ms;
  for (double s : seconds) ms.push_back(std::round(s * 1e9) / 1e6);
  return ms;
}

void Say(const nlohmann::ordered_json& line) {
  fmt::print("{}\n", line.dump());
  std::fflush(stdout);
}

}  // namespace

Result<Timing> TimeRuns(Session& session, double seconds) {
  Timing timing;
  timing.wall.reserve(kMaxRuns);
  timing.cpu.reserve(kMaxRuns);
  if (Status s = session.Run(); !s.ok()) return s;
  double end = Seconds(CLOCK_MONOTONIC) + seconds;
  while (timing.wall.size() < 2 ||
         (timing.wall.size() < kMaxRuns && Seconds(CLOCK_MONOTONIC) < end)) {
    double cpu = Seconds(CLOCK_PROCESS_CPUTIME_ID), wall = Seconds(CLOCK_MONOTONIC);
    if (Status s = session.Run(); !s.ok()) return s;
    timing.wall.push_back(Seconds(CLOCK_MONOTONIC) - wall);
    timing.cpu.push_back(Seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
  }
  return timing;
}

Result<std::vector<Array>> MakeInputs(const ModelInfo& info, const InputShapes& shapes) {
  std::vector<Array> inputs;
  std::mt19937 random(1);
  for (const ValueInfo& input : info.inputs) {
    auto given = shapes.find(input.name);
    const Dims& dims = given == shapes.end() ? input.dims : given->second;
    bool known = given != shapes.end() || input.ranked;
    double elements = 1;
    for (int64_t d : dims) {
      known &= d >= 0;
      elements *= static_cast<double>(d);
    }
    if (!known)
      return Status(Code::kInvalidArgument,
                    fmt::format("input '{}' is {}: give its sizes with --input-shape {}=...",
                                input.name, input.type, input.name));
    Array array;
    if (elements < 1e12) array = Array::Make(input.dtype, dims);
    if (!array.data)
      return Status(Code::kResourceExhausted,
                    fmt::format("no memory for input '{}' {}", input.name, ToString(dims)));
    int64_t n = NumElements(dims);
    std::normal_distribution<double> normal;
    for (int64_t i = 0; i < n; ++i) {
      switch (input.dtype) {
        case DType::kFloat32: array.as<float>()[i] = static_cast<float>(normal(random)); break;
        case DType::kFloat64: array.as<double>()[i] = normal(random); break;
        case DType::kInt64: array.as<int64_t>()[i] = static_cast<int64_t>(random() % 2); break;
        case DType::kInt32: array.as<int32_t>()[i] = static_cast<int32_t>(random() % 2); break;
        case DType::kInt16: array.as<int16_t>()[i] = static_cast<int16_t>(random() % 2); break;
        case DType::kFloat16: array.as<uint16_t>()[i] = random() % 2 ? 0x3c00 : 0; break;
        case DType::kBFloat16: array.as<uint16_t>()[i] = random() % 2 ? 0x3f80 : 0; break;
        default: array.as<uint8_t>()[i] = static_cast<uint8_t>(random() % 2); break;
      }
    }
    inputs.push_back(std::move(array));
  }
  return inputs;
}

double PeakMegabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    double kib = 0;
    if (key == "VmHWM:" && status >> kib) return std::round(kib / 1024 * 10) / 10;
    status.ignore(1 << 20, '\n');
  }
  return 0;
}

Status AnswerTurns(Session& session, double load_seconds, double first_seconds) {
  nlohmann::ordered_json ready;
  ready["load_ms"] = load_seconds * 1e3;
  ready["first_ms"] = first_seconds * 1e3;
  ready["peak_mb"] = PeakMegabytes();
  Say(ready);
  for (std::string line; std::getline(std::cin, line);) {
    char* end = nullptr;
    double seconds = std::strtod(line.c_str(), &end);
    if (end == line.c_str() || !(seconds >= 0 && seconds < 1e6))
      return Status(Code::kInvalidArgument,
                    fmt::format("'{}' is not a number of seconds", line.substr(0, 40)));
    Result<Timing> timing = TimeRuns(session, seconds);
    if (!timing) return timing.error();
    nlohmann::ordered_json turn;
    turn["wall"] = Milliseconds(timing->wall);
    turn["cpu"] = Milliseconds(timing->cpu);
    turn["peak_mb"] = PeakMegabytes();
    Say(turn);
  }
  return {};
}

}  // namespace sula::cli
