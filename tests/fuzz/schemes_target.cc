// Scheme locks: what parses prints to a text that parses to the same, and a session takes it or
// says what does not fit.
#include <cstdio>
#include <cstdlib>

#include "fuzz/target.h"
#include "ir/text.h"
#include "ops/catalogue.h"
#include "runtime/prepare/scheme_lock.h"
#include "runtime/session.h"

namespace sula::fuzz {
namespace {

std::shared_ptr<const Model> SmallModel() {
  Result<Graph> graph = ParseGraph(R"(graph "net" {
    input %x: float32[1,4,6,6]
    const %w: float32[4,4,3,3] = random(1)
    %a = Conv(%x, %w) {pads=[1, 1, 1, 1]} "first conv"
    %b = Sigmoid(%a) "act"
    %c = MaxPool(%b) {kernel=[2, 2], strides=[2, 2]} "pool"
    output %c
  })",
                                   AllOps());
  if (!graph) std::abort();
  return *Model::FromGraph(*std::move(graph));
}

const Model& TheModel() {
  static const std::shared_ptr<const Model> model = SmallModel();
  return *model;
}

SessionOptions Options() { return {.threads = 1}; }

}  // namespace

std::vector<std::string> Seeds() {
  const std::shared_ptr<const Model> model(&TheModel(), [](const Model*) {});
  auto session = Session::Create(model, Options());
  if (!session) std::abort();
  return {
      *(*session)->Schemes(),
      "sula-schemes 1\nlibrary 9\nmodel 0\ncpu \"a \\\"b\\\"\" avx2\nthreads 3\ninput y scalar\n"
      "node \"q\\x01\" Foo bar/baz -,row->last,- 1.5 2e3 # note\n"};
}

bool TakeInput(std::string_view bytes) {
  Result<SchemeLock> lock = ParseSchemeLock(bytes);
  if (!lock) return Refused(lock.error());
  const std::string text = Print(*lock);
  Result<SchemeLock> again = ParseSchemeLock(text);
  if (!again || Print(*again) != text) {
    std::fprintf(stderr, "does not survive printing:\n%s\n%s\n", text.c_str(),
                 again ? "" : again.error().ToString().c_str());
    std::abort();
  }
  const std::shared_ptr<const Model> model(&TheModel(), [](const Model*) {});
  SessionOptions options = Options();
  options.schemes = bytes;
  if (auto session = Session::Create(model, options); !session) (void)Refused(session.error());
  options.adapt_schemes = true;
  if (auto session = Session::Create(model, options); !session) return Refused(session.error());
  return true;
}

}  // namespace sula::fuzz
