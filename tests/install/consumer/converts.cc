// converts IN OUT: converts a model, and says what came of it.
#include <cstdio>
#include <string>

#include "sula/convert.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string in = argv[1];
  auto summary = sula::Convert({&in, 1}, argv[2]);
  if (!summary) return std::printf("%s\n", summary.error().ToString().c_str()), 1;
  std::printf("%s, %lld nodes\n", summary->source_format.c_str(),
              static_cast<long long>(summary->nodes_after));
}
