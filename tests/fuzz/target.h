// What a fuzz target is: one translation unit that defines Seeds and TakeInput. It is linked once
// with libFuzzer (the preset `fuzz`, which needs clang) and once, for the normal tests, with
// replay.cc, which feeds it mutants of its seeds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace sula::fuzz {

// Small valid inputs; mutations of nothing would rarely come past the first check.
std::vector<std::string> Seeds();

// Hands the bytes to the reader under test. True if it took them, false if it refused them with an
// error. Anything else - a crash, a hang, an allocation out of proportion, an error that blames
// sula itself - ends the process.
bool TakeInput(std::string_view bytes);

// ---- for targets

// Ends the process with the error's text if it is kInternal: no input may reach a bug of ours.
// Returns false, so that a target can say `return Refused(error);`.
bool Refused(const Status& error);

// A file in memory that readers can open by its path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  int descriptor_;
  std::string path_;
};

// What comes behind a reader: verifies the graph and, if with free sizes set to 2 all its tensors
// are small and its work is bounded, evaluates it, optimizes it and evaluates the result.
void Exercise(Graph graph);

}  // namespace sula::fuzz
