#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "daemon/log.h"

using namespace std::chrono_literals;
using namespace millwright::daemon;

namespace {

struct Captured {
  std::vector<std::string> lines;
  std::chrono::steady_clock::time_point now{};

  LogOptions options(bool priorities = false) {
    LogOptions options;
    options.write = [this](std::string_view line) { lines.emplace_back(line); };
    options.priorities = priorities;
    options.interval = 10s;
    options.now = [this] { return now; };
    return options;
  }
};

}  // namespace

TEST_CASE("a line is one sentence with its pairs") {
  Captured captured;
  Log log{captured.options()};
  log.info("The daemon is ready", {{"lanes", 2}, {"site", "berlin"}, {"rate", 0.5}, {"tls", true}});
  log.warning("No pairs");
  log.error("Odd values", {{"empty", ""}, {"space", "a b"}, {"quote", "a\"b"}, {"line", "a\nb"}});
  CHECK(captured.lines ==
        std::vector<std::string>{
            "info: The daemon is ready lanes=2 site=berlin rate=0.5 tls=true\n",
            "warning: No pairs\n",
            "error: Odd values empty=\"\" space=\"a b\" quote=\"a\\\"b\" line=a\\nb\n"});
}

TEST_CASE("for journald a line begins with its priority") {
  Captured captured;
  Log log{captured.options(true)};
  log.info("a");
  log.warning("b");
  log.error("c");
  CHECK(captured.lines == std::vector<std::string>{"<6>a\n", "<4>b\n", "<3>c\n"});
}

TEST_CASE("a repeated sentence is held back and its count comes with the next one") {
  Captured captured;
  Log log{captured.options()};
  for (int i = 0; i < 4; ++i) log.warning("Cannot publish", {{"try", i}});
  log.info("Another sentence");
  CHECK(captured.lines.size() == 2);
  captured.now += 10s;
  log.warning("Cannot publish", {{"try", 4}});
  REQUIRE(captured.lines.size() == 3);
  CHECK(captured.lines[2] == "warning: Cannot publish try=4 (3 times more)\n");
  captured.now += 11s;
  log.warning("Cannot publish", {{"try", 5}});
  CHECK(captured.lines.back() == "warning: Cannot publish try=5\n");
}

TEST_CASE("flush says what was held back, once its time has come") {
  Captured captured;
  Log log{captured.options()};
  log.error("Disk is full", {{"free", 2}});
  log.error("Disk is full", {{"free", 1}});
  log.flush();
  CHECK(captured.lines.size() == 1);
  captured.now += 10s;
  log.flush();
  REQUIRE(captured.lines.size() == 2);
  CHECK(captured.lines[1] == "error: Disk is full free=1 (1 time more)\n");
  captured.now += 10s;
  log.flush();
  CHECK(captured.lines.size() == 2);
}

TEST_CASE("nothing that was held back is lost at the end") {
  Captured captured;
  {
    Log log{captured.options()};
    log.info("Again");
    log.info("Again");
  }
  REQUIRE(captured.lines.size() == 2);
  CHECK(captured.lines[1] == "info: Again (1 time more)\n");
}

TEST_CASE("the lines of several threads stay whole and every call is counted") {
  Captured captured;
  constexpr int threads = 4, calls = 500;
  {
    Log log{captured.options()};
    std::vector<std::jthread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([&log] {
        for (int i = 0; i < calls; ++i) log.info("Same sentence", {{"i", i}});
      });
    }
  }
  REQUIRE(captured.lines.size() == 2);
  CHECK(captured.lines[1].find("(1999 times more)") != std::string::npos);
}

TEST_CASE("only the stream that JOURNAL_STREAM names is the journal") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  struct stat status {};
  REQUIRE(::fstat(ends[1], &status) == 0);
  const auto named = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  CHECK(is_journal(ends[1], named.c_str()));
  CHECK(!is_journal(ends[1], "1:2"));
  CHECK(!is_journal(ends[1], nullptr));
  ::close(ends[0]);
  ::close(ends[1]);
  CHECK(!is_journal(-1, named.c_str()));
}
