# Puts the page of report.html into moesim_plots. Its script is one function, so that nothing of it is global; the
# page's content security policy names the scripts by hash.
target_sources(moesim_plots PRIVATE report_html.cpp)

set(app "(() => {\n\"use strict\";\n")
set(app_parts)
foreach(part dom numbers theme stacked heatmap pareto table plot card page)
  set(file ${CMAKE_CURRENT_LIST_DIR}/${part}.js)
  file(READ ${file} text)
  string(APPEND app "${text}")
  list(APPEND app_parts ${file})
endforeach()
set(app_file ${CMAKE_CURRENT_BINARY_DIR}/report_app.js)
file(CONFIGURE OUTPUT ${app_file} CONTENT "${app}})();\n" @ONLY NEWLINE_STYLE LF)

set(echarts_file ${CMAKE_CURRENT_SOURCE_DIR}/vendor/echarts.min.js)
set(page_file ${CMAKE_CURRENT_LIST_DIR}/report.html)
set(style_file ${CMAKE_CURRENT_LIST_DIR}/report.css)
file(SHA256 ${app_file} app_hash)
file(SHA256 ${echarts_file} echarts_hash)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${app_parts} ${echarts_file})

# A change of the definitions compiles the file anew; the compiler does not see the other files that it includes.
set_source_files_properties(report_html.cpp PROPERTIES
  OBJECT_DEPENDS "${page_file};${style_file};${echarts_file};${app_file}"
  COMPILE_DEFINITIONS "MOESIM_REPORT_PAGE=\"${page_file}\";MOESIM_REPORT_STYLE=\"${style_file}\";\
MOESIM_REPORT_ECHARTS=\"${echarts_file}\";MOESIM_REPORT_APP=\"${app_file}\";\
MOESIM_REPORT_ECHARTS_SHA256=\"${echarts_hash}\";MOESIM_REPORT_APP_SHA256=\"${app_hash}\"")
