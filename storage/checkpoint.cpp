// Byte layout and the states that a crash can leave: docs/formats/checkpoint.md.
#include "storage/checkpoint.h"

#include <fcntl.h>

#include <array>
#include <system_error>
#include <utility>

#include "core/codec.h"
#include "core/hash.h"
#include "storage/files.h"

namespace millwright::storage {
namespace fs = std::filesystem;
namespace {

constexpr std::array<char, 8> magic{'M', 'W', 'C', 'H', 'K', 'P', 'T', '\0'};
constexpr std::uint32_t format_version = 1;
constexpr std::size_t version_end = 12, prefix_size = 16, header_size = 40, checksum_size = 8;

struct Header {
  std::array<char, 8> magic{};
  std::uint32_t version = 0;
  std::uint32_t version_check = 0;
  std::uint64_t position = 0, configuration_size = 0, state_size = 0;

  static void fields(auto& io, auto& self) {
    io(self.magic, self.version, self.version_check, self.position, self.configuration_size,
       self.state_size);
  }
};

std::uint32_t version_check(std::string_view header) {
  return static_cast<std::uint32_t>(hash64(header.substr(0, version_end)));
}

std::uint64_t checksum(std::string_view header, std::string_view configuration,
                       std::string_view state) {
  return hash64(state, hash64(configuration, hash64(header)));
}

std::string header_of(const Checkpoint& checkpoint) {
  Header header{magic,
                format_version,
                0,
                checkpoint.position,
                checkpoint.configuration.size(),
                checkpoint.state.size()};
  std::string bytes;
  Writer{bytes}(header);
  header.version_check = version_check(bytes);
  bytes.clear();
  Writer{bytes}(header);
  return bytes;
}

fs::path with_suffix(const fs::path& file, const char* suffix) {
  fs::path path = file;
  path += suffix;
  return path;
}

enum class Condition { missing, whole, damaged, newer };

struct Loaded {
  Condition condition = Condition::missing;
  Checkpoint checkpoint{};
  std::string why{};
};

Loaded damaged(std::string why) { return {Condition::damaged, {}, std::move(why)}; }

// Reads `size` bytes into `bytes`; false when the file ends before.
bool read_exactly(const File& in, std::string& bytes, std::size_t size, std::uintmax_t offset) {
  bytes.resize(size);
  return in.read(bytes.data(), size, offset) == size;
}

Loaded decode(const File& in) {
  const std::uintmax_t size = in.size();
  std::string bytes(header_size, '\0');
  bytes.resize(in.read(bytes.data(), header_size, 0));
  if (bytes.size() < prefix_size) return damaged("it is too short");

  Header header;
  Reader{bytes}(header);
  if (header.magic != magic) return damaged("it does not begin as a checkpoint");
  if (header.version_check != version_check(bytes)) return damaged("its format version is damaged");
  if (header.version > format_version)
    return {Condition::newer, {}, "format version " + std::to_string(header.version)};
  if (header.version != format_version) return damaged("its format version is unknown");
  if (bytes.size() < header_size) return damaged("it is too short");

  // Compared one by one: the sum of two damaged lengths could overflow into a plausible one.
  const std::uintmax_t content =
      size < header_size + checksum_size ? 0 : size - header_size - checksum_size;
  if (header.configuration_size > content ||
      header.state_size != content - header.configuration_size ||
      size != header_size + content + checksum_size)
    return damaged("its length does not match");

  Loaded loaded{Condition::whole, {header.position, {}, {}}, {}};
  std::string tail;
  std::uint64_t expected = 0;
  const auto state_at = header_size + header.configuration_size;
  if (!read_exactly(in, loaded.checkpoint.configuration, header.configuration_size, header_size) ||
      !read_exactly(in, loaded.checkpoint.state, header.state_size, state_at) ||
      !read_exactly(in, tail, checksum_size, state_at + header.state_size))
    return damaged("it became shorter while it was read");
  Reader{tail}(expected);
  if (checksum(bytes, loaded.checkpoint.configuration, loaded.checkpoint.state) != expected)
    return damaged("its checksum does not match");
  return loaded;
}

Loaded load(const fs::path& file) {
  if (!fs::exists(file)) return {};
  const File in{file, O_RDONLY};
  for (int again = 0;; ++again) {
    try {
      return decode(in);
    } catch (const std::system_error& error) {
      // A sector that stays unreadable is damage as much as a wrong byte: the older file may be
      // whole.
      if (again == tries_to_read) return damaged(error.what());
    }
  }
}

std::string move_away(const fs::path& file, const fs::path& base, const std::string& why) {
  const std::string what = file.string() + " is damaged (" + why + "); it was ";
  try {
    return what + "set aside as " + set_aside(file, base).string();
  } catch (const fs::filesystem_error& error) {
    return what + "left out and could not be set aside: " + error.code().message();
  }
}

void rename_file(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error)
    throw std::system_error(error, "cannot rename " + from.string() + " to " + to.string());
}

void write_file(const fs::path& path, const Checkpoint& checkpoint) {
  const std::string header = header_of(checkpoint);
  std::string tail;
  Writer{tail}(checksum(header, checkpoint.configuration, checkpoint.state));
  File out{path, O_WRONLY | O_CREAT | O_TRUNC};
  for (const std::string_view part :
       {std::string_view{header}, std::string_view{checkpoint.configuration},
        std::string_view{checkpoint.state}, std::string_view{tail}})
    out.write(part);
  out.sync();
}

}  // namespace

void write_checkpoint(const fs::path& file, const Checkpoint& checkpoint) {
  const auto fresh = with_suffix(file, ".new"), older = with_suffix(file, ".1");
  bool moved = false;
  try {
    write_file(fresh, checkpoint);
    if (fs::exists(file)) {
      rename_file(file, older);
      moved = true;
    }
    rename_file(fresh, file);
  } catch (...) {
    // Best effort: whatever of this fails, a whole file stays under one of the two names.
    std::error_code ignored;
    fs::remove(fresh, ignored);
    if (moved && !fs::exists(file, ignored)) fs::rename(older, file, ignored);
    throw;
  }
  sync_directory(file.parent_path());
}

CheckpointRead read_checkpoint(const fs::path& file) {
  CheckpointRead result;
  for (const auto& candidate : {file, with_suffix(file, ".1")}) {
    auto loaded = load(candidate);
    if (loaded.condition == Condition::newer) {
      result.newer_version = candidate.string() + " has " + loaded.why +
                             "; this Millwright reads up to version " +
                             std::to_string(format_version);
      return result;
    }
    if (loaded.condition == Condition::whole) {
      result.checkpoint = std::move(loaded.checkpoint);
      return result;
    }
    if (loaded.condition == Condition::damaged)
      result.set_aside.push_back(move_away(candidate, file, loaded.why));
  }
  return result;
}

std::string set_checkpoint_aside(const fs::path& file, const std::string& why) {
  const auto older = with_suffix(file, ".1");
  const auto& there = fs::exists(file) ? file : older;
  return there.string() + " cannot be used (" + why + "); it was set aside as " +
         set_aside(there, file).string();
}

}  // namespace millwright::storage
