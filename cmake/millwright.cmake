# Compiler flags and the two functions by which every folder becomes a target.

add_library(millwright_flags INTERFACE)
target_compile_features(millwright_flags INTERFACE cxx_std_20)
target_compile_options(millwright_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
                                                 -Wno-missing-field-initializers)
if(MILLWRIGHT_WERROR)
  target_compile_options(millwright_flags INTERFACE -Werror)
endif()
target_include_directories(millwright_flags INTERFACE ${PROJECT_SOURCE_DIR})
if(MILLWRIGHT_UNITY)
  # A local variable may be called like something of a neighbouring file, and what is local to a file looks as if it were in
  # a header; the other builds look at each file by itself.
  target_compile_options(millwright_flags INTERFACE -Wno-shadow $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()

if(MILLWRIGHT_SANITIZE)
  target_compile_options(millwright_flags INTERFACE -fsanitize=${MILLWRIGHT_SANITIZE} -fno-sanitize-recover=all
                                                   -fno-omit-frame-pointer)
  target_link_options(millwright_flags INTERFACE -fsanitize=${MILLWRIGHT_SANITIZE})
else()
  # What ships is hardened.
  include(CheckPIESupported)
  check_pie_supported()
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  target_compile_options(millwright_flags INTERFACE -fstack-protector-strong -fstack-clash-protection
                                                   $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE
                                                   -D_FORTIFY_SOURCE=3> -D_GLIBCXX_ASSERTIONS)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
    target_compile_options(millwright_flags INTERFACE -fcf-protection)
  endif()
  target_link_options(millwright_flags INTERFACE -Wl,-z,relro,-z,now)
endif()

# The folder `name` at the top becomes the library millwright::<name>, of every .cpp in it.
function(millwright_library name)
  cmake_parse_arguments(ARG "" "" "LINK;LINK_PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name}/*.cpp)
  add_library(millwright_${name} STATIC ${sources})
  add_library(millwright::${name} ALIAS millwright_${name})
  target_link_libraries(millwright_${name} PUBLIC ${ARG_LINK} PRIVATE millwright_flags ${ARG_LINK_PRIVATE}
                                                                     Threads::Threads)
  target_include_directories(millwright_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  set_target_properties(millwright_${name} PROPERTIES LINKER_LANGUAGE CXX)
  millwright_unity(millwright_${name})
endfunction()

# With MILLWRIGHT_UNITY several source files of a target are compiled as one, since most of the time goes into what they
# include. So names that are local to a file are to differ within a folder.
function(millwright_unity target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${MILLWRIGHT_UNITY} UNITY_BUILD_BATCH_SIZE 10)
endfunction()

set(MILLWRIGHT_TIMEOUT_FACTOR 1 CACHE STRING "How many times longer a test may take: more with MILLWRIGHT_TEST_SCALE=full")

# tests/<name>/*.cpp become the doctest program test_<name>, run by ctest as <name>.
function(millwright_test name)
  cmake_parse_arguments(ARG "COMPUTES" "TIMEOUT" "LINK;LABELS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  if(NOT ARG_COMPUTES)
    target_link_libraries(test_${name} PRIVATE millwright_test_flags)
  endif()
  target_link_libraries(test_${name} PRIVATE millwright_flags millwright::test_support ${ARG_LINK})
  target_compile_definitions(test_${name} PRIVATE MILLWRIGHT_SOURCE="${PROJECT_SOURCE_DIR}"
                                                  MILLWRIGHT_BINARY="$<TARGET_FILE:millwright>")
  if(ARG_LABELS MATCHES "binary")
    add_dependencies(test_${name} millwright)
  endif()
  add_test(NAME ${name} COMMAND test_${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  math(EXPR timeout "${ARG_TIMEOUT} * ${MILLWRIGHT_TIMEOUT_FACTOR}")
  set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} LABELS "${ARG_LABELS}")
  if(MILLWRIGHT_SANITIZE)
    # The daemon beside a test inherits both. A small quarantine: some tests hold the memory in use to a limit.
    set_tests_properties(${name} PROPERTIES ENVIRONMENT
      "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/leaks.supp:print_suppressions=0;ASAN_OPTIONS=quarantine_size_mb=8")
  endif()
endfunction()
