#include "ingest/csv.h"

#include <doctest/doctest.h>

#include <cmath>
#include <sstream>
#include <streambuf>
#include <string>
#include <system_error>
#include <vector>

using namespace millwright;
using namespace millwright::ingest;

namespace {

struct Value {
  std::string sensor;
  double value;
  bool operator==(const Value& other) const {
    return sensor == other.sensor &&
           (value == other.value || (std::isnan(value) && std::isnan(other.value)));
  }
};

struct Row {
  std::uint64_t line;
  std::int64_t time;  // microseconds
  std::string machine;
  std::vector<Value> values;
};

struct Contents {
  CsvShape shape{};
  std::vector<std::string> sensors;
  std::vector<Row> rows;
  std::vector<CsvProblem> problems;
  std::uint64_t problem_count = 0;
};

Contents read(std::istream& in) {
  CsvReader reader{in, "press-1"};
  Contents out;
  CsvRow row;
  while (reader.next(row)) {
    Row copy{row.line, to_microseconds(row.time), std::string{row.machine}, {}};
    for (const auto& value : row.values) {
      copy.values.push_back({std::string{value.sensor}, value.value});
    }
    out.rows.push_back(std::move(copy));
  }
  out.shape = reader.shape();
  out.sensors = reader.sensors();
  out.problems = reader.problems();
  out.problem_count = reader.problem_count();
  return out;
}

Contents read(const std::string& text) {
  std::istringstream in{text};
  return read(in);
}

std::string error_of(const std::string& text) {
  try {
    read(text);
  } catch (const CsvError& error) {
    return error.what();
  }
  return "no error";
}

class Broken : public std::streambuf {
 private:
  std::streamsize xsgetn(char*, std::streamsize) override {
    throw std::runtime_error{"the disk is gone"};
  }
};

constexpr std::int64_t noon = 1'672'574'400'000'000;  // 2023-01-01T12:00:00Z

}  // namespace

TEST_CASE("a wide file yields one row a line, with the sensors of the header") {
  const auto got = read("time,a,b\n2023-01-01T12:00:00Z,1,2.5\n2023-01-01T12:00:01Z,-3e2,+4\n");
  CHECK(got.shape == CsvShape::wide_shape);
  CHECK(got.sensors == std::vector<std::string>{"a", "b"});
  REQUIRE(got.rows.size() == 2);
  CHECK(got.rows[0].machine == "press-1");
  CHECK(got.rows[0].time == noon);
  CHECK(got.rows[0].line == 2);
  CHECK(got.rows[0].values == std::vector<Value>{{"a", 1}, {"b", 2.5}});
  CHECK(got.rows[1].time == noon + 1'000'000);
  CHECK(got.rows[1].values == std::vector<Value>{{"a", -300}, {"b", 4}});
  CHECK(got.problem_count == 0);
}

TEST_CASE("a long file names machine and sensor in every row") {
  const auto got = read(
      "time,machine,sensor,value\n"
      "2023-01-01T12:00:00Z,R1,temp,41.2\n"
      "2023-01-01T12:00:00Z,R2,temp,\n");
  CHECK(got.shape == CsvShape::long_shape);
  REQUIRE(got.rows.size() == 2);
  CHECK(got.rows[0].machine == "R1");
  CHECK(got.rows[0].values == std::vector<Value>{{"temp", 41.2}});
  CHECK(got.rows[1].machine == "R2");
  CHECK(got.rows[1].values.empty());
  CHECK(got.problem_count == 0);
}

TEST_CASE("odd but legal text is read as RFC 4180 and the contract say") {
  struct Case {
    const char* what;
    std::string text;
    std::vector<Value> values;  // of the only row
  };
  const std::vector<Case> cases{
      {"semicolons", "time;a;b\n1672574400;1;2\n", {{"a", 1}, {"b", 2}}},
      {"byte order mark", "\xef\xbb\xbftime,a\n1672574400,1\n", {{"a", 1}}},
      {"byte order mark before a quote", "\xef\xbb\xbf\"time\";a\n1672574400;1\n", {{"a", 1}}},
      {"CRLF", "time,a,b\r\n1672574400,1,2\r\n", {{"a", 1}, {"b", 2}}},
      {"CRLF behind a quote", "\"time\",\"a\"\r\n\"1672574400\",\"1\"\r\n", {{"a", 1}}},
      {"no newline at the end", "time,a\n1672574400,1", {{"a", 1}}},
      {"quote at the very end", "time,a\n1672574400,\"1\"", {{"a", 1}}},
      {"separator in a quoted name", "time,\"a,b\"\n1672574400,1\n", {{"a,b", 1}}},
      {"the other separator in the first name", "\"time\";\"a,b\"\n1672574400;1\n", {{"a,b", 1}}},
      {"semicolon in a later name", "time,a;b\n1672574400,1\n", {{"a;b", 1}}},
      {"doubled quotes in a name",
       "time,\"a \"\"hot\"\" one\"\n1672574400,1\n",
       {{"a \"hot\" one", 1}}},
      {"newline in a quoted name", "time,\"a\nb\"\n1672574400,1\n", {{"a\nb", 1}}},
      {"blanks around", " Time , a \n 1672574400 ,\t1 \n", {{"a", 1}}},
      {"blank before a quote", "time,a\n1672574400, \"1\" \n", {{"a", 1}}},
      {"timestamp as name of the time", "TimeStamp,a\n1672574400,1\n", {{"a", 1}}},
      {"empty cell", "time,a,b\n1672574400,,2\n", {{"b", 2}}},
      {"quoted empty cell", "time,a,b\n1672574400,\"\",2\n", {{"b", 2}}},
      {"blank lines", "\n\ntime,a\n\r\n  \n1672574400,1\n\n", {{"a", 1}}},
      {"quote inside an unquoted name", "time,3\" pipe\n1672574400,1\n", {{"3\" pipe", 1}}},
      {"UTF-8 names", "time,T\xc3\xbcr\n1672574400,1\n", {{"T\xc3\xbcr", 1}}},
      {"nan and infinity",
       "time,a,b,c\n1672574400,NaN,inf,-Infinity\n",
       {{"a", NAN}, {"b", INFINITY}, {"c", -INFINITY}}},
      {"a sensor called value", "time,value\n1672574400,1\n", {{"value", 1}}},
  };
  for (const auto& c : cases) {
    CAPTURE(c.what);
    const auto got = read(c.text);
    CHECK(got.problem_count == 0);
    REQUIRE(got.rows.size() == 1);
    CHECK(got.rows[0].time == noon);
    CHECK(got.rows[0].values == c.values);
  }
}

TEST_CASE("names of a long file may hold separators, quotes and newlines") {
  const auto got = read(
      "time;machine;sensor;value\n"
      "1672574400;\"R;1\";\"a \"\"b\"\"\";1\n"
      "1672574401;\"R\n2\";c;2\n"
      "1672574402;R3;d;3\n");
  REQUIRE(got.rows.size() == 3);
  CHECK(got.rows[0].machine == "R;1");
  CHECK(got.rows[0].values == std::vector<Value>{{"a \"b\"", 1}});
  CHECK(got.rows[1].machine == "R\n2");
  CHECK(got.rows[1].line == 3);
  CHECK(got.rows[2].line == 5);
}

TEST_CASE("every way to write a time is understood") {
  for (const char* time : {"2023-01-01T12:00:00Z", "2023-01-01 12:00:00", "2023-01-01 12:00:00.000",
                           "2023-01-01T13:00:00+01:00", "1672574400", "1672574400.0",
                           "1672574400000", "1672574400000000", "1672574400000000000"}) {
    CAPTURE(time);
    const auto got = read(std::string{"time,a\n"} + time + ",1\n");
    REQUIRE(got.rows.size() == 1);
    CHECK(got.rows[0].time == noon);
  }
  const auto fine = read("time,a\n2023-01-01 12:00:00.123456,1\n");
  REQUIRE(fine.rows.size() == 1);
  CHECK(fine.rows[0].time == noon + 123'456);
}

TEST_CASE("values are read to the last bit") {
  const auto got = read("time,a,b,c\n1672574400,0.1,-2.024668694,4.9406564584124654e-324\n");
  REQUIRE(got.rows.size() == 1);
  CHECK(got.rows[0].values ==
        std::vector<Value>{{"a", 0.1}, {"b", -2.024668694}, {"c", 4.9406564584124654e-324}});
}

TEST_CASE("a bad cell is reported with its place, and the rest of the row is used") {
  struct Case {
    std::string text;
    std::uint64_t line, column;
    const char* reason;  // part of it
    std::vector<Value> values;
  };
  const std::vector<Case> cases{
      {"time,a,b\n1672574400,x,2\n", 2, 12, "`x` of `a` is no number", {{"b", 2}}},
      {"time,a,b\n1672574400,1,2 mm\n", 2, 14, "`2 mm` of `b`", {{"a", 1}}},
      {"time,a,b\n1672574400,1e999,2\n", 2, 12, "does not fit", {{"b", 2}}},
      {"time,a,b\n1672574400,0x10,2\n", 2, 12, "no number", {{"b", 2}}},
      {"time,a,b\n1672574400,+-1,2\n", 2, 12, "no number", {{"b", 2}}},
      {"time,a,b\n1672574400,1.2.3,2\n", 2, 12, "no number", {{"b", 2}}},
      {"time;a;b\n1672574400;1,5;2\n", 2, 12, "a point, not a comma", {{"b", 2}}},
      {"time,a,b\n1672574400,\"1\"x,2\n", 2, 13, "not closed properly", {{"b", 2}}},
      {"time,a,b\n\n1672574400,1\n", 3, 13, "2 cells, the header 3", {{"a", 1}}},
      {"time,a\n1672574400,1,2\n", 2, 14, "3 cells, the header 2", {{"a", 1}}},
      {"time,a,\"b\n2\"\n1672574400,1,no\n", 3, 14, "`no`", {{"a", 1}}},
      {"time,a,\n1672574400,1,\n", 1, 8, "column 3 has no name", {{"a", 1}}},
      {"\xef\xbb\xbftime,a,\n1672574400,1,\n", 1, 8, "column 3 has no name", {{"a", 1}}},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    const auto got = read(c.text);
    REQUIRE(got.rows.size() == 1);
    CHECK(got.rows[0].values == c.values);
    REQUIRE(got.problem_count == 1);
    CHECK(got.problems[0].line == c.line);
    CHECK(got.problems[0].column == c.column);
    CAPTURE(got.problems[0].reason);
    CHECK(got.problems[0].reason.find(c.reason) != std::string::npos);
  }
}

TEST_CASE("a row without a time or a name is left out and reported") {
  struct Case {
    const char* row;
    const char* reason;
  };
  for (const auto& c : std::vector<Case>{{",R1,a,1", "no time"},
                                         {"yesterday,R1,a,1", "`yesterday` is no time"},
                                         {"2023-02-30 00:00:00,R1,a,1", "is no time"},
                                         {"\"1672574400\"x,R1,a,1", "not closed properly"},
                                         {"1672574400,,a,1", "no machine"},
                                         {"1672574400,R1,\"\",1", "no sensor"},
                                         {"1672574400,R1", "2 cells, the header 4"}}) {
    CAPTURE(c.row);
    const auto got =
        read(std::string{"time,machine,sensor,value\n"} + c.row + "\n1672574400,R9,a,1\n");
    REQUIRE(got.rows.size() == 1);
    CHECK(got.rows[0].machine == "R9");
    REQUIRE(got.problem_count == 1);
    CHECK(got.problems[0].line == 2);
    CHECK(got.problems[0].reason.find(c.reason) != std::string::npos);
  }
}

TEST_CASE("a file that cannot be used is refused with a sentence") {
  struct Case {
    std::string text;
    const char* sentence;  // part of it
  };
  for (const auto& c :
       std::vector<Case>{{"", "empty"},
                         {"\n\n", "empty"},
                         {"\xef\xbb\xbf", "empty"},
                         {"a,b\n1,2\n", "line 1: no time column: the first column is `a`"},
                         {"1672574400,1,2\n", "line 1: no header"},
                         {"\n2023-01-01T12:00:00Z,1\n", "line 2: no header"},
                         {"time\n1\n", "no sensor column"},
                         {"time\ta\n1\t2\n", "no time column"},
                         {"time,,\n1,2,3\n", "no sensor column has a name"},
                         {"time,a,b,a\n1,2,3,4\n", "line 1: columns 2 and 4 are both called `a`"},
                         {"time,machine,sensor,value,score,alert\n", "exactly the columns"},
                         {"time,sensor,machine,value\n", "exactly the columns"},
                         {std::string{"\xff\xfet\0i\0", 6}, "UTF-16"},
                         {"time,\"a\n1,2\n", "quote"}}) {
    CAPTURE(c.text);
    const auto got = error_of(c.text);
    CAPTURE(got);
    CHECK(got.find(c.sentence) != std::string::npos);
  }
}

TEST_CASE("a long file is read through a small window, rows over its edges stay whole") {
  // Rows of many lengths, so that rows, quotes and CRLF meet the end of the 256 KiB window in every
  // way.
  std::string text = "time,machine,sensor,value\r\n";
  const std::size_t rows = 60'000;
  for (std::size_t i = 0; i < rows; ++i) {
    text += std::to_string(1'672'574'400 + i) + ",\"R\"\"" + std::string(i % 17, 'x') + "\",\"s\n" +
            std::to_string(i % 5) + "\"," + std::to_string(i) + "\r\n";
  }
  REQUIRE(text.size() > 5 * 256 * 1024);
  std::istringstream in{text};
  CsvReader reader{in, ""};
  CsvRow row;
  std::size_t i = 0;
  bool same = true;
  while (reader.next(row)) {
    same = same && row.machine == "R\"" + std::string(i % 17, 'x') && row.values.size() == 1 &&
           row.values[0].sensor == "s\n" + std::to_string(i % 5) &&
           row.values[0].value == static_cast<double>(i) && row.line == 2 + 2 * i &&
           to_microseconds(row.time) == noon + static_cast<std::int64_t>(i) * 1'000'000;
    ++i;
  }
  CHECK(same);
  CHECK(i == rows);
  CHECK(reader.problem_count() == 0);
}

TEST_CASE("a row larger than the window is read, one without end is refused") {
  std::string header = "time", row = "1672574400";
  for (int i = 0; i < 60'000; ++i) {
    header += ",sensor_" + std::to_string(i);
    row += "," + std::to_string(i);
  }
  const auto got = read(header + "\n" + row + "\n");
  REQUIRE(got.rows.size() == 1);
  REQUIRE(got.rows[0].values.size() == 60'000);
  CHECK(got.rows[0].values[59'999].value == 59'999);

  const auto error =
      error_of("time,a\n1672574400,1\n1672574401,\"" + std::string(17u << 20, 'x') + "\n");
  CHECK(error.find("line 3") != std::string::npos);
  CHECK(error.find("quote") != std::string::npos);
}

TEST_CASE("problems are counted without end, and kept with one") {
  std::string text = "time,a\n";
  for (int i = 0; i < 1000; ++i) text += "1672574400,x\n";
  const auto got = read(text);
  CHECK(got.problem_count == 1000);
  CHECK(got.problems.size() == 100);
  CHECK(got.rows.size() == 1000);
  CHECK(to_string(got.problems[0], "log.csv") == "log.csv:2:12: `x` of `a` is no number");
}

TEST_CASE("a read that fails is an I/O error, not the end of the file") {
  Broken broken;
  std::istream in{&broken};
  CHECK_THROWS_AS(read(in), std::system_error);
}
