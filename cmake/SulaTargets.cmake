# Helpers: one target per folder, its sources found by name, its dependencies stated.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
find_program(SULA_CCACHE ccache)
if(SULA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SULA_CCACHE})
endif()

# Properties of all of sula's own targets.
function(sula_defaults target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wno-missing-field-initializers)
  if(SULA_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${SULA_SANITIZE} -fno-omit-frame-pointer
                                            -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${SULA_SANITIZE})
  endif()
  if(SULA_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# sula_folder(NAME [SMALL] [DEPS other folders' names] [LINK libraries] [SOURCES files])
# Makes the static library sula_NAME from every .cc of the current folder (not of folders below it).
# SMALL: code that runs when a model is loaded or prepared and not in its runs; a release compiles it
# for size, which halves it.
function(sula_folder name)
  cmake_parse_arguments(ARG "SMALL" "" "DEPS;LINK;SOURCES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_library(sula_${name} STATIC ${sources} ${ARG_SOURCES})
  sula_defaults(sula_${name})
  if(ARG_SMALL)
    target_compile_options(sula_${name} PRIVATE $<$<CONFIG:Release>:-Os>)
  endif()
  target_include_directories(sula_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(sula_${name} PUBLIC sula_${dep})
  endforeach()
  target_link_libraries(sula_${name} PRIVATE ${ARG_LINK})
endfunction()

# sula_protobuf_schema(NAME PROTO LIBRARY): the library sula_NAME_schema, generated from PROTO of the
# current folder into the build folder, on LIBRARY (protobuf::libprotobuf, or -lite for messages
# without reflection). Apart from sula's own code, so that warnings about generated code are off.
function(sula_protobuf_schema name proto library)
  set(Protobuf_USE_STATIC_LIBS ON)
  set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)  # whoever links the frontend links protobuf, from any folder
  find_package(Protobuf 3.12 REQUIRED)
  set(schema ${CMAKE_CURRENT_SOURCE_DIR}/${proto}.proto)
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${generated})
  add_custom_command(
    OUTPUT ${generated}/${proto}.pb.cc ${generated}/${proto}.pb.h
    COMMAND protobuf::protoc --cpp_out=${generated} -I ${CMAKE_CURRENT_SOURCE_DIR} ${schema}
    DEPENDS ${schema} protobuf::protoc
    VERBATIM)
  add_library(sula_${name}_schema STATIC ${generated}/${proto}.pb.cc ${generated}/${proto}.pb.h)
  target_include_directories(sula_${name}_schema SYSTEM PUBLIC ${generated})
  target_link_libraries(sula_${name}_schema PUBLIC ${library})
endfunction()

# sula_library(NAME FOLDER EXPORT_NAME name [USES libraries]): a library that programs link, as
# sula::EXPORT_NAME: the objects of sula_FOLDER and of every folder it uses. A static one leaves out
# the folders that the libraries in USES hold already, and links those; a shared one
# (BUILD_SHARED_LIBS) shows its public functions alone, so it holds everything it uses and stands in
# the place of the libraries in USES: a program links one of them.
function(sula_library name folder)
  cmake_parse_arguments(ARG "" "EXPORT_NAME" "USES" ${ARGN})
  set(held "")
  if(BUILD_SHARED_LIBS)
    set(ARG_USES "")
  endif()
  foreach(library IN LISTS ARG_USES)
    get_property(folders GLOBAL PROPERTY SULA_FOLDERS_OF_${library})
    list(APPEND held ${folders})
  endforeach()
  set(queue sula_${folder})
  set(folders "")
  set(external "")
  while(queue)
    list(POP_FRONT queue target)
    if(target IN_LIST held OR target IN_LIST folders)
      continue()
    endif()
    list(APPEND folders ${target})
    get_target_property(links ${target} INTERFACE_LINK_LIBRARIES)
    foreach(link IN LISTS links)
      string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" link "${link}")
      if(link MATCHES "^sula_")
        list(APPEND queue ${link})
      elseif(link)
        list(APPEND external ${link})
      endif()
    endforeach()
  endwhile()
  set_property(GLOBAL PROPERTY SULA_FOLDERS_OF_${name} ${held} ${folders})
  list(TRANSFORM folders REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
  add_library(${name} ${objects})
  add_library(sula::${ARG_EXPORT_NAME} ALIAS ${name})
  sula_defaults(${name})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX EXPORT_NAME ${ARG_EXPORT_NAME}
                                           VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                            $<INSTALL_INTERFACE:include>)
  # The public headers are C++20.
  target_compile_features(${name} PUBLIC cxx_std_20)
  if(BUILD_SHARED_LIBS)
    # What the static archives of others bring along stays inside.
    target_link_options(${name} PRIVATE LINKER:--exclude-libs,ALL LINKER:--no-undefined LINKER:--gc-sections)
  endif()
  list(REMOVE_DUPLICATES external)
  target_link_libraries(${name} PUBLIC ${ARG_USES} PRIVATE ${external})
endfunction()

# Tests leave the user's cache folder alone.
set(SULA_TEST_ENVIRONMENT "SULA_MACHINE=${PROJECT_BINARY_DIR}/machine.txt")

# sula_test(NAME DEPS folders...): one GoogleTest program from every *_test.cc of the current folder;
# ctest sees each case. LABELS are ctest labels.
function(sula_test name)
  cmake_parse_arguments(ARG "" "" "DEPS;LINK;SOURCES;LABELS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${name}_test ${sources} ${ARG_SOURCES})
  sula_defaults(${name}_test)
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(${name}_test PRIVATE sula_${dep})
  endforeach()
  target_link_libraries(${name}_test PRIVATE GTest::gtest GTest::gmock GTest::gtest_main ${ARG_LINK})
  # The address sanitizer would otherwise end the process where malloc reports that memory is short.
  set(properties TIMEOUT 300 ENVIRONMENT
    "ASAN_OPTIONS=allocator_may_return_null=1;${SULA_TEST_ENVIRONMENT}")
  if(ARG_LABELS)
    list(APPEND properties LABELS "${ARG_LABELS}")
  endif()
  gtest_discover_tests(${name}_test DISCOVERY_TIMEOUT 120 PROPERTIES ${properties})
endfunction()
