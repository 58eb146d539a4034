# Flags every own target shares; never leak to a dependency or to an installed user.
add_library(moesim_options INTERFACE)
target_compile_options(moesim_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                                                # GCC 12 warns about std::string of its own library (GCC bug 105651).
                                                $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
                                                $<$<BOOL:${MOESIM_WERROR}>:-Werror>)

# moesim_module(NAME SOURCES ... [LINK ...] [PRIVATE_LINK ...]): one folder = one static library moesim_NAME.
# LINK names what its headers may include, so the link order is the layering of design.
function(moesim_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(moesim_${name} STATIC ${ARG_SOURCES})
  target_compile_features(moesim_${name} PUBLIC cxx_std_20)
  target_include_directories(moesim_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                                   $<INSTALL_INTERFACE:include/moesim>)
  target_link_libraries(moesim_${name} PUBLIC ${ARG_LINK} PRIVATE $<BUILD_INTERFACE:moesim_options> ${ARG_PRIVATE_LINK})
  set_property(GLOBAL APPEND PROPERTY MOESIM_MODULES moesim_${name})
endfunction()
