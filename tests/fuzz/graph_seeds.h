// The graphs of tests/passes as texts: most operators in most forms.
#pragma once

#include <string>
#include <vector>

namespace sula::fuzz {

std::vector<std::string> GraphSeeds();

}  // namespace sula::fuzz
