// HTML pages that explain: templates from cli/html, which are part of the program, and data.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "sula/status.h"

namespace sula::cli {

// A file of cli/html; the list ends with an empty name.
struct PageFile {
  std::string_view name, contents;
};
extern const PageFile kPageFiles[];

// The template `name` with each {{file}} in it replaced by that file and {{data}} by the JSON text,
// which is safe within a script element whatever strings it holds. The page needs nothing else: no
// network, no other file. Precondition: the template and the files it names exist.
std::string MakePage(std::string_view name, const nlohmann::ordered_json& data);

// Writes a page to a file.
Status WritePage(const std::string& path, std::string_view name,
                 const nlohmann::ordered_json& data);

}  // namespace sula::cli
