# `cmake --install` puts everything where Debian expects it. Nothing goes to /etc: the configuration is the
# administrator's, and none is better than one that watches nothing.

# The unit and the documents name /usr, so that is the prefix unless another one is asked for.
if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
  set(CMAKE_INSTALL_PREFIX /usr CACHE PATH "Where to install" FORCE)
endif()
include(GNUInstallDirs)  # again: its full paths follow the prefix
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(unit_dir /lib/systemd/system)
else()
  set(unit_dir ${CMAKE_INSTALL_PREFIX}/lib/systemd/system)
endif()
set(MILLWRIGHT_UNIT_DIR ${unit_dir} CACHE PATH "Where the systemd unit goes")

install(TARGETS millwright RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The unit, with the place of the program that is installed.
file(READ ${PROJECT_SOURCE_DIR}/systemd/millwright.service unit)
string(REPLACE "/usr/bin/millwright" "${CMAKE_INSTALL_FULL_BINDIR}/millwright" unit "${unit}")
string(REPLACE "/usr/share/doc/millwright" "${CMAKE_INSTALL_FULL_DOCDIR}" unit "${unit}")
file(CONFIGURE OUTPUT systemd/millwright.service CONTENT "${unit}" @ONLY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS systemd/millwright.service)
install(FILES ${PROJECT_BINARY_DIR}/systemd/millwright.service DESTINATION ${MILLWRIGHT_UNIT_DIR})

# The schemas, as the program itself prints them.
set(schemas)
foreach(name config alert health status command answer service)
  set(schema ${PROJECT_BINARY_DIR}/schemas/${name}.schema.json)
  add_custom_command(OUTPUT ${schema} DEPENDS millwright VERBATIM
                     COMMAND ${CMAKE_COMMAND} -DMILLWRIGHT=$<TARGET_FILE:millwright> -DNAME=${name} -DOUTPUT=${schema}
                             -P ${PROJECT_SOURCE_DIR}/cmake/write_schema.cmake)
  list(APPEND schemas ${schema})
endforeach()
add_custom_target(millwright_schemas ALL DEPENDS ${schemas})
install(FILES ${schemas} DESTINATION ${CMAKE_INSTALL_DATADIR}/millwright)

# Documents, in the folders in which they link to each other, and the examples.
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
install(DIRECTORY config/examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples FILES_MATCHING PATTERN "*.json")
install(DIRECTORY systemd/examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples/systemd)

if(MILLWRIGHT_TESTS)
  find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
  foreach(check install unit broker binary sandbox)
    add_test(NAME systemd_${check}
             COMMAND Python3::Interpreter -B ${PROJECT_SOURCE_DIR}/tests/systemd/${check}_check.py
                     --source ${PROJECT_SOURCE_DIR} --build ${PROJECT_BINARY_DIR} --cmake ${CMAKE_COMMAND})
    set_tests_properties(systemd_${check} PROPERTIES LABELS systemd TIMEOUT 60 SKIP_RETURN_CODE 77)
  endforeach()
  math(EXPR timeout "240 * ${MILLWRIGHT_TIMEOUT_FACTOR}")
  set_tests_properties(systemd_sandbox PROPERTIES TIMEOUT ${timeout})
endif()
