// Bytes of a stage behind the engine: magic, version, hash64 of the body, the body as a text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/codec.h"
#include "core/hash.h"

namespace millwright::engine {

inline std::string seal(std::uint32_t magic, std::uint16_t version, const std::string& body) {
  std::string bytes;
  Writer{bytes}(magic, version, hash64(body), body);
  return bytes;
}

// The body; nothing when these are other bytes, or damaged ones.
inline std::optional<std::string> unseal(std::string_view bytes, std::uint32_t magic,
                                         std::uint16_t version) {
  Reader in{bytes};
  std::uint32_t its_magic = 0;
  std::uint16_t its_version = 0;
  std::uint64_t checksum = 0;
  std::string body;
  in(its_magic, its_version, checksum, body);
  const bool good = in.ok() && in.at_end() && its_magic == magic && its_version == version &&
                    hash64(body) == checksum;
  return good ? std::optional{std::move(body)} : std::nullopt;
}

}  // namespace millwright::engine
