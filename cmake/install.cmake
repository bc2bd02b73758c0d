# `cmake --install` puts everything where Debian expects it.
install(TARGETS millwright RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
