// Byte layouts: docs/formats.
#include <algorithm>
#include <array>
#include <cstring>

#include "core/codec.h"
#include "core/hash.h"
#include "fuzz/fuzz.h"

namespace millwright::fuzz {
namespace {

template <class T>
void put(std::string& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}
template <class T>
T get(std::string_view bytes, std::size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::uint64_t hash_of(std::string_view bytes, std::size_t from, std::size_t size,
                      std::uint64_t seed = 0) {
  return hash64(bytes.substr(from, size), seed);
}

constexpr std::size_t page = 4096, record_header = 56;
constexpr std::uint64_t journal_magic = 0x1a4e52554f4a574d;

// Gives every record from `at` on its checksum, as far as their lengths lead.
void repair_records(std::string& bytes, std::uint64_t tail, std::uint64_t head) {
  const std::size_t capacity = bytes.size() - page;
  for (std::uint64_t at = tail; at < head && head - at <= capacity;) {
    const std::size_t place = page + at % capacity, left = bytes.size() - place;
    const auto length = get<std::uint32_t>(bytes, place);
    if (length == 0xffffffff) {
      at += left;
      continue;
    }
    if (length % 8 != 0 || length < record_header || length > left) return;
    put(bytes, place + 8,
        hash_of(bytes, place + 16, length - 16, get<std::uint64_t>(bytes, place)));
    at += length;
  }
}

}  // namespace

std::string repaired_journal(std::string_view input) {
  std::string bytes{input};
  bytes.resize(std::max((bytes.size() + page - 1) / page, std::size_t{2}) * page);
  put(bytes, 0, journal_magic);
  put(bytes, 8, std::uint32_t{1});
  put(bytes, 16, std::uint64_t{bytes.size() - page});
  put(bytes, 24, hash_of(bytes, 0, 24));
  for (const std::size_t copy : {64u, 128u}) put(bytes, copy + 48, hash_of(bytes, copy, 48));
  const std::size_t newer =
      get<std::uint64_t>(bytes, 64) > get<std::uint64_t>(bytes, 128) ? 64 : 128;
  repair_records(bytes, get<std::uint64_t>(bytes, newer + 8),
                 get<std::uint64_t>(bytes, newer + 16));
  return bytes;
}

std::string repaired_checkpoint(std::string_view input) {
  std::string bytes{input};
  bytes.resize(std::max<std::size_t>(bytes.size(), 48));
  std::memcpy(bytes.data(), "MWCHKPT", 8);
  put(bytes, 8, std::uint32_t{1});
  put(bytes, 12, static_cast<std::uint32_t>(hash_of(bytes, 0, 12)));
  const std::size_t content = bytes.size() - 48;
  const std::size_t text = std::min<std::uint64_t>(get<std::uint64_t>(bytes, 24), content);
  put(bytes, 24, std::uint64_t{text});
  put(bytes, 32, std::uint64_t{content - text});
  const auto sum =
      hash_of(bytes, 40 + text, content - text, hash_of(bytes, 40, text, hash_of(bytes, 0, 40)));
  put(bytes, bytes.size() - 8, sum);
  return bytes;
}

namespace {

// magic, version, length, checksum, body: of the engine and of each machine in it.
constexpr std::size_t sealed_body = 6 + 16;

void repair_sealed(std::string& bytes) {
  if (bytes.size() < sealed_body) return;
  put(bytes, 6, std::uint64_t{bytes.size() - sealed_body});
  put(bytes, 14, hash_of(bytes, sealed_body, bytes.size() - sealed_body));
}

void repair_engine(std::string& bytes) {
  constexpr std::size_t counters = 8 + 8 + 13 * 8;  // position, received, outcomes
  for (std::size_t at = sealed_body + counters + 4; at + 4 <= bytes.size();) {
    const std::size_t size = get<std::uint32_t>(bytes, at);
    if (size > bytes.size() - at - 4) break;
    std::string machine = bytes.substr(at + 4, size);
    repair_sealed(machine);
    bytes.replace(at + 4, size, machine);
    at += 4 + size;
  }
  repair_sealed(bytes);
}

// magic, version, checksum, body as a text: fleet and desk.
void repair_stage(std::string& bytes) {
  constexpr std::size_t body = 6 + 8 + 4;
  if (bytes.size() < body) return;
  put(bytes, 14, static_cast<std::uint32_t>(bytes.size() - body));
  put(bytes, 6, hash_of(bytes, body, bytes.size() - body));
}

}  // namespace

// Three texts, each with its length before it: engine, fleet, desk.
std::string repaired_lane_state(std::string_view input) {
  std::string bytes;
  for (int part = 0; part < 3; ++part) {
    std::size_t size = 0;
    if (input.size() >= 4) {
      size = std::min<std::size_t>(get<std::uint32_t>(input, 0), input.size() - 4);
      input.remove_prefix(4);
    }
    std::string text{input.substr(0, size)};
    input.remove_prefix(size);
    part == 0 ? repair_engine(text) : repair_stage(text);
    Writer{bytes}(text);
  }
  return bytes;
}

}  // namespace millwright::fuzz
