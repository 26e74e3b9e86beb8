# cmake -DOUT=file.cc -DFILES="a.html;b.css" -P embed.cmake
# Writes a C++ file that defines sula::cli::kPageFiles (pages.h): name and contents of each file.
set(text "// Made from the files of cli/html.\n#include \"pages.h\"\n\nnamespace sula::cli {\n\n")
string(APPEND text "const PageFile kPageFiles[] = {\n")
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME)
  file(READ "${file}" contents)
  string(APPEND text "    {\"${name}\", R\"~page~(${contents})~page~\"},\n")
endforeach()
string(APPEND text "    {},\n};\n\n}  // namespace sula::cli\n")
file(WRITE "${OUT}" "${text}")
