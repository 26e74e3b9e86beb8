// What kind of processor this is, for what was found out on one of them and holds for others alike.
#pragma once

#include <string>

namespace sula {

// "AuthenticAMD-25-1": vendor, family and model, the extended parts added; the name that the
// operating system has for it where the processor does not tell.
std::string CpuKind();

}  // namespace sula
