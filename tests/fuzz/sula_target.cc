// The .sula file. The content hash is left unchecked, as a plain load does: every later check has
// to stand by itself.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "format/model_file.h"
#include "fuzz/graph_seeds.h"
#include "fuzz/target.h"
#include "ir/text.h"
#include "ops/catalogue.h"

namespace sula::fuzz {

std::vector<std::string> Seeds() {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / StrCat("sula_fuzz_seed_", getpid(), ".sula");
  std::vector<std::string> seeds;
  for (const std::string& text : GraphSeeds()) {
    Result<Graph> graph = ParseGraph(text, AllOps());
    if (!graph || !WriteModelFile(*graph, path).ok()) continue;
    std::ifstream in(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  std::filesystem::remove(path);
  return seeds;
}

bool TakeInput(std::string_view bytes) {
  const MemoryFile memory(bytes);
  Result<std::shared_ptr<const MappedFile>> file = MappedFile::Open(memory.path());
  if (!file) return Refused(file.error());
  Result<Graph> graph = ReadModelFile(*file, AllOps());
  if (!graph) return Refused(graph.error());
  Exercise(*std::move(graph));
  return true;
}

}  // namespace sula::fuzz
