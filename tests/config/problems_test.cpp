// Every problem is found, at its place, with what would be right.
#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "config/config.h"
#include "tests/config/support.h"

namespace millwright {
namespace {

using test::lines_of;
using test::parsed;
using test::problems_of;

struct Case {
  std::string_view text, line;  // the one problem, without `c.json:`
};

void check_all(const Case* begin, const Case* end) {
  for (const Case* c = begin; c != end; ++c) {
    CAPTURE(c->text);
    const auto loaded = parsed(c->text);
    CHECK(problems_of(loaded) == "c.json:" + std::string{c->line} + "\n");
    const bool is_error = c->line.find(": error: ") != std::string_view::npos;
    CHECK(loaded.configuration.has_value() == !is_error);
    CHECK(loaded.text.empty() == is_error);
  }
}

TEST_CASE("edges of regimes rise") {
  static constexpr Case cases[] = {
      {R"({ "machines": [{ "regime": { "sensor": "speed", "bins": [20, 60, 60] } }] })",
       "1:66: error: /machines/0/regime/bins/2: must be above 60, the number before it"},
      {R"({ "machines": [{ "regime": { "sensor": "speed", "bins": [20, "60"] } }] })",
       "1:62: error: /machines/0/regime/bins/1: expected a number, found the text \"60\""},
      {R"({ "machines": [{ "regime": { "sensor": "speed", "bins": 20 } }] })",
       "1:57: error: /machines/0/regime/bins: expected a list of rising numbers, found the number "
       "20"},
      {R"({ "machines": [{ "regime": { "sensors": "speed" } }] })",
       "1:30: error: /machines/0/regime/sensors: unknown key \"sensors\"; did you mean "
       "\"sensor\"?"}};
  check_all(std::begin(cases), std::end(cases));
}

TEST_CASE("a regime is named by one sensor, and its edges belong to it") {
  static constexpr Case cases[] = {
      {R"({ "machines": [{ "regime": { "bins": [20, 60] } }] })",
       "1:38: error: /machines/0/regime/bins: these are edges between values of a sensor that is "
       "not named; add \"sensor\" beside them"},
      {R"({ "machines": [{ "regime": { "sensor": "", "bins": [20] } }] })",
       "1:52: error: /machines/0/regime/bins: these are edges between values of a sensor that is "
       "not named; add \"sensor\" beside them"},
      {R"({ "machines": [{ "regime": { "warmup": 20 } }] })",
       "1:40: warning: /machines/0/regime/warmup: has no effect: regimes are told apart only where "
       "\"sensor\" names one"},
      {R"({ "machines": [{ "regime": { "sensor": "prog*" } }] })",
       "1:40: error: /machines/0/regime/sensor: \"prog*\" is a pattern; one sensor names the "
       "regime: expected its name, such as program"},
      {R"({ "machines": [{ "regime": { "sensor": "_machine" } }] })",
       "1:40: error: /machines/0/regime/sensor: \"_machine\" stands for the machine as a whole and "
       "has no values; expected the name of one of its sensors, such as program"}};
  check_all(std::begin(cases), std::end(cases));
  CHECK(problems_of(parsed(R"({ "machines": [{ "regime": { "sensor": "axis[1]" } }] })")).empty());
}

TEST_CASE("machines of a model on several lanes are told to be compared within each only") {
  static constexpr Case cases[] = {
      {R"({ "processing": { "lanes": 2 }, "machines": [{ "match": "R*", "model": "RX5" }] })",
       "1:72: warning: /machines/0/model: with 2 lanes, only those of these machines that share a "
       "lane are compared with each other; with processing.lanes 1 all are"}};
  check_all(std::begin(cases), std::end(cases));
  CHECK(
      problems_of(
          parsed(
              R"({ "processing": { "lanes": 1 }, "machines": [{ "match": "R*", "model": "RX5" }] })"))
          .empty());
  CHECK(
      problems_of(
          parsed(
              R"({ "processing": { "lanes": 2 }, "machines": [{ "match": "R*", "model": "" }] })"))
          .empty());
}

TEST_CASE("further sensors are found in JSON messages only") {
  static constexpr Case cases[] = {
      {R"({ "inputs": [{ "topic": "a", "format": "text", "machine": "m", "sensor": "s", "also": { "program": "/p" } }] })",
       "1:87: error: /inputs/0/also: further sensors are found in messages of the format \"json\" "
       "only, not in \"text\"; take them in by an input of their own"},
      {R"({ "inputs": [{ "topic": "a", "format": "packed_json", "value": "/v", "machine": "m", "sensor": "s", "also": { "program": "/p" } }] })",
       "1:109: error: /inputs/0/also: further sensors are found in messages of the format \"json\" "
       "only, not in \"packed_json\"; take them in by an input of their own"},
      {R"({ "inputs": [{ "topic": "a", "format": "packed_binary", "rate_hz": 5, "machine": "m", "sensor": "s", "also": { "program": "/p" } }] })",
       "1:110: error: /inputs/0/also: further sensors are found in messages of the format \"json\" "
       "only, not in \"packed_binary\"; take them in by an input of their own"}};
  check_all(std::begin(cases), std::end(cases));
}

TEST_CASE("regimes are named or found, not both") {
  static constexpr Case cases[] = {
      {R"({ "machines": [{ "regime": { "sensor": "speed", "learned": 4 } }] })",
       "1:60: error: /machines/0/regime/learned: not together with \"sensor\": regimes are named "
       "or "
       "found"},
      {R"({ "machines": [{ "regime": { "learned": 4, "bins": [1] } }] })",
       "1:41: error: /machines/0/regime/learned: not together with \"bins\": regimes are named or "
       "found"},
      {R"({ "machines": [{ "regime": { "learned": 1 } }] })",
       "1:41: error: /machines/0/regime/learned: expected a whole number from 2 to 16, found the "
       "number "
       "1"},
      {R"({ "machines": [{ "regime": { "sensor": "a", "find_s": 600 } }] })",
       "1:55: warning: /machines/0/regime/find_s: has no effect without \"learned\""}};
  check_all(std::begin(cases), std::end(cases));
}

TEST_CASE("what is no JSON is refused at its place") {
  static constexpr Case cases[] = {
      {"", "1:1: error: the file is empty; expected an object, at least {}"},
      {" // nothing\n", "2:1: error: the file is empty; expected an object, at least {}"},
      {"[]", "1:1: error: expected an object, found a list"},
      {"true", "1:1: error: expected an object, found true"},
      {"{", "1:2: error: expected a key in double quotes, found the end of the file"},
      {"{}\n}", "2:1: error: expected the end of the file, found '}'"},
      {"{ site: \"x\" }", "1:3: error: expected a key in double quotes, found site"},
      {"{ \"site\" \"x\" }", "1:10: error: expected ':' after the key \"site\", found '\"'"},
      {"{ \"site\": }", "1:11: error: expected a JSON value, found '}'"},
      {"{ \"site\": 'x' }", "1:11: error: expected a JSON value, found '''"},
      {"{ \"site\": yes }", "1:11: error: expected a JSON value, found yes"},
      {"{ \"qos\": 01 }", "1:10: error: expected a JSON value, found 01"},
      {"{ \"qos\": NaN }", "1:10: error: expected a JSON value, found NaN"},
      {"{ \"qos\": 1e999 }", "1:10: error: expected a JSON value, found 1e999"},
      {"{ \"a\": \"x\"\n  \"b\": 1 }",
       "2:3: error: expected ',' or '}' (opened at 1:1), found '\"'"},
      {"{ \"inputs\": [\n {}, {}\n",
       "3:1: error: expected ',' or ']' (opened at 1:13), found the end of the file"},
      {"{ \"site\": \"x\",\n}", "1:14: error: a ',' before '}' is not JSON; remove it"},
      {"{ \"inputs\": [{},] }", "1:16: error: a ',' before ']' is not JSON; remove it"},
      {"{ \"site\": \"x\n\" }",
       "1:11: error: this text is not closed; expected \" on the same line"},
      {"{ \"site\": \"x\\", "1:11: error: this text is not closed; expected \" on the same line"},
      {"{ \"site\": \"\\x\" }",
       "1:11: error: this text has a bad escape, a control character or is not UTF-8"},
      {"{ \"site\": \"\xFF\" }",
       "1:11: error: this text has a bad escape, a control character or is not UTF-8"},
      {"{ /* \"site\": \"x\" }", "1:3: error: this comment is not closed; expected */"},
      {"{ # no\n }", "1:3: error: expected a key in double quotes, found '#'"},
  };
  check_all(std::begin(cases), std::end(cases));
}

TEST_CASE("a column counts characters, not bytes") {
  const auto loaded = parsed("{ \"site\": \"M\xC3\xBCnchen\", \"sitte\": 1 }");
  CHECK(problems_of(loaded) ==
        "c.json:1:22: error: /sitte: unknown key \"sitte\"; did you mean \"site\"?\n");
}

TEST_CASE("a byte order mark and comments do no harm") {
  CHECK(
      parsed("\xEF\xBB\xBF// first\n{ /* second */ \"site\": \"berlin\" } // last").configuration);
}

TEST_CASE("a duplicate key is refused and names the first one") {
  const auto loaded = parsed("{ \"site\": \"a\",\n  \"site\": \"b\" }");
  CHECK(problems_of(loaded) ==
        "c.json:2:3: error: /site: the key \"site\" stands twice in this object, first at 1:3; "
        "keep one\n");
}

TEST_CASE("unknown keys come with the nearest valid one") {
  static constexpr Case cases[] = {
      {"{ \"brokr\": {} }", "1:3: error: /brokr: unknown key \"brokr\"; did you mean \"broker\"?"},
      {"{ \"borker\": {} }",
       "1:3: error: /borker: unknown key \"borker\"; did you mean \"broker\"?"},
      {"{ \"broker\": { \"keepalive\": 1 } }",
       "1:15: error: /broker/keepalive: unknown key \"keepalive\"; did you mean \"keep_alive_s\"?"},
      {"{ \"archive\": { \"zzzzzzzz\": 1 } }",
       "1:16: error: /archive/zzzzzzzz: unknown key \"zzzzzzzz\"; known here: file, enabled, "
       "max_megabytes, keep_days"},
      {"{ \"archive\": { \"a/b~c\": 1 } }",
       "1:16: error: /archive/a~1b~0c: unknown key \"a/b~c\"; known here: file, enabled, "
       "max_megabytes, keep_days"},
      {"{ \"profiles\": [ { \"match\": \"*\", \"detectors\": [\"spik\"] } ] }",
       "1:47: error: /profiles/0/detectors/0: unknown detector \"spik\"; did you mean \"spike\"?"},
      {"{ \"profiles\": [ { \"match\": \"*\", \"detectors\": { \"spikes\": {} } } ] }",
       "1:48: error: /profiles/0/detectors/spikes: unknown detector \"spikes\"; did you mean "
       "\"spike\"?"},
      {"{ \"profiles\": [ { \"match\": \"*\", \"detectors\": [ { \"spike\": { \"treshold\": 8 } } "
       "] } ] }",
       "1:61: error: /profiles/0/detectors/0/spike/treshold: unknown key \"treshold\"; did you "
       "mean \"threshold\"?"},
      {"{ \"profiles\": [ { \"match\": \"*\", \"limits\": { \"hihg\": 8 } } ] }",
       "1:45: error: /profiles/0/limits/hihg: unknown key \"hihg\"; did you mean \"high\"?"},
  };
  check_all(std::begin(cases), std::end(cases));
}

TEST_CASE("a wrong type or range says what was expected and what was found") {
  static constexpr Case cases[] = {
      {"{ \"site\": 3 }", "1:11: error: /site: expected a text, found the number 3"},
      {"{ \"broker\": [] }", "1:13: error: /broker: expected an object, found a list"},
      {"{ \"inputs\": {} }", "1:13: error: /inputs: expected a list, found an object"},
      {"{ \"inputs\": [ 3 ] }", "1:15: error: /inputs/0: expected an object, found the number 3"},
      {"{ \"archive\": { \"enabled\": \"yes\" } }",
       "1:27: error: /archive/enabled: expected true or false, found the text \"yes\""},
      {"{ \"processing\": { \"lanes\": 65 } }",
       "1:28: error: /processing/lanes: expected a whole number from 1 to 64, found the number 65"},
      {"{ \"processing\": { \"lanes\": 2 }, \"inputs\": [ { \"topic\": \"a/b\", \"value\": "
       "\"/{m}/{s}\", "
       "\"machine\": \"{m}\", \"sensor\": \"{s}\" } ] }",
       "1:95: error: /inputs/0/machine: with 2 lanes the topic must name the machine, so that all "
       "its readings meet on "
       "one; name it there, or set processing.lanes to 1"},
      {"{ \"processing\": { \"lanes\": 0 } }",
       "1:28: error: /processing/lanes: expected a whole number from 1 to 64, found the number 0"},
      {"{ \"processing\": { \"lanes\": 1.5 } }",
       "1:28: error: /processing/lanes: expected a whole number from 1 to 64, found the number "
       "1.5"},
      {"{ \"processing\": { \"lanes\": null } }",
       "1:28: error: /processing/lanes: expected a whole number from 1 to 64, found null"},
      {"{ \"processing\": { \"mode\": \"batch\" } }",
       "1:27: error: /processing/mode: expected \"native\" or \"micro_batch\", found the text "
       "\"batch\""},
      {"{ \"profiles\": [ { \"match\": \"*\", \"limits\": { \"high\": \"90\" } } ] }",
       "1:53: error: /profiles/0/limits/high: expected a number from -1e+100 to 1e+100, found the "
       "text \"90\""},
      {"{ \"profiles\": [ { \"match\": \"*\", \"sensitivity\": \"medium\" } ] }",
       "1:48: error: /profiles/0/sensitivity: expected \"low\", \"normal\" or \"high\", found the "
       "text \"medium\""},
      {"{ \"profiles\": [ { \"match\": \"*\", \"detectors\": \"spike\" } ] }",
       "1:46: error: /profiles/0/detectors: expected \"auto\", \"precise\", \"none\", a list of "
       "detectors or an object of them, "
       "found the text \"spike\""},
      {"{ \"profiles\": [ { \"match\": \"*\", \"detectors\": [ 3 ] } ] }",
       "1:48: error: /profiles/0/detectors/0: expected a detector's name or { name: { parameter: "
       "value } }, found "
       "the number 3"},
      {"{ \"profiles\": [ { \"match\": \"*\", \"detectors\": [ \"gap\", \"gap\" ] } ] }",
       "1:55: error: /profiles/0/detectors/1: the detector \"gap\" stands twice; keep one"},
      {"{ \"profiles\": [ { \"match\": \"*\", \"detectors\": { \"gap\": { \"warmup\": 1 } } } ] }",
       "1:67: error: /profiles/0/detectors/gap/warmup: expected a whole number from 2 to 1000000, "
       "found the number "
       "1"},
      {"{ \"profiles\": [ {} ] }",
       "1:17: error: /profiles/0: the key \"match\" is missing; expected a text"},
      {"{ \"overrides\": [ {} ] }",
       "1:18: error: /overrides/0: the key \"sensor\" is missing; expected a text"},
  };
  check_all(std::begin(cases), std::end(cases));
}

TEST_CASE("the broker's settings are checked") {
  static constexpr Case cases[] = {
      {"{ \"broker\": { \"url\": \"localhost\" } }",
       "1:22: error: /broker/url: \"localhost\" has no scheme; expected a URL such as "
       "tcp://host:1883 or "
       "ssl://host:8883"},
      {"{ \"broker\": { \"url\": \"http://b\" } }",
       "1:22: error: /broker/url: the scheme \"http\" is not known; expected tcp, mqtt, ssl, "
       "mqtts, ws or wss"},
      {"{ \"broker\": { \"url\": \"tcp://\" } }",
       "1:22: error: /broker/url: \"tcp://\" names no host; expected a URL such as tcp://host:1883 "
       "or "
       "ssl://host:8883"},
      {"{ \"broker\": { \"url\": \"tcp://b:0\" } }",
       "1:22: error: /broker/url: the port \"0\" is not a number from 1 to 65535"},
      {"{ \"broker\": { \"url\": \"tcp://[::1]:65536\" } }",
       "1:22: error: /broker/url: the port \"65536\" is not a number from 1 to 65535"},
      {"{ \"broker\": { \"url\": \"tcp://me:secret@b\" } }",
       "1:22: error: /broker/url: user and password do not belong into the URL; use the keys "
       "username and "
       "password_credential"},
      {"{ \"broker\": { \"username\": \"u\", \"password\": \"p\" } }",
       "1:44: warning: /broker/password: a password does not belong into the configuration; use "
       "password_credential "
       "or password_file"},
      {"{ \"broker\": { \"password_credential\": \"a\", \"password_file\": \"b\" } }",
       "1:60: error: /broker/password_file: the password is given already by "
       "\"password_credential\"; keep one"},
      {"{ \"broker\": { \"password_credential\": \"/etc/pw\" } }",
       "1:38: error: /broker/password_credential: is no credential's name (letters, digits, '.', "
       "'-', '_'); for the "
       "path of a file use password_file"},
      {"{ \"broker\": { \"mqtt_version\": 4, \"password_file\": \"b\" } }",
       "1:51: error: /broker/password_file: MQTT 3.1.1 has no password without a user name; add "
       "\"username\""},
      {"{ \"broker\": { \"url\": \"ssl://b\", \"key_file\": \"k\" } }",
       "1:45: error: /broker/key_file: a key without its certificate; add \"certificate_file\""},
      {"{ \"broker\": { \"ca_file\": \"ca\" } }",
       "1:26: warning: /broker/ca_file: has no effect: tcp://127.0.0.1:1883 is not encrypted; use "
       "ssl://, mqtts:// "
       "or wss://"},
      {"{ \"broker\": { \"url\": \"ssl://b\", \"verify_certificate\": false } }",
       "1:55: warning: /broker/verify_certificate: anybody on the network can pose as the broker; "
       "set ca_file "
       "instead"},
  };
  check_all(std::begin(cases), std::end(cases));
  for (const auto* url : {"tcp://b", "mqtt://b:1883", "ssl://b.plant:8883",
                          "mqtts://[fe80::1]:8883", "ws://b/mqtt", "wss://b:443/mqtt"}) {
    CAPTURE(url);
    CHECK(test::good("{ \"broker\": { \"url\": \"" + std::string{url} + "\" } }").broker.url ==
          url);
  }
}

// Each of them was called good, and watched nothing, or never ended.
TEST_CASE("a limit that cannot work is an error") {
  static constexpr Case cases[] = {
      {R"({ "profiles": [{ "match": "*", "limits": { "low": 5, "high": 9, "hysteresis": 4 } }] })",
       "1:79: error: /profiles/0/limits/hysteresis: with a hysteresis of 4 an alarm at one limit "
       "ends only at the other; it must be below high - low, which is 4"},
      {R"({ "profiles": [{ "match": "*", "limits": { "high": 9, "critical": 9 } }] })",
       "1:67: error: /profiles/0/limits/critical: critical (9) must be above high (9)"},
      {R"({ "profiles": [{ "match": "*", "detectors": [{ "limit": { "high": 9, "critical": 8 } }] }] })",
       "1:82: error: /profiles/0/detectors/0/limit/critical: critical (8) must be above high (9)"},
      {R"({ "profiles": [{ "match": "*", "limits": { "low": 9, "critical": 1 } }] })",
       "1:66: error: /profiles/0/limits/critical: is counted from \"high\", which is missing; add "
       "it"},
      {R"({ "profiles": [{ "match": "*", "limits": { "hysteresis": 1 } }] })",
       "1:42: error: /profiles/0/limits: without \"high\" or \"low\" there is never an alarm; add "
       "one of them"},
      {R"({ "profiles": [{ "match": "*", "limits": {} }] })",
       "1:42: error: /profiles/0/limits: without \"high\" or \"low\" there is never an alarm; add "
       "one of them"},
      {R"({ "profiles": [{ "match": "*", "detectors": ["spike", "limit"] }] })",
       "1:55: error: /profiles/0/detectors/1: without \"high\" or \"low\" there is never an alarm; "
       "add one of them"},
      {R"({ "profiles": [{ "match": "*", "detectors": { "limit": { "high": 8 } },)"
       "\n"
       R"(  "limits": { "high": 9 } }] })",
       "2:23: error: /profiles/0/limits/high: the detector \"limit\" at line 1 says 8; keep one of "
       "the two"},
      {R"({ "profiles": [{ "match": "*", "limits": { "high": 9, "hysteresis": 4 } }],)"
       "\n"
       R"(  "overrides": [{ "sensor": "a/b", "limits": { "low": 5 } }] })",
       "2:46: error: /overrides/0/limits: with a hysteresis of 4 an alarm at one limit ends only "
       "at "
       "the other; it must be below high - low, which is 4"},
      {R"({ "profiles": [{ "match": "*", "limits": { "high": "9" } }] })",
       "1:52: error: /profiles/0/limits/high: expected a number from -1e+100 to 1e+100, found the "
       "text \"9\""},
  };
  check_all(std::begin(cases), std::end(cases));
  for (
      const auto* good :
      {R"({ "profiles": [{ "match": "*", "limits": { "high": 9, "hysteresis": 40 } }] })",
       R"({ "profiles": [{ "match": "*", "limits": { "low": 5, "high": 9, "hysteresis": 3.9 } }] })",
       R"({ "profiles": [{ "match": "*", "detectors": { "limit": { "high": 9 } }, "limits": { "high": 9, "low": 1 } }] })",
       R"({ "profiles": [{ "match": "*", "detectors": { "limit": { "high": 8 } } }], "overrides": [{ "sensor": "a/b", "limits": { "high": 9 } }] })",
       R"({ "profiles": [{ "match": "*", "limits": { "high": 9 } }], "overrides": [{ "sensor": "a/b", "limits": {} }] })"}) {
    CHECK(problems_of(parsed(good)).empty());
  }
}

TEST_CASE("a state directory that depends on where the daemon is started is an error") {
  static constexpr Case cases[] = {
      {R"({ "state_directory": "state" })",
       "1:22: error: /state_directory: \"state\" depends on where the program is started; expected "
       "a whole path such as /var/lib/millwright"}};
  check_all(std::begin(cases), std::end(cases));
  CHECK(problems_of(parsed(R"({ "state_directory": "" })")).empty());
}

TEST_CASE("a password is never repeated in a message") {
  for (const auto* text :
       {R"({ "broker": { "password": 271828 } })", R"({ "broker": { "password": ["271828"] } })",
        R"({ "broker": { "url": "me:271828@host" } })",
        R"({ "broker": { "username": "u", "password": "271828", "password_file": "f" } })"}) {
    CAPTURE(text);
    const auto loaded = parsed(text);
    CHECK_FALSE(loaded.problems.empty());
    CHECK(problems_of(loaded).find("271828") == std::string::npos);
  }
}

// An input with `keys`, which begin at column 17.
std::string input(std::string_view keys) {
  return "{ \"inputs\": [ { " + std::string{keys} + " } ] }";
}

TEST_CASE("inputs are checked for what they capture and use") {
  struct InputCase {
    std::string_view keys, line;
  };
  static constexpr InputCase cases[] = {
      {R"("topic": "a", "machine": "m", "sensor": "s")",
       "1:15: error: /inputs/0: the key \"value\" is missing; expected a JSON Pointer to the "
       "values, as in "
       "/signals/{signal}/v"},
      {R"("topic": "a", "value": "v", "machine": "m", "sensor": "s")",
       "1:40: error: /inputs/0/value: expected a JSON Pointer, which begins with '/': \"/v\""},
      {R"("topic": "a", "value": "/a~b", "machine": "m", "sensor": "s")",
       "1:40: error: /inputs/0/value: in a JSON Pointer '~' is written ~0 (and a '/' within a key "
       "~1)"},
      {R"("topic": "a", "value": "/{x}{y}", "machine": "m", "sensor": "s")",
       "1:40: error: /inputs/0/value: \"{x}{y}\" has two captures; one between two slashes"},
      {R"("topic": "a/#/b", "value": "/v", "machine": "m", "sensor": "s")",
       "1:26: error: /inputs/0/topic: '#' may only be the last level"},
      {R"("topic": "a/b+", "value": "/v", "machine": "m", "sensor": "s")",
       "1:26: error: /inputs/0/topic: the level \"b+\" mixes a wildcard with text; '+' and '#' "
       "stand alone, use "
       "{name} instead"},
      {R"("topic": "a/{x", "value": "/v", "machine": "m", "sensor": "s")",
       "1:26: error: /inputs/0/topic: '{' without '}'; a capture is written {name}"},
      {R"("topic": "a/x}", "value": "/v", "machine": "m", "sensor": "s")",
       "1:26: error: /inputs/0/topic: '}' without '{'; a capture is written {name}"},
      {R"("topic": "a/{1x}", "value": "/v", "machine": "m", "sensor": "s")",
       "1:26: error: /inputs/0/topic: {1x} is no capture; its name is letters, digits and '_', as "
       "in {robot}"},
      {R"("topic": "", "value": "/v", "machine": "m", "sensor": "s")",
       "1:26: error: /inputs/0/topic: must not be empty; expected a topic such as "
       "plant/{machine}/{sensor}"},
      {R"("topic": "$share/g/a", "value": "/v", "machine": "m", "sensor": "s")",
       "1:26: error: /inputs/0/topic: a shared subscription would tear the readings of one sensor "
       "apart; subscribe "
       "the topic itself"},
      {R"("topic": "a/{x}/{x}", "value": "/v", "machine": "m", "sensor": "s")",
       "1:26: error: /inputs/0/topic: the capture {x} stands twice; give each its own name"},
      {R"("topic": "a/{x}", "value": "/{x}", "machine": "m", "sensor": "s")",
       "1:44: error: /inputs/0/value: the capture {x} stands twice; give each its own name"},
      {R"("topic": "a/{robot}", "value": "/v", "machine": "{robt}", "sensor": "s")",
       "1:65: error: /inputs/0/machine: {robt} is not captured in topic or value; did you mean "
       "{robot}?"},
      {R"("topic": "a", "value": "/v", "machine": "m", "sensor": "{s}")",
       "1:72: error: /inputs/0/sensor: {s} is not captured in topic or value, which captures "
       "nothing"},
      {R"("topic": "a", "value": "/{signal}/v", "machine": "m", "sensor": "{/sensors/{sgnal}/name}")",
       "1:81: error: /inputs/0/sensor: {sgnal} is not captured in value; did you mean {signal}?"},
      {R"("topic": "a/{x}", "value": "/v", "time": "/{x}/t", "machine": "m", "sensor": "s")",
       "1:58: error: /inputs/0/time: {x} is not captured in value, which captures nothing"},
      {R"("topic": "a/{x}", "where": { "y": "." }, "value": "/v", "machine": "m", "sensor": "s")",
       "1:46: error: /inputs/0/where/y: {y} is not captured in topic or value; did you mean {x}?"},
      {R"("topic": "a/{x}", "where": { "x": "[" }, "value": "/v", "machine": "m", "sensor": "s")",
       "1:51: error: /inputs/0/where/x: \"[\" is not a regular expression (ECMAScript)"},
      {R"("topic": "a", "value": "/v", "machine": "m", "sensor": "s", "also": { "p": "/{x}/p" })",
       "1:92: error: /inputs/0/also/p: points to one value of the message, so without * and "
       "{captures}"},
      {R"("topic": "a", "value": "/v", "machine": "m", "sensor": "s", "words": { "idle": "0" })",
       "1:96: error: /inputs/0/words/idle: expected a number, found the text \"0\""},
      {R"("topic": "a/{x}", "where": { "x": 1 }, "value": "/v", "machine": "m", "sensor": "s")",
       "1:51: error: /inputs/0/where/x: expected a text, found the number 1"},
      {R"("topic": "a", "format": "text", "value": "/v", "machine": "m", "sensor": "s")",
       "1:58: warning: /inputs/0/value: has no effect with the format \"text\"; it is for json and "
       "packed_json"},
      {R"("topic": "a", "value": "/v", "rate_hz": 5, "machine": "m", "sensor": "s")",
       "1:57: warning: /inputs/0/rate_hz: has no effect with the format \"json\"; it is for "
       "packed_json and "
       "packed_binary"},
      {R"("topic": "a", "value": "/v", "machine": "m", "sensor": "s", "scale": 0)",
       "1:86: error: /inputs/0/scale: a scale of 0 makes all values the same; leave it out where "
       "nothing is to be scaled"},
      {R"("topic": "a", "value": "/v", "machine": "m", "sensor": "s", "time_format": "epoch_s")",
       "1:92: warning: /inputs/0/time_format: has no effect without \"time\": the time of arrival "
       "counts"},
      {R"("topic": "a", "format": "text", "machine": "m", "sensor": "s", "time_format": "epoch_s")",
       "1:95: warning: /inputs/0/time_format: has no effect with the format \"text\"; it is for "
       "json, packed_json and packed_binary"},
      {R"("topic": "a", "format": "text", "machine": "_plant", "sensor": "s")",
       "1:60: error: /inputs/0/machine: \"_plant\" is reserved: it stands for the plant as a "
       "whole; "
       "give the machine another name"},
      {R"("topic": "a", "format": "text", "machine": "m", "sensor": "_machine")",
       "1:75: error: /inputs/0/sensor: \"_machine\" is reserved: it stands for the machine as a "
       "whole; give the sensor another name"},
      {R"("topic": "a", "value": "/v", "machine": "m", "sensor": "s", "also": { "_machine": "/m" })",
       "1:87: error: /inputs/0/also/_machine: \"_machine\" is reserved: it stands for the machine "
       "as "
       "a whole; give the sensor another name"},
      {R"("topic": "a", "format": "packed_json", "machine": "m", "sensor": "s", "words": {})",
       "1:96: warning: /inputs/0/words: has no effect with the format \"packed_json\"; it is for "
       "json and text"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.keys);
    CHECK(problems_of(parsed(input(c.keys))) == "c.json:" + std::string{c.line} + "\n");
  }
}

TEST_CASE(
    "an input behind one that takes the same topics is a warning, unless the first is choosy") {
  const std::string second =
      R"({ "topic": "a/+/t", "format": "text", "machine": "m", "sensor": "s" } ] })";
  const auto loaded = parsed(
      R"({ "inputs": [ { "topic": "a/{x}/t", "format": "text", "machine": "{x}", "sensor": "s" },)"
      "\n" +
      second);
  CHECK(problems_of(loaded) ==
        "c.json:2:12: warning: /inputs/1/topic: never used: the input at line 1 takes the same "
        "topics; the first that "
        "matches does\n");
  CHECK(loaded.configuration);
  CHECK(
      parsed(
          R"({ "inputs": [ { "topic": "a/{x}/t", "where": { "x": "R.*" }, "format": "text", "machine": "{x}",)"
          R"( "sensor": "s" },)" +
          second)
          .problems.empty());
  CHECK(
      parsed(
          R"({ "inputs": [ { "topic": "a/r-{x}/t", "format": "text", "machine": "{x}", "sensor": "s" },)" +
          second)
          .problems.empty());
}

TEST_CASE("profiles and overrides are checked together") {
  static constexpr Case cases[] = {
      {R"({ "profiles": [ { "match": "*" }, { "match": "a/*" } ] })",
       "1:46: warning: /profiles/1/match: never used: the profile \"*\" at line 1 stands before it "
       "and takes the same "
       "sensors"},
      {R"({ "profiles": [ { "match": "a/*" }, { "match": "a/*" } ] })",
       "1:48: warning: /profiles/1/match: never used: the profile \"a/*\" at line 1 stands before "
       "it and takes the "
       "same sensors"},
      {R"({ "profiles": [ { "match": "R017" } ] })",
       "1:28: error: /profiles/0/match: can never match: sensors are written machine/sensor; try "
       "\"R017/*\" or "
       "\"*/R017\""},
      {R"({ "profiles": [ { "match": "*", "limits": { "low": 5, "high": 5 } } ] })",
       "1:43: error: /profiles/0/limits: the limit low (5) must be below high (5)"},
      {R"({ "profiles": [ { "match": "*", "detectors": { "limit": { "low": 5, "high": 1 } } } ] })",
       "1:57: error: /profiles/0/detectors/limit: the limit low (5) must be below high (1)"},
      {R"({ "profiles": [ { "match": "*", "limits": { "low": 5 } } ],)"
       "\n"
       R"(  "overrides": [ { "sensor": "a/b", "limits": { "high": 4 } } ] })",
       "2:47: error: /overrides/0/limits: the limit low (5) must be below high (4)"},
      {R"({ "overrides": [ { "sensor": "temp" } ] })",
       "1:30: error: /overrides/0/sensor: expected machine/sensor such as R017/j3_temp, found "
       "\"temp\""},
      {R"({ "overrides": [ { "sensor": "a/b" }, { "sensor": "a/b" } ] })",
       "1:51: warning: /overrides/1/sensor: \"a/b\" has an override at line 1 already; this one "
       "goes on from there"},
      {R"({ "alerts": { "budget": "6/week" } })",
       "1:25: error: /alerts/budget: expected alerts per time such as 6/hour, 20/day or 10/shift, "
       "found \"6/week\""},
      {R"({ "limits": { "payload_bytes": 100000 }, "processing": { "journal_bytes": 100000 } })",
       "1:32: error: /limits/payload_bytes: processing.journal_bytes (100000) must be at least 4 "
       "times "
       "limits.payload_bytes (100000)"},
      {R"({ "site": "a/b" })",
       "1:11: error: /site: is part of MQTT topics and may not contain '/', '+', '#' or control "
       "characters"},
      {R"({ "topic_root": "a/" })",
       "1:17: error: /topic_root: may not begin with '/' or '$' nor end with '/'; expected a topic "
       "such as "
       "millwright/berlin"},
  };
  check_all(std::begin(cases), std::end(cases));
}

TEST_CASE("machines are checked as profiles are") {
  static constexpr Case cases[] = {
      {R"({ "machines": {} })", "1:15: error: /machines: expected a list, found an object"},
      {R"({ "machines": [ "R*" ] })",
       "1:17: error: /machines/0: expected an object, found the text \"R*\""},
      {R"({ "machines": [ { "mach": "R*" } ] })",
       "1:19: error: /machines/0/mach: unknown key \"mach\"; did you mean \"match\"?"},
      {R"({ "machines": [ { "learning": 60 } ] })",
       "1:19: error: /machines/0/learning: unknown key \"learning\"; did you mean "
       "\"learning_s\"?"},
      {R"({ "machines": [ { "match": "" } ] })",
       "1:28: error: /machines/0/match: must not be empty; expected a pattern over machines such "
       "as R*"},
      {R"({ "machines": [ { "watched": "no" } ] })",
       "1:30: error: /machines/0/watched: expected true or false, found the text \"no\""},
      {R"({ "machines": [ { "warmup": 15 } ] })",
       "1:29: error: /machines/0/warmup: expected a whole number from 16 to 1000000, found the "
       "number 15"},
      {R"({ "machines": [ { "learning_s": "1h" } ] })",
       "1:33: error: /machines/0/learning_s: expected a number from 0 to 315360000, found the text "
       "\"1h\""},
      {R"({ "machines": [ { "sensitivity": "medium" } ] })",
       "1:34: error: /machines/0/sensitivity: expected \"low\", \"normal\" or \"high\", found "
       "the text \"medium\""},
      {R"({ "machines": [ { "alarm": { "clear_ratio": 2 } } ] })",
       "1:45: error: /machines/0/alarm/clear_ratio: expected a number from 0 to 1, found the "
       "number "
       "2"},
      {"{ \"machines\": [ { \"match\": \"*\" },\n  { \"match\": \"R*\" } ] }",
       "2:14: warning: /machines/1/match: never used: the entry \"*\" at line 1 stands before it "
       "and takes the same machines"},
      {"{ \"machines\": [ { \"match\": \"R*\" },\n  { \"match\": \"R*\" } ] }",
       "2:14: warning: /machines/1/match: never used: the entry \"R*\" at line 1 stands before it "
       "and takes the same machines"},
      // Without a pattern an entry takes all.
      {"{ \"machines\": [ { \"watched\": false },\n  { \"match\": \"R*\" } ] }",
       "2:14: warning: /machines/1/match: never used: the entry \"*\" at line 1 stands before it "
       "and takes the same machines"},
      {"{ \"machines\": [ {},\n  {} ] }",
       "2:3: warning: /machines/1: never used: the entry \"*\" at line 1 stands before it and "
       "takes "
       "the same machines"},
  };
  check_all(std::begin(cases), std::end(cases));
  // Not every machine has a slash in its name.
  CHECK(
      parsed(R"({ "machines": [ { "match": "*/*" }, { "match": "R*" }, {} ] })").problems.empty());
}

TEST_CASE("all problems of a file are reported at once, in its order") {
  const auto loaded = parsed(R"(// line 1
{
  "broker": { "url": "http://x", "password": "p", "keep_alive_s": "15" },
  "inputs": [
    { "topic": "a/{line}/t", "where": { "lime": "R(" }, "value": "/{signal}", "machine": "{line}",
      "sensor": "{signl}" },
    { "topic": "x", "format": "jsn", "machine": "m" }
  ],
  "profiles": [ { "match": "*", "detectors": ["spik"], "limits": { "high": 1, "low": 2 } } ],
  "sitte": "x",
  "processing": { "lanes": 100 }
})");
  CHECK_FALSE(loaded.configuration);
  const std::vector<std::string> expected{
      // NOLINTBEGIN(bugprone-suspicious-missing-comma): sentences in parts
      "c.json:3:22: error: /broker/url: the scheme \"http\" is not known; expected tcp, mqtt, ssl, "
      "mqtts, ws or "
      "wss",
      "c.json:3:46: warning: /broker/password: a password does not belong into the configuration; "
      "use "
      "password_credential or password_file",
      "c.json:3:67: error: /broker/keep_alive_s: expected a whole number from 1 to 65535, found "
      "the text "
      "\"15\"",
      "c.json:5:41: error: /inputs/0/where/lime: {lime} is not captured in topic or value; did you "
      "mean "
      "{line}?",
      "c.json:5:49: error: /inputs/0/where/lime: \"R(\" is not a regular expression (ECMAScript)",
      "c.json:6:17: error: /inputs/0/sensor: {signl} is not captured in topic or value; did you "
      "mean "
      "{signal}?",
      "c.json:7:5: error: /inputs/1: the key \"sensor\" is missing; expected a text",
      "c.json:7:31: error: /inputs/1/format: expected \"json\", \"text\", \"packed_json\" or "
      "\"packed_binary\", found the text \"jsn\"",
      "c.json:9:47: error: /profiles/0/detectors/0: unknown detector \"spik\"; did you mean "
      "\"spike\"?",
      "c.json:9:66: error: /profiles/0/limits: the limit low (2) must be below high (1)",
      "c.json:10:3: error: /sitte: unknown key \"sitte\"; did you mean \"site\"?",
      "c.json:11:28: error: /processing/lanes: expected a whole number from 1 to 64, found the "
      "number 100",
      // NOLINTEND(bugprone-suspicious-missing-comma)
  };
  const auto found = lines_of(loaded);
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == expected[i]);
}

TEST_CASE("a flood of problems is cut and counted") {
  std::string text = "{ \"x0\": 1";
  for (int i = 1; i < 1500; ++i) text += ", \"x" + std::to_string(i) + "\": 1";
  const auto loaded = parsed(text + " }");
  REQUIRE(loaded.problems.size() == 1001);
  CHECK(to_string(loaded.problems.back()) == "c.json: error: 500 more problems are not shown");
}

}  // namespace
}  // namespace millwright
