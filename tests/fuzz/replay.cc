// Feeds a target its seeds and mutants of them, or the files named: replay [MUTANTS | FILE...]. The
// mutants are the same on every machine. Memory and the time of one input are limited; a limit
// that is passed ends the process with a word on which mutant it was, and the mutant in a file.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>

#include "fuzz/target.h"

namespace sula::fuzz {
namespace {

constexpr rlim_t kMaxAddressSpace = rlim_t{1} << 30;
constexpr unsigned kMaxSeconds = 20;  // of one input; sanitizers and busy machines included

std::string g_input;  // what is being taken, for the handler
void SaveAndDie(int signal) {
  const char message[] = "this input ended the process: ./failed-input\n";
  (void)!write(STDERR_FILENO, message, sizeof(message) - 1);
  std::ofstream("failed-input", std::ios::binary) << g_input;
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

std::string Mutate(const std::string& seed, const std::string& other, std::mt19937& random) {
  auto below = [&](size_t n) { return n == 0 ? 0 : random() % n; };
  std::string s = seed;
  switch (below(7)) {
    case 0:  // flip some bits
      for (size_t i = 0, n = 1 + below(8); i < n && !s.empty(); ++i)
        s[below(s.size())] ^= static_cast<char>(1 << below(8));
      break;
    case 1:  // overwrite bytes, extreme ones preferred
      for (size_t i = 0, n = 1 + below(4); i < n && !s.empty(); ++i)
        s[below(s.size())] = std::string("\xff\x7f\x80\x00\x01", 5)[below(5)];
      break;
    case 2:  // cut short
      s.resize(below(s.size()));
      break;
    case 3:  // remove a piece
      s.erase(below(s.size()), below(16) + 1);
      break;
    case 4: {  // repeat a piece elsewhere
      const std::string piece = s.substr(below(s.size()), below(64) + 1);
      s.insert(below(s.size()), piece);
      break;
    }
    case 5: {  // replace a number in text
      static const char* const kNumbers[] = {"-1", "0", "4294967296", "9223372036854775807",
                                             "1e30"};
      const size_t at = s.find_first_of("0123456789", below(s.size()));
      if (at != std::string::npos) s.replace(at, 1, kNumbers[below(5)]);
      break;
    }
    default:  // the head of one with the tail of another
      s = s.substr(0, below(s.size())) + other.substr(below(other.size()));
  }
  return s;
}

bool Take(std::string bytes) {
  g_input = std::move(bytes);
  alarm(kMaxSeconds);
  const bool taken = TakeInput(g_input);
  alarm(0);
  return taken;
}

int Replay(int argc, char** argv) {
  for (int signal : {SIGALRM, SIGSEGV, SIGABRT, SIGFPE, SIGBUS}) std::signal(signal, SaveAndDie);
#if !defined(__SANITIZE_ADDRESS__)  // which reserves more than any limit
  const rlimit limit{kMaxAddressSpace, kMaxAddressSpace};
  setrlimit(RLIMIT_AS, &limit);
#endif
  char* end = nullptr;
  const long mutants = argc == 2 ? std::strtol(argv[1], &end, 10) : 2000;
  if (argc > 1 && (argc > 2 || *end != '\0')) {
    for (int i = 1; i < argc; ++i) {
      std::ifstream in(argv[i], std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(in)), {});
      std::printf("%s: %s\n", argv[i], Take(bytes) ? "taken" : "refused");
    }
    return 0;
  }
  const std::vector<std::string> seeds = Seeds();
  for (size_t i = 0; i < seeds.size(); ++i)
    if (!Take(seeds[i])) return std::fprintf(stderr, "seed %zu is refused\n", i), 1;
  std::mt19937 random(20240607);
  long taken = 0;
  double slowest = 0;
  for (long i = 0; i < mutants; ++i) {
    const std::string& seed = seeds[i % seeds.size()];
    std::string mutant = Mutate(seed, seeds[random() % seeds.size()], random);
    if (random() % 4 == 0) mutant = Mutate(mutant, seed, random);
    const auto start = std::chrono::steady_clock::now();
    taken += Take(std::move(mutant));
    slowest = std::max(
        slowest, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%ld mutants: %ld taken, %ld refused; the slowest took %.3f s; %ld MiB at most\n",
              mutants, taken, mutants - taken, slowest, usage.ru_maxrss / 1024);
  // Mutations that are all harmless, or all hopeless, would test little.
  if (mutants >= 1000 && (taken < mutants / 50 || mutants - taken < mutants / 50)) {
    std::fprintf(stderr, "the mutations are too harmless or too hopeless\n");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace sula::fuzz

int main(int argc, char** argv) { return sula::fuzz::Replay(argc, argv); }
