#include "storage/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

namespace millwright::storage {
namespace fs = std::filesystem;

File::File(const fs::path& path, int flags)
    : path_(path), descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {
  if (descriptor_ < 0) fail("cannot open");
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void File::fail(const char* doing) const {
  throw std::system_error(errno, std::generic_category(),
                          std::string{doing} + " " + path_.string());
}

std::uintmax_t File::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail("cannot get the size of");
  return static_cast<std::uintmax_t>(status.st_size);
}

void File::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::size_t File::read(char* bytes, std::size_t size, std::uintmax_t offset) const {
  std::size_t done = 0;
  while (done < size) {
    const auto got =
        ::pread(descriptor_, bytes + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read");
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void File::sync() {
  if (::fsync(descriptor_) != 0) fail("cannot sync");
}

void sync_directory(const fs::path& directory) {
  File{directory.empty() ? fs::path{"."} : directory, O_RDONLY | O_DIRECTORY}.sync();
}

std::optional<std::string> text_in(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  if (!in) return std::nullopt;
  return std::string{std::istreambuf_iterator<char>{in}, {}};
}

void replace_file(const fs::path& file, std::string_view content) {
  auto fresh = file;
  fresh += ".new";
  {
    File out{fresh, O_WRONLY | O_CREAT | O_TRUNC};
    out.write(content);
    out.sync();
  }
  std::error_code error;
  fs::rename(fresh, file, error);
  if (error) throw std::system_error{error, "cannot write " + file.string()};
  sync_directory(file.parent_path());
}

namespace {

constexpr int most_set_aside = 9;

fs::path name_aside(const fs::path& base, int n) {
  auto name = base;
  name += ".damaged-" + std::to_string(n);
  return name;
}

}  // namespace

fs::path set_aside(const fs::path& file, const fs::path& base,
                   std::initializer_list<std::string_view> suffixes) {
  fs::path target;
  for (int n = 1; n <= most_set_aside; ++n) {
    target = name_aside(base, n);
    if (!fs::exists(target)) break;
  }
  for (const auto suffix : suffixes) {
    auto from = file, to = target;
    from += suffix;
    to += suffix;
    if (fs::exists(from))
      fs::rename(from, to);
    else
      fs::remove(to);
  }
  fs::rename(file, target);
  return target;
}

std::size_t remove_set_aside(const fs::path& newest, const fs::path& base,
                             std::initializer_list<std::string_view> suffixes,
                             std::uintmax_t most) {
  struct Copy {
    fs::file_time_type time;
    fs::path file;
    std::uintmax_t size = 0;
  };
  std::vector<Copy> copies;
  std::uintmax_t size = 0;
  for (int n = 1; n <= most_set_aside; ++n) {
    const auto file = name_aside(base, n);
    if (!fs::exists(file)) continue;
    Copy copy{fs::last_write_time(file), file, fs::file_size(file)};
    for (const auto suffix : suffixes) {
      auto other = file;
      other += suffix;
      if (fs::exists(other)) copy.size += fs::file_size(other);
    }
    size += copy.size;
    if (file != newest) copies.push_back(std::move(copy));
  }
  std::sort(copies.begin(), copies.end(),
            [](const Copy& a, const Copy& b) { return a.time < b.time; });
  std::size_t gone = 0;
  for (const auto& copy : copies) {
    if (size <= most) break;
    fs::remove(copy.file);
    for (const auto suffix : suffixes) {
      auto other = copy.file;
      other += suffix;
      fs::remove(other);
    }
    size -= copy.size;
    ++gone;
  }
  return gone;
}

}  // namespace millwright::storage
