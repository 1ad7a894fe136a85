# What every target of Warmset is compiled with.

option(WARMSET_WERROR "Warnings are errors" ON)
option(WARMSET_ASAN_UBSAN "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(WARMSET_TSAN "ThreadSanitizer" OFF)
option(WARMSET_LIBFUZZER "Link fuzzers against libFuzzer (clang) instead of the corpus replayer" OFF)
option(WARMSET_THREAD_SAFETY "clang's thread-safety analysis, as errors" OFF)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(warmset_flags INTERFACE)
target_compile_options(warmset_flags INTERFACE
  -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow $<$<BOOL:${WARMSET_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # At -O2, GCC 12 sees copies that overlap in std::string's operator+ (GCC bug 105651).
  target_compile_options(warmset_flags INTERFACE -Wno-restrict)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
  # libstdc++ 12 uses a function in std::stable_sort that it deprecates itself.
  target_compile_options(warmset_flags INTERFACE -Wno-deprecated-declarations)
endif()
target_include_directories(warmset_flags INTERFACE
  ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(warmset_flags INTERFACE
  WARMSET_VERSION="${PROJECT_VERSION}")

if(WARMSET_ASAN_UBSAN)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
if(WARMSET_TSAN)
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
  add_library(absl_tsan STATIC ${PROJECT_SOURCE_DIR}/tests/support/absl_tsan.cc)
  target_link_libraries(absl_tsan PRIVATE absl::synchronization ${CMAKE_DL_LIBS})
  target_link_libraries(warmset_flags INTERFACE absl_tsan)
endif()
if(WARMSET_THREAD_SAFETY)
  target_compile_options(warmset_flags INTERFACE -Wthread-safety -Werror=thread-safety)
endif()
if(WARMSET_LIBFUZZER)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# For test programs: most of their time goes into compiling them, under the sanitizers
# three times as much with optimization as without.
add_library(warmset_test_flags INTERFACE)
target_compile_options(warmset_test_flags INTERFACE -O0)
target_link_libraries(warmset_test_flags INTERFACE warmset_flags)
