// NumPy's .npy files, as the command line reads them.
#include <initializer_list>

#include "fuzz/target.h"
#include "npy.h"

namespace sula::fuzz {
namespace {

// A file with this dictionary, version 1 (a length of two bytes) or 2 (of four).
std::string File(int version, const std::string& dictionary, size_t data_bytes) {
  std::string s = "\x93NUMPY";
  s += static_cast<char>(version);
  s += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    s += static_cast<char>(dictionary.size() >> 8 * i & 0xff);
  return s + dictionary + std::string(data_bytes, '\x3f');
}

}  // namespace

std::vector<std::string> Seeds() {
  return {File(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24),
          File(2, "{'descr': '>i8', 'fortran_order': True, 'shape': (2, 1, 2), }\n", 32),
          File(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (), }\n", 1),
          File(1, "{'descr': '<f2', 'fortran_order': True, 'shape': (5,), }\n", 10)};
}

bool TakeInput(std::string_view bytes) {
  Result<cli::Array> array = cli::ReadNpy(MemoryFile(bytes).path());
  return array ? true : Refused(array.error());
}

}  // namespace sula::fuzz
