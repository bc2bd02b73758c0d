#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "daemon/quarantine.h"
#include "tests/support/temporary.h"

using namespace millwright;
using daemon::BadMessage;
using daemon::Quarantine;

namespace {

Timestamp second(int n) { return Timestamp{std::chrono::seconds{n}}; }

std::size_t count(const std::vector<BadMessage>& messages, Reject reason) {
  std::size_t n = 0;
  for (const auto& message : messages) n += message.reason == reason ? 1 : 0;
  return n;
}

}  // namespace

TEST_CASE("a flood of one kind cannot push out the others") {
  Quarantine quarantine{"unused", 10};
  quarantine.add(Reject::not_json, "", "a", "{", second(0));
  quarantine.add(Reject::bad_time, "/ts", "a", "{}", second(1));
  for (int i = 0; i < 1000; ++i) {
    quarantine.add(Reject::unknown_topic, "", "t" + std::to_string(i), "1", second(2 + i));
  }
  const auto messages = quarantine.messages();
  CHECK(messages.size() == 10);
  CHECK(count(messages, Reject::not_json) == 1);
  CHECK(count(messages, Reject::bad_time) == 1);
  CHECK(messages.back().topic == "t999");
  CHECK(quarantine.counts()[Reject::unknown_topic] == 1000);
}

TEST_CASE("floods of several kinds end with equal shares, the newest of each") {
  Quarantine quarantine{"unused", 12};
  const Reject reasons[] = {Reject::not_json, Reject::empty, Reject::bad_time};
  for (const auto reason : reasons) {
    for (int i = 0; i < 100; ++i) quarantine.add(reason, "", std::to_string(i), "x", second(i));
  }
  // A flood that came first gives room to those that come later.
  const auto messages = quarantine.messages();
  CHECK(messages.size() == 12);
  for (const auto reason : reasons) CHECK(count(messages, reason) == 4);
  for (const auto& message : messages) CHECK(std::stoi(message.topic) >= 96);
}

TEST_CASE("a single kind may use the whole quarantine") {
  Quarantine quarantine{"unused", 5};
  for (int i = 0; i < 7; ++i) quarantine.add(Reject::empty, "", std::to_string(i), "", second(i));
  const auto messages = quarantine.messages();
  REQUIRE(messages.size() == 5);
  CHECK(messages.front().topic == "2");
  CHECK(messages.back().topic == "6");
}

TEST_CASE("payload, topic and place are kept up to a bound, the size is kept in full") {
  Quarantine quarantine{"unused", 5, 10};
  quarantine.add(Reject::not_json, std::string(10'000, 'w'), std::string(65'000, 't'),
                 "123456789\xc3\xa4", second(0));
  quarantine.add(Reject::not_json, "", "", std::string(100, '\x80'), second(0));
  const auto messages = quarantine.messages();
  CHECK(messages[0].payload == "123456789");  // not half a character
  CHECK(messages[0].bytes == 11);
  CHECK(messages[0].topic.size() == 1024);
  CHECK(messages[0].where.size() == 256);
  CHECK(messages[1].payload.size() == 10);
}

TEST_CASE("a quarantine of no messages still counts") {
  Quarantine quarantine{"unused", 0};
  quarantine.add(Reject::empty, "", "a", "", second(0));
  CHECK(quarantine.messages().empty());
  CHECK(quarantine.counts()[Reject::empty] == 1);
}

TEST_CASE("what was saved is loaded, to the byte") {
  const test::TemporaryDirectory directory;
  const auto file = directory / "quarantine-0.jsonl";
  const std::string binary{"\x00\xff\x01", 3};
  Quarantine first{file, 10};
  CHECK(first.load() == 0);  // no file yet
  first.add(Reject::not_json, "/a", "acme/R1", "{\"a\":\n", second(5));
  first.add(Reject::not_utf8, "", "acme/R2", binary, second(6));
  first.save();

  Quarantine second_run{file, 10};
  CHECK(second_run.load() == 0);
  const auto messages = second_run.messages();
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].received == second(5));
  CHECK(messages[0].reason == Reject::not_json);
  CHECK(messages[0].where == "/a");
  CHECK(messages[0].topic == "acme/R1");
  CHECK(messages[0].payload == "{\"a\":\n");
  CHECK(messages[0].bytes == 6);
  CHECK(messages[1].payload == binary);
  CHECK(second_run.counts()[Reject::not_json] == 1);
  CHECK(second_run.counts() == first.counts());
  second_run.add(Reject::not_json, "", "acme/R3", "x", second(7));
  CHECK(second_run.counts()[Reject::not_json] == 2);
  CHECK(second_run.messages().back().topic == "acme/R3");
}

TEST_CASE("the file is JSON lines and leaves no other file beside it") {
  const test::TemporaryDirectory directory;
  const auto file = directory / "quarantine-0.jsonl";
  Quarantine quarantine{file, 10};
  quarantine.add(Reject::not_utf8, "", "t\xff", "\xfe\xff", second(0));
  quarantine.save();
  const auto text = test::read_file(file);
  const auto end = text.find('\n');
  CHECK(nlohmann::json::parse(text.substr(0, end)) ==
        nlohmann::json{{"quarantine", 1}, {"counts", {{"not_utf8", 1}}}});
  const auto message = nlohmann::json::parse(text.substr(end + 1));
  CHECK(message["payload_hex"] == "feff");
  CHECK(message["topic"] == "t\xef\xbf\xbd");
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator{file.parent_path()}) {
    ++files;
  }
  CHECK(files == 1);
}

TEST_CASE("damaged lines are counted and the others kept") {
  const test::TemporaryDirectory directory;
  const auto file = directory / "quarantine-0.jsonl";
  const std::string good =
      R"({"time":"2024-11-22T04:33:20.123Z","reason":"empty","where":"","topic":"t","bytes":0,"payload":""})";
  const auto line = [&](const char* from, const char* to) {
    auto changed = good;
    changed.replace(changed.find(from), std::string{from}.size(), to);
    return changed + "\n";
  };
  test::write_file(file, "{\"quarantine\":1,\"counts\":{\"empty\":5}}\n" + good + "\n" +
                             good.substr(0, 40) + "\n" + line("empty", "no_such_reason") +
                             line("2024", "never") + line("\"bytes\":0", "\"bytes\":-1") +
                             line("\"payload\":\"\"", "\"payload_hex\":\"0g\"") +
                             std::string(100'000, '[') + "\n\xff\n" + good + "\n");
  Quarantine quarantine{file, 10};
  CHECK(quarantine.load() == 7);
  CHECK(quarantine.messages().size() == 2);
  CHECK(quarantine.counts()[Reject::empty] == 5);
}

TEST_CASE("nothing is written when nothing changed") {
  const test::TemporaryDirectory directory;
  const auto file = directory / "quarantine-0.jsonl";
  Quarantine quarantine{file, 10};
  quarantine.save();
  CHECK(!std::filesystem::exists(file));
}

TEST_CASE("a folder that is not there is an error and the message is kept for the next try") {
  const test::TemporaryDirectory directory;
  const auto folder = directory / "later";
  Quarantine quarantine{folder / "quarantine-0.jsonl", 10};
  quarantine.add(Reject::empty, "", "t", "", second(0));
  CHECK_THROWS_AS(quarantine.save(), std::system_error);
  std::filesystem::create_directory(folder);
  quarantine.save();
  CHECK(std::filesystem::exists(folder / "quarantine-0.jsonl"));
}
