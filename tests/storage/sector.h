// A place of a disk that cannot be read, for this process.
#pragma once

#include <cstdint>

namespace millwright::storage {

// While it lives, reads of the page (4 KiB each, from 1) of whatever file fail with EIO, so many
// times.
class Sector {
 public:
  Sector(std::int64_t page, int times);
  ~Sector();
  Sector(const Sector&) = delete;
  Sector& operator=(const Sector&) = delete;

  int failures_left() const;
};

}  // namespace millwright::storage
