// The C library's calls come here first: the test program's symbols go before the library's. Its
// own headers stay out, because they define some of these functions inline.
#include "tests/faults/storage_disk.h"

#include <linux/fcntl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <fstream>
#include <sstream>
#include <string_view>

#include "tests/support/temporary.h"

extern "C" long syscall(long number, ...) noexcept;

namespace millwright::test {

namespace fs = std::filesystem;

constexpr std::size_t sector = 512;

struct Content {
  std::string durable, now;
  std::vector<DiskChange> unsynced;
};

namespace {

std::atomic<Disk*> watched{nullptr};

void apply_change(std::string& content, const DiskChange& change) {
  if (change.truncates) return content.resize(change.offset);
  const auto end = change.offset + change.bytes.size();
  if (content.size() < end) content.resize(end);
  std::copy(change.bytes.begin(), change.bytes.end(),
            content.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

// The sectors of a write, each a change of its own.
void split(const DiskChange& change, std::vector<DiskChange>& out) {
  if (change.truncates) return out.push_back(change);
  for (std::size_t at = 0; at < change.bytes.size();) {
    const auto left = sector - (change.offset + at) % sector;
    const auto size = std::min<std::size_t>(left, change.bytes.size() - at);
    out.push_back({change.offset + at, change.bytes.substr(at, size), false});
    at += size;
  }
}

// What is on the disk of a file after the power went.
std::string left_of(const Content& content, Random& random) {
  auto left = content.durable;
  std::vector<DiskChange> pieces;
  for (const auto& change : content.unsynced) split(change, pieces);
  switch (random.below(4)) {
    case 0:  // nothing was written back
      return left;
    case 1:  // all but the end, the last sector torn
      pieces.resize(pieces.empty() ? 0 : random.below(pieces.size() + 1));
      if (!pieces.empty() && !pieces.back().truncates) {
        auto& torn = pieces.back().bytes;
        const auto good = random.below(torn.size() + 1);
        for (auto i = good; i < torn.size(); ++i) torn[i] = static_cast<char>(random.next());
      }
      break;
    default:  // some, in any order
      for (std::size_t i = pieces.size(); i > 1; --i) {
        // A new length keeps its place: file systems write such changes in their order.
        auto& a = pieces[i - 1];
        auto& b = pieces[random.below(i)];
        if (!a.truncates && !b.truncates) std::swap(a, b);
      }
      std::erase_if(pieces, [&](const DiskChange&) { return random.below(2) == 0; });
  }
  for (const auto& piece : pieces) apply_change(left, piece);
  return left;
}

bool is_mapped(std::string_view name) { return name.ends_with(".journal"); }

// The kernel writes back pages of a mapped file whenever it likes.
std::string left_of_mapped(std::string durable, const std::string& now, Random& random) {
  durable.resize(now.size());
  for (std::size_t at = 0; at < now.size(); at += sector)
    if (random.below(2) == 0) durable.replace(at, sector, now, at, sector);
  return durable;
}

// File and offset that are mapped at this address; empty: none.
std::pair<std::string, std::uint64_t> mapped_at(const void* address) {
  std::ifstream maps{"/proc/self/maps"};
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words{line};
    std::uintptr_t begin = 0, end = 0;
    std::uint64_t offset = 0;
    char dash = 0;
    std::string rights, device, inode, path;
    words >> std::hex >> begin >> dash >> end >> rights >> offset >> device >> inode >> path;
    if (at >= begin && at < end) return {path, offset + (at - begin)};
  }
  return {};
}

std::string path_of(int descriptor) {
  std::array<char, 4096> path{};
  const auto link = "/proc/self/fd/" + std::to_string(descriptor);
  const auto size = syscall(SYS_readlink, link.c_str(), path.data(), path.size());
  return size <= 0 ? std::string{} : std::string{path.data(), static_cast<std::size_t>(size)};
}

}  // namespace

Disk::Disk(fs::path folder, std::uint64_t seed) : folder_(fs::canonical(folder)), random_(seed) {
  for (const auto& entry : fs::directory_iterator{folder_}) {
    if (!entry.is_regular_file()) continue;
    const auto content = read_file(entry.path());
    names_[entry.path().filename()] = std::make_shared<Content>(Content{content, content, {}});
  }
  durable_names_ = names_;
  watched = this;
}

Disk::~Disk() { watched = nullptr; }

bool Disk::is_cut() const {
  const std::lock_guard lock{mutex_};
  return image_.has_value();
}

std::uint64_t Disk::operations() const {
  const std::lock_guard lock{mutex_};
  return operations_;
}

std::optional<std::string> Disk::name_of(const std::string& path) const {
  const fs::path file{path};
  if (file.parent_path() != folder_) return std::nullopt;
  auto name = file.filename().string();
  // The kernel's mark of a file without a name.
  constexpr std::string_view gone = " (deleted)";
  if (name.ends_with(gone)) return std::nullopt;
  // SQLite's index of the log is in memory, and made anew after a crash.
  if (name.ends_with("-shm")) return std::nullopt;
  return name;
}

void Disk::count() {
  if (++operations_ == cut_after_) cut();
}

void Disk::cut() {
  if (image_) return;
  auto names = durable_names_;
  // A file system that keeps changes of names in their order, or one that does not.
  const bool ordered = random_.below(2) == 0;
  const auto kept = random_.below(unsynced_names_.size() + 1);
  for (std::size_t i = 0; i < unsynced_names_.size(); ++i) {
    if (ordered ? i >= kept : random_.below(2) == 0) continue;
    const auto& [from, to, inode] = unsynced_names_[i];
    if (!from.empty()) names.erase(from);
    if (!to.empty()) names[to] = inode;
  }
  image_.emplace();
  for (const auto& [name, inode] : names)
    (*image_)[name] = is_mapped(name)
                          ? left_of_mapped(inode->durable, read_file(folder_ / name), random_)
                          : left_of(*inode, random_);
}

void Disk::image(const fs::path& folder) {
  watched = nullptr;
  const std::lock_guard lock{mutex_};
  cut();
  for (const auto& [name, content] : *image_) write_file(folder / name, content);
}

struct Disk::Calls {
  static Disk* disk() { return watched.load(); }

  static void opened(const char* path, int flags, bool was_there) {
    auto* const d = disk();
    if (d == nullptr || (flags & (O_CREAT | O_TRUNC)) == 0) return;
    std::error_code error;
    const auto name = d->name_of(fs::weakly_canonical(path, error));
    if (!name) return;
    const std::lock_guard lock{d->mutex_};
    if (!was_there) {
      auto inode = std::make_shared<Content>();
      d->names_[*name] = inode;
      d->unsynced_names_.push_back({{}, *name, std::move(inode)});
      d->count();
    } else if ((flags & O_TRUNC) != 0) {
      d->change(*name, {0, {}, true});
    }
  }
  static void written(int descriptor, const void* bytes, long size, std::int64_t offset) {
    auto* const d = disk();
    if (d == nullptr || size <= 0) return;
    const auto name = d->name_of(path_of(descriptor));
    if (!name) return;
    const std::lock_guard lock{d->mutex_};
    d->change(*name, {static_cast<std::uint64_t>(offset),
                      std::string{static_cast<const char*>(bytes), static_cast<std::size_t>(size)},
                      false});
  }
  static void truncated(int descriptor, std::int64_t length) {
    auto* const d = disk();
    if (d == nullptr) return;
    const auto name = d->name_of(path_of(descriptor));
    if (!name) return;
    const std::lock_guard lock{d->mutex_};
    d->change(*name, {static_cast<std::uint64_t>(length), {}, true});
  }
  static void synced(int descriptor) {
    auto* const d = disk();
    if (d == nullptr) return;
    const auto path = path_of(descriptor);
    const std::lock_guard lock{d->mutex_};
    if (path == d->folder_) {
      d->count();
      d->durable_names_ = d->names_;
      d->unsynced_names_.clear();
    } else if (const auto name = d->name_of(path)) {
      d->count();
      const auto found = d->names_.find(*name);
      if (found == d->names_.end()) return;
      found->second->durable =
          is_mapped(*name) ? read_file(d->folder_ / *name) : found->second->now;
      found->second->unsynced.clear();
    }
  }
  static void mapping_synced(const void* address, std::size_t size) {
    auto* const d = disk();
    if (d == nullptr) return;
    const auto [path, offset] = mapped_at(address);
    const auto name = d->name_of(path);
    if (!name) return;
    const std::lock_guard lock{d->mutex_};
    d->count();
    const auto now = read_file(d->folder_ / *name);
    auto& durable = d->names_.at(*name)->durable;
    durable.resize(now.size());
    durable.replace(offset, size, now, offset, size);
  }
  static void renamed(const char* from, const char* to) {
    auto* const d = disk();
    if (d == nullptr) return;
    std::error_code error;
    // The last part of a path stays: the file has moved.
    const auto name = [&](const fs::path& path) {
      return d->name_of(fs::weakly_canonical(path.parent_path(), error) / path.filename());
    };
    const auto old = name(from), fresh = to == nullptr ? std::string{} : name(to);
    if (!old) return;
    const std::lock_guard lock{d->mutex_};
    const auto found = d->names_.find(*old);
    if (found == d->names_.end()) return;
    const auto inode = found->second;
    d->names_.erase(found);
    if (fresh && !fresh->empty()) d->names_[*fresh] = inode;
    d->unsynced_names_.push_back({*old, fresh.value_or(""), inode});
    d->count();
  }
};

void Disk::change(const std::string& name, DiskChange change) {
  const auto found = names_.find(name);
  if (found == names_.end()) return;
  apply_change(found->second->now, change);
  found->second->unsynced.push_back(std::move(change));
  count();
}

}  // namespace millwright::test

namespace {

using Calls = millwright::test::Disk::Calls;

bool is_there(const char* path) { return syscall(SYS_access, path, 0) == 0; }

int open_and_tell(const char* path, int flags, unsigned mode) {
  const bool watching = Calls::disk() != nullptr;
  const auto before = errno;
  const bool there = watching && is_there(path);
  errno = before;
  const auto descriptor = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
  if (watching && descriptor >= 0) Calls::opened(path, flags, there);
  return descriptor;
}

}  // namespace

extern "C" int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = (flags & O_CREAT) != 0 ? va_arg(arguments, unsigned) : 0U;
  va_end(arguments);
  return open_and_tell(path, flags, mode);
}
// The same where offsets have 64 bits.
extern "C" int open64(const char*, int, ...) __attribute__((alias("open")));
extern "C" long write(int descriptor, const void* bytes, unsigned long size) {
  const bool watching = Calls::disk() != nullptr;
  const auto offset = watching ? syscall(SYS_lseek, descriptor, 0L, 1) : 0;
  const auto done = syscall(SYS_write, descriptor, bytes, size);
  if (watching && offset >= 0) Calls::written(descriptor, bytes, done, offset);
  return done;
}
extern "C" long pwrite64(int descriptor, const void* bytes, unsigned long size, long offset) {
  const auto done = syscall(SYS_pwrite64, descriptor, bytes, size, offset);
  Calls::written(descriptor, bytes, done, offset);
  return done;
}
extern "C" int ftruncate64(int descriptor, long length) noexcept {
  const auto result = static_cast<int>(syscall(SYS_ftruncate, descriptor, length));
  if (result == 0) Calls::truncated(descriptor, length);
  return result;
}
extern "C" int fsync(int descriptor) {
  const auto result = static_cast<int>(syscall(SYS_fsync, descriptor));
  if (result == 0) Calls::synced(descriptor);
  return result;
}
extern "C" int fdatasync(int descriptor) {
  const auto result = static_cast<int>(syscall(SYS_fdatasync, descriptor));
  if (result == 0) Calls::synced(descriptor);
  return result;
}
extern "C" int msync(void* address, unsigned long size, int flags) {
  const auto result = static_cast<int>(syscall(SYS_msync, address, size, flags));
  if (result == 0) Calls::mapping_synced(address, size);
  return result;
}
extern "C" int rename(const char* from, const char* to) noexcept {
  const auto result = static_cast<int>(syscall(SYS_rename, from, to));
  if (result == 0) Calls::renamed(from, to);
  return result;
}
extern "C" int unlink(const char* path) noexcept {
  const auto result = static_cast<int>(syscall(SYS_unlink, path));
  if (result == 0) Calls::renamed(path, nullptr);
  return result;
}
extern "C" int remove(const char* path) noexcept {
  const auto result = static_cast<int>(syscall(SYS_unlink, path));
  if (result == 0) {
    Calls::renamed(path, nullptr);
    return 0;
  }
  return errno == EISDIR ? static_cast<int>(syscall(SYS_rmdir, path)) : result;
}
