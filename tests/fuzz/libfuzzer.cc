// The target as libFuzzer calls it. With SULA_FUZZ_SEEDS=FOLDER in the environment the seeds are
// written there first: a corpus to begin with.
#include <cstdint>
#include <cstdlib>
#include <fstream>

#include "fuzz/target.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (const char* folder = std::getenv("SULA_FUZZ_SEEDS")) {
    int i = 0;
    for (const std::string& seed : sula::fuzz::Seeds())
      std::ofstream(std::string(folder) + "/seed-" + std::to_string(i++), std::ios::binary) << seed;
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sula::fuzz::TakeInput({reinterpret_cast<const char*>(data), size});
  return 0;
}
