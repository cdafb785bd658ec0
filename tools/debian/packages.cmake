# Debian packages by CPack, for tools/package: daemon, client, library, development files, and Python.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ocdmux)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/compress.cmake)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${OCDMUX_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)

set(scripts ${CMAKE_CURRENT_LIST_DIR})
set(same "(= ${PROJECT_VERSION}-1)")
set(CPACK_DEBIAN_DAEMON_PACKAGE_NAME ocdmuxd)
set(CPACK_DEBIAN_DAEMON_PACKAGE_SECTION electronics)
set(CPACK_DEBIAN_DAEMON_PACKAGE_SUGGESTS "openocd, ocdmux")
set(CPACK_DEBIAN_DAEMON_PACKAGE_CONTROL_EXTRA
  ${scripts}/daemon/conffiles ${scripts}/daemon/postinst ${scripts}/daemon/prerm ${scripts}/daemon/postrm)
set(CPACK_COMPONENT_DAEMON_DESCRIPTION "Share OpenOCDs among many clients
The daemon holds the only connection to an OpenOCD, and lets many people, IDEs
and CI jobs work on its board: fair turns, leases, roles, progress and cancel,
and errors that are never silent.")
set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME ocdmux)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SECTION electronics)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SUGGESTS "ocdmuxd, openssh-client")
set(CPACK_COMPONENT_CLIENT_DESCRIPTION "Command line of ocdmuxd
Flashes, reads and controls a board through ocdmuxd, which shares one OpenOCD
among many clients, and shows what boards, leases and clients are doing.")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libocdmux${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${scripts}/library/triggers)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "Client library of ocdmuxd
Calls, memory, flashing, leases and events of ocdmuxd for programs in C,
blocking or in an event loop of their own.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libocdmux-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "libocdmux${PROJECT_VERSION_MAJOR} ${same}, libcjson-dev, libssl-dev")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "Development files of the client library of ocdmuxd
Header, static library and pkg-config file of libocdmux.")

set(components daemon client library development)
set(python ${PROJECT_SOURCE_DIR}/tools/python/ocdmux)
if(EXISTS ${python})
  list(APPEND components python)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-ocdmux)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_ARCHITECTURE all)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "python3 (>= 3.9)")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA ${scripts}/python/postinst ${scripts}/python/prerm)
  set(CPACK_COMPONENT_PYTHON_DESCRIPTION "Python client of ocdmuxd
Calls, memory, flashing, leases and events of ocdmuxd for Python programs, with
asyncio or without.")
  install(DIRECTORY ${python} DESTINATION lib/python3/dist-packages COMPONENT python
    PATTERN __pycache__ EXCLUDE)
endif()
set(CPACK_COMPONENTS_ALL ${components})

# Every package has a copyright and a changelog.
configure_file(${CMAKE_CURRENT_LIST_DIR}/changelog.in ${CMAKE_CURRENT_BINARY_DIR}/debian/changelog.Debian @ONLY)
file(READ ${PROJECT_SOURCE_DIR}/LICENSE license)
string(REGEX REPLACE "\n\n" "\n.\n" license "${license}")
string(REGEX REPLACE "\n([^\n])" "\n \\1" license "${license}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/copyright.in ${CMAKE_CURRENT_BINARY_DIR}/debian/copyright @ONLY)
foreach(component ${components})
  string(TOUPPER ${component} upper)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/debian/copyright ${CMAKE_CURRENT_BINARY_DIR}/debian/changelog.Debian
    DESTINATION share/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME} COMPONENT ${component})
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/tools/systemd/ocdmuxd.json DESTINATION /etc/ocdmux COMPONENT daemon)
include(CPack)
