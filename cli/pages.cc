#include "pages.h"

#include <fmt/format.h>

#include <fstream>

namespace sula::cli {
namespace {

std::string_view Contents(std::string_view name) {
  const PageFile* file = kPageFiles;
  while (!file->name.empty() && file->name != name) ++file;
  return file->contents;
}

// JSON as it may stand in a script element: no "</script", no "<!--".
std::string Embedded(const nlohmann::ordered_json& data) {
  const std::string text = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string safe;
  for (const char c : text) {
    if (c == '<')
      safe += "\\u003c";
    else
      safe += c;
  }
  return safe;
}

}  // namespace

std::string MakePage(std::string_view name, const nlohmann::ordered_json& data) {
  std::string page;
  std::string_view rest = Contents(name);
  for (size_t at; (at = rest.find("{{")) != std::string_view::npos;) {
    page += rest.substr(0, at);
    const size_t end = rest.find("}}", at);
    const std::string_view part = rest.substr(at + 2, end - at - 2);
    page += part == "data" ? Embedded(data) : std::string(Contents(part));
    rest.remove_prefix(end + 2);
  }
  return page += rest;
}

Status WritePage(const std::string& path, std::string_view name,
                 const nlohmann::ordered_json& data) {
  std::ofstream out(path, std::ios::binary);
  out << MakePage(name, data);
  out.close();
  if (!out) return Status(Code::kIo, fmt::format("cannot write '{}'", path));
  return {};
}

}  // namespace sula::cli
