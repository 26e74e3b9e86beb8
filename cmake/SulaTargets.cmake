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

# Properties of all of sula's own targets.
function(sula_defaults target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wno-missing-field-initializers)
  if(SULA_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${SULA_SANITIZE} -fno-omit-frame-pointer
                                            -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${SULA_SANITIZE})
  endif()
endfunction()

# sula_folder(NAME [DEPS other folders' names] [LINK libraries] [EXCLUDE regex])
# Makes the static library sula_NAME from every .cc of the current folder (not of folders below it).
function(sula_folder name)
  cmake_parse_arguments(ARG "" "" "DEPS;LINK;SOURCES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_library(sula_${name} STATIC ${sources} ${ARG_SOURCES})
  sula_defaults(sula_${name})
  target_include_directories(sula_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(sula_${name} PUBLIC sula_${dep})
  endforeach()
  target_link_libraries(sula_${name} PRIVATE ${ARG_LINK})
endfunction()

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
  gtest_discover_tests(${name}_test DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 300 LABELS "${ARG_LABELS}")
endfunction()
