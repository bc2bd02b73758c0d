#include "storage/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

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

fs::path set_aside(const fs::path& file, const fs::path& base,
                   std::initializer_list<std::string_view> suffixes) {
  constexpr int most = 9;
  fs::path target;
  for (int n = 1; n <= most; ++n) {
    target = base;
    target += ".damaged-" + std::to_string(n);
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

}  // namespace millwright::storage
