// How much a test does: a normal amount in tools/test, more in tools/nightly
// (MILLWRIGHT_TEST_SCALE=full).
#pragma once

namespace millwright::test {

// `full` when MILLWRIGHT_TEST_SCALE is "full", else `normal`; throws std::runtime_error on another
// value. Takes anything that is counted: seeds, rounds, messages.
int scaled(int normal, int full);

}  // namespace millwright::test
