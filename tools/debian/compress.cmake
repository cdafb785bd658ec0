# Before the packages are made: Debian wants man pages and changelogs compressed.
file(GLOB_RECURSE texts
  ${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/man/*.[0-9] ${CPACK_TEMPORARY_DIRECTORY}/*/changelog.Debian)
if(texts)
  execute_process(COMMAND gzip -9n ${texts} COMMAND_ERROR_IS_FATAL ANY)
endif()
