// A file that only takes up space, so that there is some to give back when the disk is full: on a
// full disk SQLite can neither insert nor delete.
#pragma once

#include <cstdint>
#include <filesystem>

namespace millwright::storage {

// Thread rule: one thread.
class Ballast {
 public:
  static constexpr std::uintmax_t usual_size = 4U << 20U;

  explicit Ballast(std::filesystem::path file, std::uintmax_t size = usual_size)
      : file_(std::move(file)), size_(size) {}

  // Takes the space, if it is not taken yet and the disk keeps as much again free beside it. False
  // when there is no ballast now; why does not matter, it is tried again later.
  bool take() noexcept;
  // Gives it back. True when there was something to give.
  bool release() noexcept;
  const std::filesystem::path& file() const { return file_; }

 private:
  std::filesystem::path file_;
  std::uintmax_t size_;
};

}  // namespace millwright::storage
