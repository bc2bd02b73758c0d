// What keeps the daemon from starting, and with which exit code: 78 needs a person at the
// configuration, 74 is the machine's trouble. A broker that is away is neither.
#include <doctest/doctest.h>

#include <string>

#include "tests/daemon/site.h"

using namespace millwright::test;
using namespace std::chrono_literals;

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
