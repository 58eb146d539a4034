# cmake -DBUILD=... -DSOURCE=... -DWORK=... -P install_and_use.cmake

# expect(TEXT COMMAND...): the command succeeds, and what it prints contains the text.
function(expect text)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(FIND "${output}" "${text}" found)
  if(NOT status EQUAL 0 OR found EQUAL -1)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nended with ${status}, expected 0 and '${text}' in:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
set(prefix ${WORK}/prefix)
expect("" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})

# The library, from a project that knows the prefix alone.
expect("" ${CMAKE_COMMAND} -S ${SOURCE}/consumer -B ${WORK}/consumer -G ${GENERATOR} -DCMAKE_BUILD_TYPE=Release
       -DCMAKE_CXX_COMPILER=${COMPILER} "-DCMAKE_CXX_FLAGS=${FLAGS}" -DCMAKE_PREFIX_PATH=${prefix})
expect("" ${CMAKE_COMMAND} --build ${WORK}/consumer)
# 46,702,792,704: oracle table B.3 for Mixtral 8x7B.
expect("46702792704 from ${prefix}/share/moesim/zoo\n"
       ${CMAKE_COMMAND} -E env MOESIM_DATA=${prefix}/share/moesim ${WORK}/consumer/count_parameters mixtral-8x7b)
expect("SimGrid " ${WORK}/consumer/show_simgrid)

# The command, with the data beside it and no variable set.
expect("\"folder\": \"${prefix}/share/moesim/catalogue\"" ${prefix}/bin/moesim doctor --json)
file(GLOB scenarios ${prefix}/share/moesim/scenarios/*.yaml)
if(NOT scenarios)
  message(FATAL_ERROR "no scenario was installed in ${prefix}/share/moesim/scenarios")
endif()
file(REMOVE_RECURSE ${WORK})
