// Run allocates nothing, and a session no more than its plan says: every way to get heap memory is
// counted in this program.
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "plan_harness.h"
#include "runtime/session.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SULA_COUNTS_ALLOCATIONS 0  // the sanitizer has its own allocator
#else
#define SULA_COUNTS_ALLOCATIONS 1
#endif

namespace {
std::atomic<bool> counting{false};
std::atomic<int64_t> allocations{0};
std::atomic<int64_t> live_bytes{0}, peak_bytes{0};  // since counting began

// Before each change: address space that is mapped and given back at once is no memory.
void NotePeak() {
  const int64_t live = live_bytes;
  int64_t peak = peak_bytes;
  while (live > peak && !peak_bytes.compare_exchange_weak(peak, live)) {
  }
}
[[maybe_unused]] void Add(int64_t bytes) {
  if (!counting.load(std::memory_order_relaxed)) return;
  NotePeak();
  live_bytes += bytes;
  if (bytes > 0) allocations.fetch_add(1);
}
[[maybe_unused]] void* Count(void* p) {
  return Add(static_cast<int64_t>(malloc_usable_size(p))), p;
}
[[maybe_unused]] void* Uncount(void* p) {
  return Add(-static_cast<int64_t>(malloc_usable_size(p))), p;
}
}  // namespace

#if SULA_COUNTS_ALLOCATIONS
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void __libc_free(void*);

void* malloc(size_t n) { return Count(__libc_malloc(n)); }
void* calloc(size_t n, size_t m) { return Count(__libc_calloc(n, m)); }
void* realloc(void* p, size_t n) { return Count(__libc_realloc(Uncount(p), n)); }
void* memalign(size_t a, size_t n) { return Count(__libc_memalign(a, n)); }
void* aligned_alloc(size_t a, size_t n) { return Count(__libc_memalign(a, n)); }
void free(void* p) { __libc_free(Uncount(p)); }
// Those of this program; the heap's own go past them.
void* mmap(void* at, size_t n, int protection, int flags, int file, off_t offset) noexcept {
  void* const p =
      reinterpret_cast<void*>(syscall(SYS_mmap, at, n, protection, flags, file, offset));
  if (p != MAP_FAILED) Add(static_cast<int64_t>(n));
  return p;
}
int munmap(void* p, size_t n) noexcept {
  if (counting.load(std::memory_order_relaxed)) live_bytes -= static_cast<int64_t>(n);
  return static_cast<int>(syscall(SYS_munmap, p, n));
}
int posix_memalign(void** p, size_t a, size_t n) {
  *p = Count(__libc_memalign(a, n));
  return *p ? 0 : ENOMEM;
}
}
#endif

namespace sula {
namespace {

// Allocations of one run of a session that has run before.
int64_t AllocationsOfRun(Session& session) {
  EXPECT_TRUE(session.Run().ok());
  allocations = 0;
  counting = true;
  const Status status = session.Run();
  counting = false;
  EXPECT_TRUE(status.ok()) << status.ToString();
  return allocations;
}

std::unique_ptr<Session> MakeSession(std::string_view text, const SessionOptions& options) {
  auto model = Model::FromGraph(ParseOrFail(text));
  EXPECT_TRUE(model);
  auto session = Session::Create(*model, options);
  EXPECT_TRUE(session) << session.error().ToString();
  return *std::move(session);
}

constexpr std::string_view kNet = R"(graph "g" {
  input %x: float32[2,16,20,20]
  const %w: float32[16,16,3,3] = random(1)
  const %v: float32[16,1,3,3] = random(2)
  const %u: float32[32,9] = random(3)
  %a = Conv(%x, %w) {pads=[1, 1, 1, 1]}
  %b = Conv(%a, %v) {pads=[1, 1, 1, 1], group=16}
  %r = Relu(%b)
  %c = Concat(%a, %r) {axis=1}
  %s = Add(%c, %c)
  %m = MaxPool(%s) {kernel=[2, 2]}
  %g = GlobalAveragePool(%m)
  %f = Flatten(%g)
  %q = MatMul(%f, %u)
  %y = Softmax(%q)
  output %y, %m
})";

TEST(Allocations, CounterCounts) {
  if (!SULA_COUNTS_ALLOCATIONS) GTEST_SKIP() << "built with a sanitizer";
  const auto session = MakeSession(kNet, {.backend = "reference"});
  EXPECT_GT(AllocationsOfRun(*session), 0) << "Evaluate allocates, so this must be seen";
}

TEST(Allocations, PlannedRunHasNone) {
  if (!SULA_COUNTS_ALLOCATIONS) GTEST_SKIP() << "built with a sanitizer";
  for (const char* backend : {"null", "cpu"}) {
    for (int threads : {1, 2}) {
      for (bool profile : {false, true}) {
        const auto session = MakeSession(kNet, {.threads = threads, .backend = backend});
        for (const NodeReport& node : session->Report().nodes)
          EXPECT_NE(node.backend, "reference") << node.name;
        session->SetProfiling(profile);
        EXPECT_EQ(AllocationsOfRun(*session), 0) << backend << ", " << threads << " threads";
      }
    }
  }
}

// Some 60 MB of activations, 70 MB of weights and 17 MB of input and output.
constexpr std::string_view kLargeNet = R"(graph "g" {
  input %x: float32[1,8,512,512]
  const %w: float32[28,8,1,1] = random(1)
  const %d: float32[28,1,3,3] = random(2)
  const %u: float32[8,28,1,1] = random(3)
  const %f: float32[8,4096] = random(4)
  const %h: float32[4096,4096] = random(5)
  %a = Conv(%x, %w)
  %b = Conv(%a, %d) {pads=[1, 1, 1, 1], group=28}
  %r = Relu(%b)
  %y = Conv(%r, %u)
  %g = GlobalAveragePool(%y)
  %e = Flatten(%g)
  %p = MatMul(%e, %f)
  %z = MatMul(%p, %h)
  output %y, %z
})";

size_t PromisedBytes(const Session& session) {
  const PlanReport report = session.Report();
  return report.total_bytes - report.borrowed_bytes - report.mapped_bytes - report.shared_bytes;
}

TEST(HighWaterMark, OfTheHeapIsWhatThePlanSays) {
  if (!SULA_COUNTS_ALLOCATIONS) GTEST_SKIP() << "built with a sanitizer";
  auto model = Model::FromGraph(ParseOrFail(kLargeNet));
  ASSERT_TRUE(model);
  for (int threads : {1, 2}) {
    // What a process measures and sets up once, the pool's threads too, is done before.
    MakeSession(kNet, {.threads = threads, .backend = "cpu"});
    live_bytes = peak_bytes = 0;
    counting = true;
    auto session = Session::Create(*model, {.threads = threads, .backend = "cpu"});
    const Status status = session ? (*session)->Run() : session.error();
    counting = false;
    NotePeak();
    ASSERT_TRUE(status.ok()) << status.ToString();
    const double promised = static_cast<double>(PromisedBytes(**session));
    EXPECT_GT(promised, 100e6);
    EXPECT_NEAR(static_cast<double>(peak_bytes), promised, 0.01 * promised);
  }
}

// A line of /proc/self/status in bytes.
int64_t ProcessBytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (int64_t kilobytes = 0; word == name + ":" && status >> kilobytes) return kilobytes * 1024;
  return -1;
}

struct Measured {
  int64_t promised = 0, resident = 0;  // resident: how far the process's peak grew
};

// In a child process, so that nothing else grows and no freed memory is used again.
Measured MeasureInChild(const std::shared_ptr<const Model>& model) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    Measured measured;
    malloc_trim(0);
    const int64_t before = ProcessBytes("RssAnon");
    std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins at what is resident now
    auto session = Session::Create(model, {.threads = 1, .backend = "cpu"});
    // The session's own input is in no place until somebody writes it.
    if (session)
      std::memset((*session)->input_data(0), 0,
                  static_cast<size_t>(NumElements((*session)->input_dims(0))) * sizeof(float));
    if (session && (*session)->Run().ok()) {
      measured.promised = static_cast<int64_t>(PromisedBytes(**session));
      // The child reads the program's code anew; that is no memory of the session.
      measured.resident = ProcessBytes("VmHWM") - ProcessBytes("RssFile") - before;
    }
    _exit(write(ends[1], &measured, sizeof(measured)) == sizeof(measured) ? 0 : 1);
  }
  Measured measured;
  EXPECT_EQ(read(ends[0], &measured, sizeof(measured)), static_cast<ssize_t>(sizeof(measured)));
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  close(ends[0]);
  close(ends[1]);
  return measured;
}

TEST(HighWaterMark, OfTheProcessIsWhatThePlanSays) {
  if (!SULA_COUNTS_ALLOCATIONS) GTEST_SKIP() << "built with a sanitizer";
  auto model = Model::FromGraph(ParseOrFail(kLargeNet));
  ASSERT_TRUE(model);
  // What a process measures and sets up once is done before.
  MakeSession(kNet, {.threads = 1, .backend = "cpu"});
  const Measured measured = MeasureInChild(*model);
  EXPECT_GT(measured.promised, 100'000'000);
  EXPECT_NEAR(static_cast<double>(measured.resident), static_cast<double>(measured.promised),
              0.01 * static_cast<double>(measured.promised));
}

}  // namespace
}  // namespace sula
