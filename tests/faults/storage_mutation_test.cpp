// Files with bytes that nobody wrote: each is set aside or refused in words, and the next start
// works.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "config/config.h"
#include "core/hash.h"
#include "core/random.h"
#include "tests/daemon/site.h"
#include "tests/faults/storage_kept.h"
#include "tests/faults/table.h"
#include "tests/support/program.h"
#include "tests/support/scale.h"

using namespace millwright::test;
using namespace std::chrono_literals;
using millwright::Random;

namespace {

namespace fs = std::filesystem;

void scatter(std::string& bytes, std::size_t from, std::size_t to, Random& random) {
  for (auto i = from; i < to && i < bytes.size(); ++i) bytes[i] = static_cast<char>(random.next());
}

// One fault as disks, crashes and people make them.
void mutate_once(std::string& bytes, Random& random) {
  if (bytes.empty()) bytes.assign(1 + random.below(100), '\0');
  const auto place = random.below(bytes.size());
  // Often near the start: there the headers are.
  const auto near = random.below(std::min<std::size_t>(bytes.size(), 128));
  const auto at = random.below(2) == 0 ? near : place;
  switch (random.below(8)) {
    case 0:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
      return;
    case 1:
      return scatter(bytes, at, at + 1 + random.below(16), random);
    case 2:
      return bytes.resize(place);
    case 3: {
      const auto size = bytes.size();
      bytes.resize(size + 1 + random.below(5000));
      return scatter(bytes, size, bytes.size(), random);
    }
    case 4: {  // a sector that was never written
      const auto sector = place / 512 * 512;
      const auto end = std::min(bytes.size(), sector + 512);
      return std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(sector),
                       bytes.begin() + static_cast<std::ptrdiff_t>(end), '\0');
    }
    case 5:  // a page of noise
      return scatter(bytes, place / 4096 * 4096, place / 4096 * 4096 + 4096, random);
    case 6: {  // a piece at another place
      const auto size = std::min<std::size_t>(bytes.size() - place, 1 + random.below(600));
      const auto piece = bytes.substr(place, size);
      bytes.replace(random.below(bytes.size()), size, piece);
      return;
    }
    default:  // a number as large as can be
      for (auto i = at; i < at + 4 && i < bytes.size(); ++i) bytes[i] = '\xff';
  }
}
void mutate(const fs::path& file, Random& random) {
  auto bytes = fs::exists(file) ? read_file(file) : std::string{};
  for (auto times = 1 + random.below(3); times > 0; --times) mutate_once(bytes, random);
  write_file(file, bytes);
}

// Gives a checkpoint with a wrong state a right checksum: what is behind that must stand it as
// well.
void seal(const fs::path& file) {
  auto bytes = read_file(file);
  constexpr std::size_t header = 40;
  if (bytes.size() < header + 8) return;
  const auto number = [&](std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 8; i > 0; --i)
      value = value << 8U | static_cast<unsigned char>(bytes[at + i - 1]);
    return value;
  };
  const auto configuration = number(24), state = number(32);
  if (configuration > bytes.size() || state > bytes.size() ||
      header + configuration + state + 8 != bytes.size())
    return;
  const std::string_view all{bytes};
  auto sum = millwright::hash64(all.substr(header + configuration, state),
                                millwright::hash64(all.substr(header, configuration),
                                                   millwright::hash64(all.substr(0, header))));
  for (std::size_t i = 0; i < 8; ++i, sum >>= 8U)
    bytes[bytes.size() - 8 + i] = static_cast<char>(sum & 0xffU);
  write_file(file, bytes);
}

// The folder as it was made, again and again.
class Originals {
 public:
  explicit Originals(const fs::path& folder) {
    for (const auto& entry : fs::directory_iterator{folder})
      files_.emplace_back(entry.path().filename().string(), read_file(entry.path()));
  }
  void put(const fs::path& folder) const {
    fs::remove_all(folder);
    fs::create_directory(folder);
    for (const auto& [name, bytes] : files_) write_file(folder / name, bytes);
  }

 private:
  std::vector<std::pair<std::string, std::string>> files_;
};

Originals originals_kept() {
  const TemporaryDirectory directory;
  make_kept(directory.path());
  return Originals{directory.path()};
}

struct Tally {
  std::int64_t files = 0, as_if_whole = 0, set_aside = 0, refused = 0;
};

void report(const std::string& what, const Tally& tally) {
  report_fault("mutated " + what, tally.files, "no crash; set aside or refused in words; goes on",
               fmt::format("0 crashes, {} set aside, {} refused, {} had what was needed",
                           tally.set_aside, tally.refused, tally.as_if_whole));
}

}  // namespace

TEST_CASE("a lane starts on whatever its checkpoints and its journal hold") {
  const TemporaryDirectory place;
  const auto folder = place / "state";
  const auto originals = originals_kept();
  originals.put(folder);
  const auto whole = take_up_lane(folder);
  REQUIRE(whole.sensors == 2);
  REQUIRE(whole.replayed == 80);
  Random random{83};
  Tally states, journals;
  for (int round = 0; round < scaled(300, 6000); ++round) {
    CAPTURE(round);
    originals.put(folder);
    auto& tally = round % 2 == 0 ? states : journals;
    if (round % 2 == 0) {
      mutate(folder / Kept::checkpoint, random);
      if (random.below(2) == 0) seal(folder / Kept::checkpoint);
      if (random.below(3) == 0) mutate(folder / Kept::older_checkpoint, random);
    } else {
      mutate(folder / Kept::journal, random);
    }
    ++tally.files;
    const auto found = take_up_lane(folder);
    for (const auto& sentence : found.set_aside) CHECK(sentence.size() > 20);
    if (!found.refused.empty()) {
      // By its version: nothing was touched, and it is not for this program.
      CHECK(found.refused.find("version") != std::string::npos);
      ++tally.refused;
      continue;
    }
    tally.set_aside += found.set_aside.empty() ? 0 : 1;
    tally.as_if_whole += found.set_aside.empty() ? 1 : 0;
    const auto next = take_up_lane(folder);
    REQUIRE(next.set_aside.empty());
    REQUIRE(next.refused.empty());
    REQUIRE(next.checkpoint > 0);
    REQUIRE(next.sensors >= 1);
  }
  CHECK(states.set_aside > states.files / 2);
  CHECK(journals.files > 0);
  report("checkpoints", states);
  report("journals", journals);
}

TEST_CASE("an archive opens whatever its file and its log hold") {
  const TemporaryDirectory place;
  const auto folder = place / "state";
  const auto originals = originals_kept();
  const auto file = folder / Kept::archive;
  originals.put(folder);
  const auto whole = take_up_archive(file);
  REQUIRE(whole.alert_events > 0);
  REQUIRE(whole.applied == 1200);
  Random random{89};
  Tally archives, logs;
  for (int round = 0; round < scaled(100, 2500); ++round) {
    CAPTURE(round);
    originals.put(folder);
    auto& tally = round % 2 == 0 ? archives : logs;
    mutate(folder / (round % 2 == 0 ? Kept::archive : Kept::log), random);
    ++tally.files;
    const auto before = read_file(file);
    const auto found = take_up_archive(file);
    if (!found.refused.empty()) {
      CAPTURE(found.refused);
      CHECK(found.refused.find(file.string()) != std::string::npos);
      CHECK(read_file(file) == before);
      ++tally.refused;
      continue;
    }
    tally.set_aside += found.set_aside ? 1 : 0;
    tally.as_if_whole += found.set_aside ? 0 : 1;
    const auto next = take_up_archive(file);
    REQUIRE_FALSE(next.set_aside);
    REQUIRE(next.refused.empty());
  }
  CHECK(archives.set_aside > archives.files / 10);
  report("archives", archives);
  report("logs of archives", logs);
}

TEST_CASE("a configuration of any bytes is taken or refused in words") {
  const fs::path source{MILLWRIGHT_SOURCE};
  std::vector<std::string> examples;
  for (const auto& entry : fs::directory_iterator{source / "config/examples"})
    if (entry.path().extension() == ".json") examples.push_back(read_file(entry.path()));
  REQUIRE(examples.size() > 1);
  std::sort(examples.begin(), examples.end());
  const TemporaryDirectory directory;
  const auto file = directory / "millwright.json";
  Random random{97};
  Tally tally;
  for (int round = 0; round < scaled(200, 2000); ++round) {
    CAPTURE(round);
    write_file(file, examples[random.below(examples.size())]);
    mutate(file, random);
    ++tally.files;
    const auto loaded = millwright::config::load(file);
    if (loaded.configuration) {
      ++tally.as_if_whole;
      // And it stands in the journal as it is meant.
      REQUIRE(millwright::config::parse(loaded.text, "again").configuration);
      continue;
    }
    ++tally.refused;
    REQUIRE_FALSE(loaded.problems.empty());
    for (const auto& problem : loaded.problems) REQUIRE(problem.message.size() > 5);
  }
  CHECK(tally.refused > tally.files / 4);
  report("configurations", tally);
}

TEST_CASE("the program starts on damaged files, and once more after that") {
  const Broker broker;
  Site site{broker};
  site.config["processing"]["journal_bytes"] = 64 << 10;
  site.config["limits"] = {{"payload_bytes", 4096}};
  const auto journals = site.directory() / "journals";
  site.config["processing"]["journal_directory"] = journals.string();
  site.start();
  {
    Client client{listener(broker, "source")};
    REQUIRE(client.up());
    REQUIRE(wait_until([&] { return site.running_and_connected(); }));
    for (int second = 10; second < 60; ++second)
      REQUIRE(client.publish(telemetry("R1", fmt::format("2025-03-10T00:01:{}Z", second), "temp",
                                       second < 40 ? 60 : 120)));
    REQUIRE(pass_marker(client, "2025-03-10T00:02:00Z"));
    REQUIRE(wait_until([&] { return fs::exists(site.state() / "lane-0.state.1"); }));
    client.stop();
  }
  site.kill();
  const Originals state{site.state()}, journal{journals};
  Random random{101};
  Tally tally;
  for (int round = 0; round < scaled(6, 200); ++round) {
    CAPTURE(round);
    state.put(site.state());
    journal.put(journals);
    for (const auto& name :
         {"lane-0.state", "lane-0.state.1", "millwright.db", "millwright.db-wal"})
      if (random.below(2) == 0) mutate(site.state() / name, random);
    mutate(journals / "lane-0.journal", random);
    tally.files += 1;
    bool refused = false;
    for (int start = 0; start < 2; ++start) {
      CAPTURE(start);
      site.start_without_waiting();
      REQUIRE(wait_until(
          [&] {
            return site.log().find("Millwright runs") != std::string::npos ||
                   !site.process().running();
          },
          30s));
      CAPTURE(site.log());
      if (!site.process().running()) {
        // A newer version's: that is for a person, and systemd does not try again.
        REQUIRE(site.process().wait()->code == 78);
        REQUIRE(site.log().find("version") != std::string::npos);
        refused = true;
        break;
      }
      if (start == 0 && site.log().find("set aside") != std::string::npos) ++tally.set_aside;
      if (start == 1) CHECK(site.log().find("set aside as") == std::string::npos);
      REQUIRE(site.stop().code == 0);
    }
    tally.refused += refused ? 1 : 0;
  }
  tally.as_if_whole = tally.files - tally.set_aside - tally.refused;
  CHECK(tally.set_aside > 0);
  report("files, `millwright run`", tally);
}

TEST_CASE("check-config says what is wrong with any bytes, and never crashes") {
  const auto example = read_file(fs::path{MILLWRIGHT_SOURCE} / "config/examples/minimal.json");
  const TemporaryDirectory directory;
  const auto file = directory / "millwright.json";
  Random random{103};
  Tally tally;
  for (int round = 0; round < scaled(20, 300); ++round) {
    CAPTURE(round);
    write_file(file, example);
    mutate(file, random);
    ++tally.files;
    const auto finished =
        run_program({MILLWRIGHT_BINARY, {"check-config", file.string()}, {}, {}, {}});
    CAPTURE(finished.err);
    REQUIRE((finished.code == 0 || finished.code == 78));
    if (finished.code == 78)
      REQUIRE((finished.err + finished.out).find("error") != std::string::npos);
    ++(finished.code == 0 ? tally.as_if_whole : tally.refused);
  }
  CHECK(tally.refused > 0);
  report("files, `check-config`", tally);
}
