// A file for loaders that want one, on tmpfs where there is one, gone with the process.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fuzz/fuzz.h"

namespace millwright::fuzz {

class Scratch {
 public:
  Scratch() { std::filesystem::create_directories(folder_); }
  ~Scratch() {
    std::error_code ignored;  // at exit; what is left is in a temporary folder
    std::filesystem::remove_all(folder_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // The folder is emptied, and has this one file then.
  std::filesystem::path with(std::string_view bytes) const {
    for (const auto& entry : std::filesystem::directory_iterator{folder_})
      std::filesystem::remove_all(entry);
    const auto file = folder_ / "file";
    std::ofstream out{file, std::ios::binary};
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    require(!out.fail(), "there is room for the file");
    return file;
  }

 private:
  static std::filesystem::path base() {
    return std::filesystem::is_directory("/dev/shm") ? "/dev/shm"
                                                     : std::filesystem::temp_directory_path();
  }
  std::filesystem::path folder_ = base() / ("millwright-fuzz-" + std::to_string(::getpid()));
};

}  // namespace millwright::fuzz
