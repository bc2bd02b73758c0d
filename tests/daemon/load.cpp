#include "tests/daemon/load.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "core/time.h"

namespace millwright::test {

using namespace std::chrono_literals;

void only_limits(Site& site) {
  site.config["profiles"] = Json::parse(R"([
    { "match": "marker/*", "detectors": ["limit"], "limits": { "high": 1 } },
    { "match": "*", "detectors": ["limit"], "limits": { "high": 90 } } ])");
}

void Load::minute() {
  static constexpr std::array<double, 6> values{95, 130, 180, 60, 60, 60};
  for (int machine = 0; machine < machines_; ++machine) {
    const auto value = values[static_cast<std::size_t>(minute_ + machine) % values.size()];
    const auto message = telemetry("R" + std::to_string(machine), now(), "temp", value);
    REQUIRE(wait_until([&] { return source_.send(message, ++tag_); }, 60s));
  }
  ++minute_;
}

bool Load::until(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000; ++i) {
    minute();
    if (wait_until(condition, 30ms)) return true;
  }
  return false;
}

std::string Load::now() const {
  return format_time(*parse_time("2025-03-10T00:00:00Z") + std::chrono::minutes{minute_});
}

std::size_t Tail::count(const std::string& words) {
  std::ifstream in{file_, std::ios::binary};
  // Words that were cut by the end of what there was.
  const auto overlap = std::min(read_, words.size() - 1);
  in.seekg(static_cast<std::streamoff>(read_ - overlap));
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  for (auto at = text.find(words); at != text.npos; at = text.find(words, at + 1)) ++count_;
  read_ += text.size() - overlap;
  return count_;
}

}  // namespace millwright::test
