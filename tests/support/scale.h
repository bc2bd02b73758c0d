// How much a test does: a normal amount in tools/test, more in tools/nightly
// (MILLWRIGHT_TEST_SCALE=full).
#pragma once

namespace millwright::test {

// `full` when MILLWRIGHT_TEST_SCALE is "full", else `normal`; throws std::runtime_error on another
// value. Takes anything that is counted: seeds, rounds, messages.
int scaled(int normal, int full);

// Built with the address sanitizer, under which everything takes several times as long.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace millwright::test
