#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/cli/millwright.h"
#include "tests/support/temporary.h"

using namespace millwright::test;

namespace {

const std::vector<std::string> every_command = {"run",    "check-config", "test-input",
                                                "replay", "filter",       "simulate",
                                                "alerts", "quarantine",   "schema"};

}  // namespace

TEST_CASE("--help lists every command and goes to standard output") {
  const auto finished = run_millwright({"--help"});
  CHECK(finished.code == 0);
  CHECK(finished.err == "");
  for (const auto& command : every_command) CHECK(contains(finished.out, "\n  " + command + " "));
}

TEST_CASE("the help of every command shows an example that begins with the program's name") {
  for (const auto& command : every_command) {
    CAPTURE(command);
    const auto finished = run_millwright({command, "--help"});
    CHECK(finished.code == 0);
    CHECK(contains(finished.out, "Usage: millwright " + command));
    const auto example = finished.out.find("Example:\n  ");
    REQUIRE(example != std::string::npos);
    CHECK(contains(finished.out.substr(example), "millwright " + command));
  }
}

TEST_CASE("--version names program, version and compiler") {
  const auto finished = run_millwright({"--version"});
  CHECK(finished.code == 0);
  CHECK(finished.out.starts_with("millwright 0."));
  CHECK((contains(finished.out, "GCC") || contains(finished.out, "Clang")));
  CHECK(std::count(finished.out.begin(), finished.out.end(), '\n') == 1);
}

TEST_CASE("a usage error is one sentence on standard error and exit code 64") {
  struct Row {
    std::vector<std::string> arguments;
    std::string says;
  };
  const Row rows[] = {
      {{}, "a command is missing"},
      {{"--no-such-option"}, "--no-such-option"},
      {{"chek-config"}, "did you mean `check-config`?"},
      {{"runn"}, "did you mean `run`?"},
      {{"zzzzzzzzzzzz"}, "there is no command `zzzzzzzzzzzz`"},
      {{"zz\x1b[2Jzz"}, "`zz\\x1b[2Jzz`"},
      {{"schema"}, "WHICH is required"},
      {{"schema", "everything"}, "everything"},
      {{"test-input", "-"}, "--topic is required"},
      {{"test-input", "--topic", "t"}, "FILE is required"},
      {{"test-input", "--topic", "t", "--property", "novalue", "-"}, "name=value"},
      {{"quarantine", "--limit", "many"}, "--limit"},
      {{"explain", "--width", "10", "x"}, "40 to 200"},
      {{"check-config", "a.json", "b.json"}, "b.json"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.says);
    const auto finished = run_millwright(row.arguments);
    CHECK(finished.code == 64);
    CHECK(finished.out == "");
    CHECK(finished.err.starts_with("millwright: "));
    CHECK(contains(finished.err, row.says));
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
  }
}

TEST_CASE("an unreadable file is exit code 74 and names the file") {
  const TemporaryDirectory directory;
  write_file(directory / "c.json", R"({"inputs": []})");
  const auto finished = run_millwright({"test-input", "--config", (directory / "c.json").string(),
                                        "--topic", "t", (directory / "none").string()});
  CHECK(finished.code == 74);
  CHECK(contains(finished.err, (directory / "none").string()));
  CHECK(contains(finished.err, "No such file"));
}

TEST_CASE("output that cannot be written is not success") {
  const auto finished = run_program({.program = MILLWRIGHT_BINARY,
                                     .arguments = {"schema", "alert"},
                                     .input = {},
                                     .environment = {},
                                     .out_file = "/dev/full"});
  CHECK(finished.code == 74);
  CHECK(contains(finished.err, "millwright: "));
}

// What a command writes is opened before what it reads has been read: the recording was gone, and
// `simulate` called that a success.
TEST_CASE("no command writes over what it reads, or two outputs into one file") {
  const TemporaryDirectory directory;
  const auto recording = (directory / "recording.csv").string();
  const auto link = (directory / "link.csv").string();
  const auto other = (directory / "other.csv").string();
  const auto roundabout = (directory.path() / "." / "other.csv").string();
  const std::string content = "time,machine,sensor,value\n2025-03-10T06:00:00Z,R1,temp,20\n";
  write_file(recording, content);
  std::filesystem::create_symlink(recording, link);
  struct Row {
    std::vector<std::string> arguments;
    std::string says;
  };
  const Row rows[] = {
      {{"replay", recording, "--scores", recording}, "--scores " + recording + " would overwrite"},
      {{"replay", recording, "--health", link}, "--health " + link + " would overwrite"},
      {{"replay", recording, "--config", other, "--health", other}, "would overwrite"},
      {{"simulate", "--csv", recording, "--out", recording}, "--out " + recording + " would"},
      {{"simulate", "--csv", recording, "--out", other, "--ca-file", roundabout}, "would"},
      {{"replay", recording, "--scores", other, "--health", roundabout},
       "--scores and --health name the same file"},
      {{"simulate", "--out", other, "--labels", other}, "--out and --labels name the same file"},
      {{"simulate", "--out", other + ".new", "--labels", other},
       "--out and --labels name the same"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.says);
    const auto finished = run_millwright(row.arguments);
    CHECK(finished.code == 64);
    CHECK(finished.out == "");
    CAPTURE(finished.err);
    CHECK(contains(finished.err, row.says));
    CHECK(read_file(recording) == content);
    CHECK_FALSE(std::filesystem::exists(other));
  }
  CHECK(run_millwright({"replay", recording, "--scores", "/dev/null", "--health", "/dev/null"})
            .code == 0);
}

// All of them said 70, "a bug; please report it".
TEST_CASE("an ordinary mistake is not called a bug") {
  const TemporaryDirectory directory;
  const auto config = (directory / "c.json").string();
  const auto none = (directory / "none").string();
  write_file(config, R"({ "broker": { "url": "tcp://127.0.0.1:1", "username": "millwright",
                                      "password_credential": "mqtt" } })");
  struct Row {
    std::vector<std::string> arguments;
    int code;
    std::string says;
  };
  const Row rows[] = {
      {{"simulate", "--broker", "nope"}, 64, "url `nope` must begin with mqtt://"},
      {{"simulate", "--broker", ""}, 64, "url `` must begin with mqtt://"},
      {{"simulate", "--broker", "tcp://h:0"}, 64, "must be from 1 to 65535"},
      {{"simulate", "--ca-file", none}, 74, "ca_file `" + none + "` cannot be read: No such file"},
      {{"alerts", "acknowledge", "x", "--username", "a", "--password-file", none},
       74,
       "password cannot be read from " + none},
      {{"alerts", "acknowledge", "x", "--password-file", none},
       74,
       "password cannot be read from " + none},
      {{"alerts", "acknowledge", "x"}, 64, "--username NAME --password-file FILE"},
  };
  for (auto row : rows) {
    CAPTURE(row.says);
    if (row.arguments[0] == "alerts")
      row.arguments.insert(row.arguments.end(), {"--config", config, "--by", "anna"});
    const auto finished = run_millwright(row.arguments);
    CAPTURE(finished.err);
    CHECK(finished.code == row.code);
    CHECK(contains(finished.err, row.says));
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
  }
}

TEST_CASE("an archive that is not there, or not for this user, is said with what to do") {
  const TemporaryDirectory directory;
  const auto state = directory / "state";
  const auto config = directory / "c.json";
  const auto program = directory / "millwright";
  std::filesystem::create_directory(state);
  std::filesystem::copy_file(MILLWRIGHT_BINARY, program);
  write_file(config, R"({ "state_directory": ")" + state.string() + "\" }");
  const auto ask = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--config", config.string()});
    if (::geteuid() != 0) return run_millwright(arguments);
    // Root may read everything, and others perhaps not where the program was built.
    arguments.insert(arguments.begin(), {"setpriv", "--reuid=65534", "--regid=65534",
                                         "--clear-groups", program.string()});
    return run_program({.program = "/usr/bin/env",
                        .arguments = std::move(arguments),
                        .input = {},
                        .environment = {},
                        .out_file = {}});
  };
  using std::filesystem::perms;
  std::filesystem::permissions(directory.path(), perms::all);
  for (const auto& arguments :
       {std::vector<std::string>{"alerts"}, {"alerts", "maintenance"}, {"explain", "x"}}) {
    CAPTURE(arguments.back());
    std::filesystem::permissions(state, perms::all);
    const auto missing = ask(arguments);
    CHECK(missing.code == 74);
    CHECK(missing.out == "");
    CHECK(missing.err == "millwright: there is no archive " + (state / "millwright.db").string() +
                             ": the daemon makes it when it first runs; --config names another "
                             "configuration\n");
    std::filesystem::permissions(state, perms::none);
    const auto forbidden = ask(arguments);
    CHECK(forbidden.code == 74);
    CHECK(forbidden.err == "millwright: only its owner may read the archive " +
                               (state / "millwright.db").string() + "; try it with sudo\n");
  }
  std::filesystem::permissions(state, perms::all);
}

TEST_CASE("a stream that fails is not taken for its end, and a broken file is named") {
  const TemporaryDirectory directory;
  // As a file, which a faulty program run by root may have made of it, it would be written over.
  REQUIRE(std::filesystem::is_character_file("/dev/full"));
  const auto labels = run_millwright({"simulate", "--duration", "1h", "--out",
                                      (directory / "out.csv").string(), "--labels", "/dev/full"});
  CHECK(labels.code == 74);
  CHECK(contains(labels.err, "cannot write /dev/full"));
  CHECK(std::filesystem::is_character_file("/dev/full"));

  const auto filter = run_program({.program = "/bin/sh",
                                   .arguments = {"-c", "exec \"$0\" filter < /", MILLWRIGHT_BINARY},
                                   .input = {},
                                   .environment = {},
                                   .out_file = {}});
  CHECK(filter.code == 74);
  CHECK(filter.err == "millwright: cannot read standard input: Is a directory\n");

  const auto good = (directory / "good.csv").string();
  const auto broken = (directory / "broken.csv").string();
  write_file(good, "time,machine,sensor,value\n2025-03-10T06:00:00Z,R1,temp,20\n");
  write_file(broken, "");
  const auto replay = run_millwright({"replay", good, broken});
  CHECK(replay.code == 65);
  CHECK(replay.err.starts_with("millwright: " + broken + ": the file is empty"));
  const auto folder = directory.path().string();
  for (const auto& words :
       {std::vector<std::string>{"replay", good, folder}, {"simulate", "--csv", folder}}) {
    const auto finished = run_millwright(words);
    CHECK(finished.code == 74);
    CHECK(finished.err == "millwright: cannot read " + folder + ": Is a directory\n");
  }
}
