// Run allocates nothing: every way to get heap memory is counted in this program.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

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

[[maybe_unused]] void Count() {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1);
}
}  // namespace

#if SULA_COUNTS_ALLOCATIONS
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t n) { return Count(), __libc_malloc(n); }
void* calloc(size_t n, size_t m) { return Count(), __libc_calloc(n, m); }
void* realloc(void* p, size_t n) { return Count(), __libc_realloc(p, n); }
void* memalign(size_t a, size_t n) { return Count(), __libc_memalign(a, n); }
void* aligned_alloc(size_t a, size_t n) { return Count(), __libc_memalign(a, n); }
int posix_memalign(void** p, size_t a, size_t n) {
  Count();
  *p = __libc_memalign(a, n);
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

}  // namespace
}  // namespace sula
