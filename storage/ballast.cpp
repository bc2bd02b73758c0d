#include "storage/ballast.h"

#include <fcntl.h>
#include <unistd.h>

#include <system_error>

namespace millwright::storage {
namespace fs = std::filesystem;

bool Ballast::take() noexcept {
  std::error_code error;
  if (fs::file_size(file_, error) == size_ && !error) return true;
  const auto folder = file_.has_parent_path() ? file_.parent_path() : fs::path{"."};
  const auto space = fs::space(folder, error);
  if (error || space.available < 2 * size_) return false;
  const int file = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool taken = ::posix_fallocate(file, 0, static_cast<off_t>(size_)) == 0;
  ::close(file);
  if (!taken) fs::remove(file_, error);
  return taken;
}

bool Ballast::release() noexcept {
  std::error_code error;
  return fs::remove(file_, error) && !error;
}

}  // namespace millwright::storage
