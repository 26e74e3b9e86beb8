#include "fuzz/graph_seeds.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "optimizer/case_file.h"

namespace sula::fuzz {

std::vector<std::string> GraphSeeds() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(SULA_PASSES_DIR))
    if (entry.path().extension() == ".ir") files.push_back(entry.path());
  std::ranges::sort(files);
  std::vector<std::string> texts;
  for (const auto& file : files) {
    Result<std::vector<test::Case>> cases = test::ReadCases(file.string());
    if (!cases) {
      std::fprintf(stderr, "%s\n", cases.error().ToString().c_str());
      std::abort();
    }
    for (const test::Case& c : *cases) texts.push_back(c.before);
  }
  return texts;
}

}  // namespace sula::fuzz
