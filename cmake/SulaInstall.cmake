# What `cmake --install` puts where: libraries, public headers, a CMake package with the targets
# sula::sula, sula::image and sula::convert, a pkg-config file, the command line. Components: sula
# (to run models) and convert (to convert them, and the command line).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/sula)

install(TARGETS sula EXPORT sulaTargets COMPONENT sula)
if(TARGET sula_image)
  install(TARGETS sula_image EXPORT sulaTargets COMPONENT sula)
endif()
install(EXPORT sulaTargets NAMESPACE sula:: DESTINATION ${package_dir} COMPONENT sula)
install(DIRECTORY include/sula TYPE INCLUDE COMPONENT sula)
if(SULA_BUILD_CONVERT)
  install(TARGETS sula_convert EXPORT sulaConvertTargets COMPONENT convert)
  install(EXPORT sulaConvertTargets NAMESPACE sula:: DESTINATION ${package_dir} COMPONENT convert)
endif()
if(SULA_BUILD_CLI)
  file(RELATIVE_PATH to_libraries /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
  set_target_properties(sula_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${to_libraries}")
  install(TARGETS sula_cli COMPONENT convert)
endif()

configure_package_config_file(cmake/sulaConfig.cmake.in sulaConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(sulaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sulaConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/sulaConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT sula)

configure_file(cmake/sula.pc.in sula.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sula.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT sula)
