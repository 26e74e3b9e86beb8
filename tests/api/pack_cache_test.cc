// Packed weights in a file: loads of a model that find them there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "format/model_file.h"
#include "ir/text.h"
#include "ops/catalogue.h"
#include "runtime/pack_file.h"
#include "runtime/session.h"
#include "sula/session.h"

namespace sula {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// 9 MB of weights: convolutions by Winograd or GEMM, depthwise, transposed, products.
constexpr std::string_view kNet = R"(graph "net" {
  input %x: float32[N,3,16,16]
  const %c: float32[64,3,3,3] = random(1)
  const %w: float32[256,64,3,3] = random(2)
  const %b: float32[256] = random(3)
  const %d: float32[256,1,3,3] = random(4)
  const %p: float32[512,256,1,1] = random(5)
  const %t: float32[512,64,2,2] = random(6)
  const %g: float32[64,4,3,3] = random(7)
  const %u: float32[64,1000] = random(8)
  const %v: float32[1000,1500] = random(9)
  %0 = Conv(%x, %c) {pads=[1, 1, 1, 1]}
  %1 = Conv(%0, %w, %b) {pads=[1, 1, 1, 1]}
  %2 = Conv(%1, %d) {pads=[1, 1, 1, 1], group=256}
  %3 = Conv(%2, %p)
  %4 = ConvTranspose(%3, %t) {strides=[2, 2]}
  %5 = Conv(%4, %g) {group=16}
  %6 = GlobalAveragePool(%5)
  %7 = Flatten(%6)
  %8 = MatMul(%7, %u)
  %9 = MatMul(%8, %v)
  output %9
})";

class PackCacheTest : public testing::Test {
 protected:
  PackCacheTest() {
    std::string pattern = (fs::temp_directory_path() / "sula-pack-cache-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    model_ = (folder_ / "net.sula").string();
    cache_ = (folder_ / "net.packs").string();
    Write(kNet);
  }
  ~PackCacheTest() override { fs::remove_all(folder_); }

  void Write(std::string_view text) const {
    Result<Graph> graph = ParseGraph(text, AllOps());
    ASSERT_TRUE(graph) << graph.error().ToString();
    ASSERT_TRUE(WriteModelFile(*graph, model_).ok());
  }
  // A session of the model, loaded anew.
  Result<std::unique_ptr<Session>> TryOpen(SessionOptions options = {}, int64_t batch = 1) const {
    auto model = LoadModel(model_);
    if (!model) return model.error();
    if (options.pack_cache.empty()) options.pack_cache = cache_;
    if (options.threads == 0) options.threads = 1;
    return Session::Create(*model, options, {{"x", {batch, 3, 16, 16}}});
  }
  std::unique_ptr<Session> Open(SessionOptions options = {}, int64_t batch = 1) const {
    auto session = TryOpen(std::move(options), batch);
    EXPECT_TRUE(session) << session.error().ToString();
    return session ? *std::move(session) : nullptr;
  }
  std::unique_ptr<Session> OpenWithout(int threads = 1, int64_t batch = 1) const {
    return *Session::Create(*LoadModel(model_), {.threads = threads}, {{"x", {batch, 3, 16, 16}}});
  }

  fs::path folder_;
  std::string model_, cache_;
};

std::vector<float> Outputs(Session& session) {
  auto* x = static_cast<float*>(session.input_data(0));
  const int64_t count = NumElements(session.input_dims(0));
  for (int64_t i = 0; i < count; ++i) x[i] = static_cast<float>(i % 37) / 16 - 1;
  EXPECT_TRUE(session.Run().ok());
  auto* y = static_cast<const float*>(session.output_data(0));
  return {y, y + NumElements(session.output_dims(0))};
}

TEST_F(PackCacheTest, GivesTheSameBits) {
  for (int threads : {1, 2}) {
    for (int64_t batch : {1, 3}) {
      const std::vector<float> want = Outputs(*OpenWithout(threads, batch));
      EXPECT_EQ(Outputs(*Open({.threads = threads}, batch)), want) << "first load";
      const auto session = Open({.threads = threads}, batch);
      EXPECT_EQ(Outputs(*session), want) << "second load, " << threads << " threads, " << batch;
      const PlanReport report = session->Report();
      EXPECT_THAT(report.pack_cache, HasSubstr("read from"));
      // What is left is rows of zeros.
      EXPECT_GT(report.mapped_bytes, 9'000'000u);
      EXPECT_LT(report.constant_bytes - report.mapped_bytes, 20'000u);
    }
  }
}

TEST_F(PackCacheTest, ServesSeveralShapesAndThreads) {
  EXPECT_THAT(Open()->Report().pack_cache, HasSubstr("written to"));
  const auto size = fs::file_size(cache_);
  auto session = Open({.threads = 2}, 2);
  EXPECT_GT(session->Report().mapped_bytes, 6'000'000u) << "products have the same packs";
  EXPECT_LT(fs::file_size(cache_), 2 * size);
  session = nullptr;
  EXPECT_THAT(Open()->Report().pack_cache, HasSubstr("read from")) << "the first ones are there";
}

TEST_F(PackCacheTest, IsSharedByTheSessionsOfAModel) {
  Open();
  auto model = *LoadModel(model_);
  const InputShapes shapes{{"x", {1, 3, 16, 16}}};
  auto first = *Session::Create(model, {.threads = 1, .pack_cache = cache_}, shapes);
  auto second = *Session::Create(model, {.threads = 1}, shapes);
  EXPECT_EQ(second->Report().mapped_bytes, first->Report().mapped_bytes)
      << "a session finds what another one of the model has mapped";
}

TEST_F(PackCacheTest, WhatDoesNotFitIsRefusedByNameAndReplacedInAFolder) {
  const fs::path packs = folder_ / "packs";
  fs::create_directory(packs);
  Open({.pack_cache = packs.string()});
  const fs::path file = fs::directory_iterator(packs)->path();
  Open();
  for (const fs::path& path : {fs::path(cache_), file}) {
    std::fstream f(path, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(80);
    f.put('!');
  }
  const auto refused = TryOpen();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().ToString(), HasSubstr("damaged"));
  EXPECT_THAT(refused.error().ToString(), HasSubstr(cache_));
  EXPECT_THAT(Open({.pack_cache = packs.string()})->Report().pack_cache, HasSubstr("written to"));
  EXPECT_THAT(Open({.pack_cache = packs.string()})->Report().pack_cache, HasSubstr("read from"));
}

TEST_F(PackCacheTest, OfAnotherModelIsRefused) {
  Open();
  std::string other(kNet);
  other.replace(other.find("random(9)"), 9, "random(8)");
  Write(other);
  const auto refused = TryOpen();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().ToString(), HasSubstr("made for another model"));
}

TEST_F(PackCacheTest, DamagedPacksAreFoundOnRequest) {
  Open();
  {
    std::fstream f(cache_, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(static_cast<std::streamoff>(fs::file_size(cache_) / 2));
    f.put('\x55');
    f.put('\xaa');
  }
  const auto refused = TryOpen({.check_packs = true});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().ToString(), HasSubstr("a pack does not match its hash"));
}

std::vector<std::string> Kernels(const Session& session) {
  std::vector<std::string> kernels;
  for (const NodeReport& node : session.Report().nodes)
    kernels.push_back(StrCat(node.name, " ", node.kernel, " ", node.detail));
  return kernels;
}

TEST_F(PackCacheTest, KeepsTheChoiceOfKernels) {
  const std::vector<std::string> chosen = Kernels(*Open());
  const auto second = Open();
  EXPECT_EQ(Kernels(*second), chosen);
  EXPECT_EQ(second->Report().locked_nodes, 0) << "nobody has asked for a scheme";
  EXPECT_FALSE(second->Report().nodes[1].candidates.empty());
}

TEST_F(PackCacheTest, AChoiceThatDoesNotFitIsMadeAnew) {
  const std::vector<float> want = Outputs(*Open());
  const PackIdentity id = PackIdentity::Of((*LoadModel(model_))->source().hash);
  for (const char* other : {"no scheme lock", "sula-schemes 1\nmodel 1\ncpu a b\nthreads 1\n"}) {
    auto packs = PackFile::All(*PackFile::Open(cache_, id, true));
    int choices = 0;
    for (auto& [key, pack] : packs) {
      if (!key.starts_with("choice ")) continue;
      ++choices;
      pack = Pack::Fresh(std::strlen(other),
                         [&](std::byte* to) { std::memcpy(to, other, std::strlen(other)); });
    }
    EXPECT_EQ(choices, 1);
    ASSERT_TRUE(WritePackFile(cache_, id, packs).ok());
    const auto session = Open();
    EXPECT_THAT(session->Report().pack_cache, HasSubstr("written to"));
    EXPECT_EQ(Outputs(*session), want);
  }
}

TEST_F(PackCacheTest, NeedsAModelFile) {
  auto model = Model::FromGraph(*ParseGraph(kNet, AllOps()));
  ASSERT_TRUE(model);
  const auto session = Session::Create(*model, {.pack_cache = cache_}, {{"x", {1, 3, 16, 16}}});
  ASSERT_FALSE(session);
  EXPECT_THAT(session.error().ToString(), HasSubstr("convert it first"));
}

// The sum of a field of /proc/self/smaps over the mappings of a file, in bytes.
size_t MappedBytes(const std::string& path, const std::string& field) {
  std::ifstream maps("/proc/self/smaps");
  size_t sum = 0;
  bool ours = false;
  for (std::string line; std::getline(maps, line);) {
    const size_t colon = line.find(':');
    const size_t space = line.find(' ');
    if (space < colon) ours = line.ends_with(path);  // a new mapping: "from-to rights ... path"
    if (ours && line.substr(0, colon) == field) sum += std::stoul(line.substr(colon + 1)) * 1024;
  }
  return sum;
}

TEST_F(PackCacheTest, OriginalsLeaveMemory) {
  const auto packed = OpenWithout();
  Outputs(*packed);
  EXPECT_LT(MappedBytes(model_, "Rss"), 1'000'000u) << "after they were packed";
  Open();
  const auto session = Open();
  Outputs(*session);
  EXPECT_LT(MappedBytes(model_, "Rss"), 1'000'000u) << "never read";
  EXPECT_GT(MappedBytes(cache_, "Rss"), 9'000'000u);
}

TEST_F(PackCacheTest, ProcessesShareItsMemory) {
  Open();
  int ready[2], done[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(done), 0);
  const pid_t child = fork();
  char byte = 0;
  if (child == 0) {
    const auto session = Open();
    Outputs(*session);
    const bool said = write(ready[1], &byte, 1) == 1;
    _exit(said && read(done[0], &byte, 1) == 1 ? 0 : 1);
  }
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const auto session = Open();
  Outputs(*session);
  const size_t resident = MappedBytes(cache_, "Rss"), share = MappedBytes(cache_, "Pss");
  EXPECT_GT(resident, 9'000'000u);
  EXPECT_LT(share, resident * 6 / 10) << "each has half of it";
  ASSERT_EQ(write(done[1], &byte, 1), 1);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  for (int fd : {ready[0], ready[1], done[0], done[1]}) close(fd);
}

}  // namespace
}  // namespace sula
