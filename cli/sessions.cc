#include "sessions.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <latch>
#include <thread>

#include "report_json.h"
#include "terminal.h"

namespace sula::cli {
namespace {

constexpr int kRounds = 5;
constexpr double kIdleSeconds = 0.5;

double Seconds(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void Sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// Sessions that run at the same time.
struct Team {
  SessionsRow row;
  std::vector<std::unique_ptr<Session>> sessions;
};

// Runs all sessions of the team, each in its thread, until the time is over.
Status RunRound(Team& team, double seconds) {
  const size_t n = team.sessions.size();
  std::latch ready(static_cast<std::ptrdiff_t>(n) + 1);
  std::atomic<bool> stop{false};
  std::vector<double> rates(n);
  std::vector<Status> outcomes(n);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < n; ++i)
    threads.emplace_back([&, i] {
      ready.arrive_and_wait();
      const double start = Seconds(CLOCK_MONOTONIC);
      int64_t runs = 0;
      do {
        outcomes[i] = team.sessions[i]->Run();
        ++runs;
      } while (outcomes[i].ok() && !stop);
      rates[i] = static_cast<double>(runs) / (Seconds(CLOCK_MONOTONIC) - start);
    });
  ready.arrive_and_wait();
  const double cpu = Seconds(CLOCK_PROCESS_CPUTIME_ID), wall = Seconds(CLOCK_MONOTONIC);
  Sleep(seconds);
  const double cpus = (Seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (Seconds(CLOCK_MONOTONIC) - wall);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  for (Status& outcome : outcomes)
    if (!outcome.ok()) return std::move(outcome);
  double rate = 0;
  for (double r : rates) rate += r;
  if (rate > team.row.runs_per_second) team.row = {team.row.sessions, team.row.threads, rate, cpus};
  return {};
}

}  // namespace

Result<SessionsResult> MeasureSessions(
    const std::vector<int>& sessions, const std::vector<int>& threads, double seconds,
    const std::function<Result<std::unique_ptr<Session>>(int threads)>& open) {
  std::vector<Team> teams;
  for (int t : threads)
    for (int s : sessions) {
      Team& team = teams.emplace_back();
      team.row = {.sessions = s, .threads = t};
      for (int i = 0; i < s; ++i) {
        auto session = open(t);
        if (!session) return session.error();
        if (Status status = (*session)->Run(); !status.ok()) return status;
        team.row.threads = (*session)->Report().threads;
        team.sessions.push_back(*std::move(session));
      }
    }
  for (int round = 0; round < kRounds; ++round)
    for (Team& team : teams)
      if (Status status = RunRound(team, seconds / kRounds); !status.ok()) return status;
  Sleep(0.1);  // whoever waits for work has gone to sleep by now
  const double cpu = Seconds(CLOCK_PROCESS_CPUTIME_ID), wall = Seconds(CLOCK_MONOTONIC);
  Sleep(kIdleSeconds);
  SessionsResult result;
  result.idle_cpus = (Seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (Seconds(CLOCK_MONOTONIC) - wall);
  for (Team& team : teams) result.rows.push_back(team.row);
  return result;
}

void PrintSessions(const SessionsResult& result) {
  Table table({{"sessions", Align::kRight},
               {"threads each", Align::kRight},
               {"runs a second", Align::kRight},
               {"against the first", Align::kRight},
               {"CPUs busy", Align::kRight}});
  for (const SessionsRow& r : result.rows)
    table.Row({fmt::format("{}", r.sessions), fmt::format("{}", r.threads),
               fmt::format("{:.2f}", r.runs_per_second),
               fmt::format("{:.2f} x", r.runs_per_second / result.rows[0].runs_per_second),
               fmt::format("{:.2f}", r.cpus)});
  table.Print();
  fmt::print("  between runs the sessions use {:.2f} % of a CPU\n", 100 * result.idle_cpus);
}

void PrintSessionsJson(const SessionsResult& result) {
  nlohmann::ordered_json j;
  j["idle_cpus"] = result.idle_cpus;
  j["rows"] = nlohmann::ordered_json::array();
  for (const SessionsRow& r : result.rows)
    j["rows"].push_back({{"sessions", r.sessions},
                         {"threads", r.threads},
                         {"runs_per_second", r.runs_per_second},
                         {"cpus", r.cpus}});
  fmt::print("{}\n", Text(j));
}

}  // namespace sula::cli
