#include "daemon/printable.h"

#include <fmt/format.h>

#include <cstdint>

namespace millwright::daemon {
namespace {

struct Character {
  std::uint32_t code = 0;
  std::size_t size = 0;  // bytes; 0: what stands there is not UTF-8
};

// RFC 3629: shortest form only, no surrogates, up to U+10FFFF.
Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  std::uint32_t code = lead & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {};
    code = (code << 6U) | (byte(i) & 0x3fU);
  }
  const std::uint32_t smallest = size == 4 ? 0x10000 : size == 3 ? 0x800 : 0x80;
  if (code < smallest || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
  return {code, size};
}

// Characters that move the cursor, end the line or turn the direction of writing.
bool harmless(std::uint32_t code) {
  return code >= 0x20 && !(code >= 0x7f && code <= 0x9f) && !(code >= 0x200b && code <= 0x200f) &&
         !(code >= 0x2028 && code <= 0x202e) && !(code >= 0x2060 && code <= 0x2069) &&
         code != 0xfeff;
}

std::string escaped(std::uint32_t code) {
  switch (code) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return code < 0x80 ? fmt::format("\\x{:02x}", code) : fmt::format("\\u{:04x}", code);
  }
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto character = first_character(text);
    if (character.size == 0) return false;
    text.remove_prefix(character.size);
  }
  return true;
}

std::string printable(std::string_view text, std::size_t most) {
  std::string out;
  std::size_t used = 0;
  while (used < text.size()) {
    const auto rest = text.substr(used);
    const auto character = first_character(rest);
    const std::size_t size = character.size == 0 ? 1 : character.size;
    if (used + size > most) return out + "...";
    if (character.size == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(rest[0]));
    } else if (!harmless(character.code)) {
      out += escaped(character.code);
    } else {
      if (character.code == '\\') out.push_back('\\');
      out.append(rest.substr(0, size));
    }
    used += size;
  }
  return out;
}

}  // namespace millwright::daemon
