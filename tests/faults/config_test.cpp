// A configuration file that is half written when the daemon is told to read it.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <string>

#include "tests/daemon/site.h"
#include "tests/faults/table.h"
#include "tests/support/scale.h"

using namespace millwright::test;
using namespace std::chrono_literals;

namespace {

std::size_t times(const std::string& text, const std::string& words) {
  std::size_t n = 0;
  for (auto at = text.find(words); at != text.npos; at = text.find(words, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a configuration cut at any byte is refused on reload, and the old one goes on") {
  const Broker broker;
  Site site{broker};
  Notifications systemd{site.directory() / "notify"};
  site.environment = {{"NOTIFY_SOCKET", (site.directory() / "notify").string()}};
  site.start();
  Client client{listener(broker, "client")};
  REQUIRE(client.up());
  REQUIRE(wait_until([&] { return site.running_and_connected(); }));
  const auto whole = site.config.dump(2);
  // Without its last byte it is whole still, but for the brace.
  const auto step = static_cast<std::size_t>(scaled(20, 1));
  std::int64_t cuts = 0;
  for (std::size_t cut = 0; cut + 1 <= whole.size(); cut += step) {
    CAPTURE(cut);
    const auto ready = systemd.count("READY=1");
    write_file(site.config_file(), whole.substr(0, cut));
    site.process().signal(SIGHUP);
    REQUIRE(wait_until([&] { return systemd.count("READY=1") > ready; }));
    ++cuts;
  }
  // What is repeated is said less often: one sentence at least, and never of success.
  const auto log = site.log();
  CHECK(times(log, "the old one stays in force") > 0);
  CHECK(times(log, "The configuration was reloaded") == 0);
  CHECK(pass_marker(client, "2025-03-10T06:00:00Z"));
  site.reload();
  CHECK(wait_until([&] { return times(site.log(), "The configuration was reloaded") == 1; }));
  CHECK(site.stop().code == 0);
  report_fault("configuration half written, then reload", cuts, "refused, the old one in force",
               "refused each time; readings go on; the whole file is taken afterwards");
}
