# cmake --install: the command, its data, and the library for find_package(moesim) with moesim::models and moesim::sim.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(MOESIM_DATA_DIR ${CMAKE_INSTALL_DATADIR}/moesim)  # models/units/resources.cpp looks there, from bin/
set(MOESIM_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/moesim)

get_property(modules GLOBAL PROPERTY MOESIM_MODULES)
list(APPEND modules moesim_models)
foreach(module ${modules})
  string(REGEX REPLACE "^moesim_" "" name ${module})
  set_target_properties(${module} PROPERTIES EXPORT_NAME ${name})
endforeach()
install(TARGETS ${modules} EXPORT moesimTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/moesim)
install(TARGETS moesim RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The folders keep their names below include/moesim, so that #include "models/llm/parameters.hpp" reads the same outside.
foreach(folder models sim)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/moesim
          FILES_MATCHING PATTERN "*.hpp"
          PATTERN "simgrid_compat.hpp" EXCLUDE
          PATTERN "cli" EXCLUDE PATTERN "cmake" EXCLUDE PATTERN "cuda" EXCLUDE PATTERN "cpu" EXCLUDE
          PATTERN "worker" EXCLUDE
          PATTERN "zoo" EXCLUDE PATTERN "catalogue" EXCLUDE PATTERN "profiles" EXCLUDE)
endforeach()

install(DIRECTORY models/llm/zoo models/hardware/catalogue models/kernels/profiles scenarios scenarios/schema DESTINATION ${MOESIM_DATA_DIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(EXPORT moesimTargets NAMESPACE moesim:: DESTINATION ${MOESIM_CMAKE_DIR})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/moesimConfig.cmake.in ${PROJECT_BINARY_DIR}/moesimConfig.cmake
                              INSTALL_DESTINATION ${MOESIM_CMAKE_DIR} PATH_VARS MOESIM_DATA_DIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/moesimConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/moesimConfig.cmake ${PROJECT_BINARY_DIR}/moesimConfigVersion.cmake
        DESTINATION ${MOESIM_CMAKE_DIR})
