// What keeps the daemon from starting, and with which exit code: 78 needs a person at the
// configuration, 74 is the machine's trouble. A broker that is away is neither.
#include <doctest/doctest.h>

#include <signal.h>
#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/hash.h"
#include "daemon/right_clock.h"

#include "tests/daemon/site.h"

using namespace millwright::test;
using namespace std::chrono_literals;
using millwright::daemon::Log;

namespace {

Exit end_of(Site& site) {
  site.start_without_waiting();
  const auto ended = site.process().wait(30s);
  if (!ended) throw std::runtime_error{"it runs: " + site.log()};
  return *ended;
}

bool says(const Site& site, const std::string& text) {
  return site.log().find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("a state directory that cannot be made ends the start with 74") {
  const Broker broker;
  Site site{broker};
  // Below a file: not even root can make a directory there.
  write_file(site.directory() / "file", "");
  site.config["state_directory"] = (site.directory() / "file/state").string();
  CHECK(end_of(site).code == 74);
  CHECK(says(site, "cannot make the directory"));
}

TEST_CASE("a state directory that cannot be written ends the start with 74") {
  const Broker broker;
  Site site{broker};
  std::filesystem::create_directories(site.state() / "lock");  // where a file has to be
  CHECK(end_of(site).code == 74);
  CHECK(says(site, "cannot be written"));
}

TEST_CASE("a second instance on one state directory ends with 74 and leaves the first alone") {
  const Broker broker;
  Site first{broker}, second{broker};
  first.start();
  second.config["state_directory"] = first.state().string();
  CHECK(end_of(second).code == 74);
  CHECK(says(second, "another Millwright uses the state directory"));
  CHECK(first.process().running());
  CHECK(first.stop().code == 0);
}

TEST_CASE("a configuration that is missing, or has errors, ends the start with 78") {
  const TemporaryDirectory directory;
  const auto file = directory / "none.json";
  const auto [missing, said] = run({MILLWRIGHT_BINARY, "run", "--config", file.string()});
  CHECK(missing.code == 78);
  CHECK(said.find("none.json") != std::string::npos);
  write_file(file, "{\n \"sight\": 1 }");
  const auto [broken, errors] = run({MILLWRIGHT_BINARY, "run", "--config", file.string()});
  CHECK(broken.code == 78);
  CHECK(errors.find("none.json:2:") != std::string::npos);
}

TEST_CASE("a password that cannot be read ends the start with 78") {
  const Broker broker;
  Site site{broker};
  const auto none = (site.directory() / "none").string();
  site.config["broker"]["username"] = "millwright";
  site.config["broker"]["password_file"] = none;
  CHECK(end_of(site).code == 78);
  CHECK(says(site, "password cannot be read from " + none));

  site.config["broker"].erase("password_file");
  site.config["broker"]["password_credential"] = "mqtt";
  CHECK(end_of(site).code == 78);
  CHECK(says(site, "LoadCredential=mqtt:FILE"));
  site.environment = {{"CREDENTIALS_DIRECTORY", site.directory().path().string()}};
  CHECK(end_of(site).code == 78);
  CHECK(says(site, "password cannot be read"));
}

TEST_CASE("a credential is the password at the broker, a wrong one is said and tried again") {
  const Broker broker{{.username = "millwright", .password = "secret"}};
  Site site{broker};
  site.config["broker"]["username"] = "millwright";
  site.config["broker"]["password_credential"] = "mqtt";
  site.environment = {{"CREDENTIALS_DIRECTORY", site.directory().path().string()}};
  write_file(site.directory() / "mqtt", "wrong\n");
  site.start();
  CHECK(wait_until([&] { return says(site, "The broker cannot be reached"); }));
  CHECK(site.process().running());
  CHECK(site.stop().code == 0);
  write_file(site.directory() / "mqtt", "secret\n");
  site.start();
  CHECK(wait_until([&] { return site.running_and_connected(); }));
  CHECK(site.stop().code == 0);
  CHECK(!says(site, "secret"));
}

TEST_CASE("a broker that is away at the start is waited for") {
  Broker broker;
  broker.stop();
  Site site{broker};
  site.start();
  REQUIRE(wait_until([&] { return says(site, "The broker cannot be reached"); }));
  CHECK(site.process().running());
  broker.start();
  CHECK(wait_until([&] { return site.running_and_connected(); }, 40s));
  CHECK(site.stop().code == 0);
}

TEST_CASE("without a broker it stops at once") {
  Broker broker;
  broker.stop();
  Site site{broker};
  site.start();
  CHECK(site.stop().code == 0);
  CHECK(says(site, "Stopped: drained, committed and saved"));
}

TEST_CASE("a clock that is wrong is waited for, and systemd is told so") {
  const TemporaryDirectory directory;
  const Notifications told{directory / "notify"};
  ::setenv("NOTIFY_SOCKET", (directory / "notify").c_str(), 1);
  std::string said;
  Log log{{.write = [&](std::string_view line) { said += line; }}};
  const auto wrong = std::chrono::sys_days{1970y / 1 / 1};
  const auto right = std::chrono::sys_days{2026y / 11 / 28};
  int looks = 0;
  const auto waited = millwright::daemon::wait_for_right_clock(
      [&]() -> millwright::Timestamp { return ++looks < 8 ? wrong : right; }, log);
  ::unsetenv("NOTIFY_SOCKET");
  CHECK(waited == millwright::daemon::Waited::clock_is_right);
  CHECK(said.find("The clock is wrong, it is waited for") != std::string::npos);
  CHECK(said.find("The clock has been set clock=2026-11-28T00:00:00") != std::string::npos);
  CHECK(wait_until([&] { return told.count("WATCHDOG=1") >= 2; }));
  CHECK(told.count("READY=1") == 1);
  CHECK(told.count("STATUS=waits for the clock to be set, it says " +
                   millwright::format_time(wrong) + "; takes in no readings") >= 2);
}

TEST_CASE("a right clock is not waited for, and a wait ends when it is told to") {
  using millwright::daemon::Waited;
  std::string said;
  Log log{{.write = [&](std::string_view line) { said += line; }}};
  const auto at = [&](std::chrono::sys_days day) {
    return millwright::daemon::wait_for_right_clock(
        [day]() -> millwright::Timestamp { return day; }, log);
  };
  CHECK(at(2020y / 1 / 1) == Waited::clock_is_right);
  CHECK(said.empty());
  // On this thread, as the daemon's first: blocked, so that the wait takes it.
  sigset_t signals, before;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, &before);
  pthread_kill(pthread_self(), SIGTERM);
  CHECK(at(2019y / 12 / 31) == Waited::told_to_stop);
  pthread_kill(pthread_self(), SIGHUP);
  CHECK(at(2019y / 12 / 31) == Waited::told_to_reload);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("a database that somebody has locked keeps no alert back, and has it when it is free") {
  const Broker broker;
  Site site{broker};
  site.start();
  REQUIRE(site.stop().code == 0);
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open((site.state() / "millwright.db").c_str(), &other) == SQLITE_OK);
  REQUIRE(sqlite3_exec(other, "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE", nullptr, nullptr,
                       nullptr) == SQLITE_OK);

  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  // How long it tries is the disk's own affair.
  CHECK(wait_until([&] { return says(site, "alerts go out without it"); }, 30s));
  CHECK(pass_marker(client, "2025-03-10T06:00:00Z"));
  CHECK(site.process().running());

  REQUIRE(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(other);
  CHECK(site.stop().code == 0);
  CHECK(raised_kinds(archived_events(site)).find("limit") != std::string::npos);
}

TEST_CASE("a checkpoint of a newer version ends the start with 78 and is left as it is") {
  const Broker broker;
  Site site{broker};
  site.start();
  REQUIRE(site.stop().code == 0);
  auto bytes = read_file(site.state() / "lane-0.state");
  // docs/formats/checkpoint.md: the version, and the check that says it is not damage.
  bytes[8] = 99;
  const auto check = static_cast<std::uint32_t>(millwright::hash64(bytes.substr(0, 12)));
  std::memcpy(bytes.data() + 12, &check, sizeof check);
  write_file(site.state() / "lane-0.state", bytes);
  CHECK(end_of(site).code == 78);
  CHECK(says(site, "format version 99"));
  CHECK(read_file(site.state() / "lane-0.state") == bytes);
}
