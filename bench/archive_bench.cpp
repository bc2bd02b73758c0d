// How fast minute summaries go into the archive and what that costs the disk:
//   bench_archive [sensors] [minutes] [directory] [megabytes]
// Defaults: 10000, 60, the temporary directory, and the bound that the configuration has. A minute
// is committed and trimmed, as the daemon does.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/random.h"
#include "storage/archive.h"

namespace fs = std::filesystem;
using namespace millwright;
using Clock = std::chrono::steady_clock;

namespace {

// Bytes that this process caused to be sent to disks; nothing on tmpfs, where no disk is.
std::uint64_t bytes_written() {
  std::ifstream in{"/proc/self/io"};
  std::string key;
  std::uint64_t value = 0;
  while (in >> key >> value)
    if (key == "write_bytes:") return value;
  return 0;
}

std::uint64_t argument(int argc, char** argv, int place, std::uint64_t otherwise) {
  return argc > place ? std::strtoull(argv[place], nullptr, 10) : otherwise;
}

struct Result {
  double seconds = 0;
  std::vector<double> commits;  // seconds each
};

Result write_minutes(storage::Archive& archive, std::uint64_t sensors, std::uint64_t minutes) {
  std::vector<std::string> machines, names;
  for (std::uint64_t i = 0; i < sensors; ++i) {
    machines.push_back(fmt::format("R{:03}", i / 100));
    names.push_back(fmt::format("signal_{}", i % 100));
  }
  Random random{1};
  const Timestamp start = *parse_time("2024-11-22T00:00:00Z");
  Result result;
  for (std::uint64_t minute = 0; minute < minutes; ++minute) {
    storage::Batch batch;
    for (std::uint64_t i = 0; i < sensors; ++i) {
      Summary summary;
      summary.minute = start + std::chrono::minutes{minute};
      summary.position = minute + 1;
      for (int k = 0; k < 4; ++k) summary.add(20 + random.uniform());
      batch.summaries.push_back({0, machines[i], names[i], "degC", summary});
    }
    batch.through = {{0, minute + 1}};
    const auto before = Clock::now();
    archive.commit(batch);
    archive.trim();
    result.commits.push_back(std::chrono::duration<double>(Clock::now() - before).count());
    result.seconds += result.commits.back();
  }
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  const auto sensors = argument(argc, argv, 1, 10'000), minutes = argument(argc, argv, 2, 60);
  const fs::path parent = argc > 3 ? fs::path{argv[3]} : fs::temp_directory_path();
  std::string name = (parent / "millwright-bench-XXXXXX").string();
  if (sensors == 0 || minutes == 0 || mkdtemp(name.data()) == nullptr) {
    fmt::print(stderr, "usage: bench_archive [sensors] [minutes] [directory] [megabytes]\n");
    return 64;
  }
  const fs::path directory{name};
  storage::Bounds bounds;
  bounds.bytes = argument(argc, argv, 4, bounds.bytes / 1'000'000) * 1'000'000;
  const auto before = bytes_written();
  Result result;
  storage::Removed removed;
  {
    storage::Archive archive{directory / "archive.db", bounds};
    result = write_minutes(archive, sensors, minutes);
    removed = archive.removed();
  }
  const auto rows = static_cast<double>(sensors * minutes);
  const auto file = static_cast<double>(fs::file_size(directory / "archive.db"));
  std::sort(result.commits.begin(), result.commits.end());
  fmt::print("rows             {:.0f} ({} sensors x {} minutes)\n", rows, sensors, minutes);
  fmt::print("rows/s           {:.0f}\n", rows / result.seconds);
  fmt::print("commit p50, max  {:.1f} ms, {:.1f} ms\n",
             1e3 * result.commits[result.commits.size() / 2], 1e3 * result.commits.back());
  fmt::print("written per row  {:.0f} bytes (0: no disk under it, e.g. tmpfs)\n",
             static_cast<double>(bytes_written() - before) / rows);
  fmt::print("file per row     {:.0f} bytes\n",
             file / (rows - static_cast<double>(removed.minutes)));
  fmt::print("file             {:.1f} MB of {:.0f}; {} rows made room\n", file / 1e6,
             static_cast<double>(bounds.bytes) / 1e6, removed.minutes);
  fs::remove_all(directory);
}
