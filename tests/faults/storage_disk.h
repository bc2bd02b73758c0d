// A disk that forgets at a power cut what was not synced: what SQLite's own VFS and our file
// functions ask of the C library for files in one folder is done, and noted. At the cut some of the
// unsynced writes are kept, in sectors and in any order, and some of the unsynced changes of names.
// Of files that are mapped into memory (<name>.journal) any sector may have been written back.
//
//   Disk disk{folder, seed};          // watched from now on
//   disk.cut_after(operations);       // the power goes there
//   ... work on files in the folder ...
//   disk.image(other);                // what the next boot finds; at the latest at this moment
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/random.h"

namespace millwright::test {

// A write, or a new length.
struct DiskChange {
  std::uint64_t offset = 0;
  std::string bytes;
  bool truncates = false;
};

// Files must not be open when it is made. One at a time. Thread rule: its own functions one thread;
// files may be used by any.
class Disk {
 public:
  Disk(std::filesystem::path folder, std::uint64_t seed);
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  void cut_after(std::uint64_t operations) { cut_after_ = operations; }
  bool is_cut() const;
  std::uint64_t operations() const;
  // Writes what a boot after the cut finds into an empty folder.
  void image(const std::filesystem::path& folder);

  // What the C library's functions report; `path` as the kernel knows it.
  struct Calls;

 private:
  friend struct Calls;
  using Inode = std::shared_ptr<struct Content>;
  struct Renamed {  // a change of names; `to` empty: removed; `from` empty: made
    std::string from, to;
    Inode inode;
  };

  std::optional<std::string> name_of(const std::string& path) const;
  void count();
  void cut();
  void change(const std::string& name, DiskChange change);

  const std::filesystem::path folder_;
  mutable std::mutex mutex_;
  Random random_;
  std::map<std::string, Inode> names_, durable_names_;
  std::vector<Renamed> unsynced_names_;
  std::uint64_t operations_ = 0, cut_after_ = ~std::uint64_t{0};
  std::optional<std::map<std::string, std::string>> image_;
};

}  // namespace millwright::test
