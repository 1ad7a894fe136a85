# warmset_room(NAME [FUZZED] [DEPENDS rooms...] [LINK libraries...])
#
# Makes the static library of one room from the *.cc of the current folder and
# its subfolders, and one test program from its *_test.cc. Rooms may include
# only rooms that tests/room_direction_test.py lists above them. FUZZED: the
# sanitizer build, which fuzzers run, optimizes it although that takes longer to compile.
function(warmset_room NAME)
  cmake_parse_arguments(ROOM "FUZZED" "" "DEPENDS;LINK;TEST_LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "*.cc")
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")

  set(room_targets ${ROOM_DEPENDS})
  list(TRANSFORM room_targets PREPEND "warmset_")
  if(sources)
    add_library(warmset_${NAME} STATIC ${sources})
    target_link_libraries(warmset_${NAME}
      PUBLIC ${room_targets} ${ROOM_LINK} Threads::Threads
      PRIVATE warmset_flags)
    if(ROOM_FUZZED AND WARMSET_LIBFUZZER)
      target_compile_options(warmset_${NAME} PRIVATE -O1)
    endif()
    set_property(GLOBAL APPEND PROPERTY WARMSET_ROOMS warmset_${NAME})
    target_include_directories(warmset_${NAME} PUBLIC
      ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  endif()
  if(tests)
    add_executable(${NAME}_test ${tests})
    target_link_libraries(${NAME}_test PRIVATE
      warmset_${NAME} ${ROOM_TEST_LINK} warmset_test_flags GTest::gtest_main GTest::gmock)
    add_test(NAME ${NAME}_test COMMAND ${NAME}_test)
    set_tests_properties(${NAME}_test PROPERTIES TIMEOUT 900 LABELS unit)
    set_property(GLOBAL APPEND PROPERTY WARMSET_UNIT_TESTS ${NAME}_test)
  endif()
endfunction()
