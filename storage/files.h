// Files that must survive a crash: descriptors with an owner, syncing, setting damaged ones aside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace millwright::storage {

// Before a place that cannot be read counts as damage, it is read so many times more. A device
// takes its time for each.
inline constexpr int tries_to_read = 4;

// Owns a file descriptor. Every function that fails throws std::system_error naming the path.
class File {
 public:
  // `flags` as for open(2); new files are private to the user.
  File(const std::filesystem::path& path, int flags);
  ~File();
  File(File&& other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  File& operator=(File&&) = delete;

  std::uintmax_t size() const;
  void write(std::string_view bytes);
  // Fills `bytes` from `offset`; how many there were before the end of the file.
  std::size_t read(char* bytes, std::size_t size, std::uintmax_t offset) const;
  void sync();

 private:
  [[noreturn]] void fail(const char* doing) const;

  std::filesystem::path path_;
  int descriptor_;
};

// Makes a rename or a new name in the directory survive a power cut. Throws std::system_error.
void sync_directory(const std::filesystem::path& directory);

// Gives the file new content, whole or not at all: <file>.new is written, synced and renamed, the
// directory synced. Throws std::system_error; the old file is then still good.
void replace_file(const std::filesystem::path& file, std::string_view content);

// All that a small file holds; nothing when it cannot be opened.
std::optional<std::string> text_in(const std::filesystem::path& file);

// Moves `file` to the first free <base>.damaged-<n>, n from 1 to 9 (then the ninth is replaced: a
// disk that damages files again and again must not fill itself with them), and with it each
// <file><suffix> that exists. The new name. Throws std::filesystem::filesystem_error.
std::filesystem::path set_aside(const std::filesystem::path& file,
                                const std::filesystem::path& base,
                                std::initializer_list<std::string_view> suffixes = {});

// Of what was set aside of `base`, with its suffixes, the oldest go until all together take at most
// `most` bytes; `newest` stays. How many went. Throws std::filesystem::filesystem_error.
std::size_t remove_set_aside(const std::filesystem::path& newest, const std::filesystem::path& base,
                             std::initializer_list<std::string_view> suffixes, std::uintmax_t most);

}  // namespace millwright::storage
