// Hashes that are part of formats: they never change between builds.
#pragma once

#include <cstdint>
#include <string_view>

namespace millwright {

// XXH3, 64 bit. Checksums of journal records and checkpoints, fingerprints, the lane of a machine.
std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0);

}  // namespace millwright
