#include "tests/faults/table.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <mutex>
#include <utility>
#include <vector>

#include "tests/support/temporary.h"

namespace millwright::test {
namespace {

struct Row {
  std::string fault, times, expected, seen;
};

std::mutex mutex;

std::vector<Row>& rows() {
  static std::vector<Row> all;
  return all;
}

std::string table() {
  const std::lock_guard lock{mutex};
  std::size_t fault = 5, times = 5, expected = 8;
  for (const auto& row : rows()) {
    fault = std::max(fault, row.fault.size());
    times = std::max(times, row.times.size());
    expected = std::max(expected, row.expected.size());
  }
  const auto line = [&](const Row& row) {
    return fmt::format("{:<{}}  {:>{}}  {:<{}}  {}\n", row.fault, fault, row.times, times,
                       row.expected, expected, row.seen);
  };
  auto text = line({"fault", "times", "expected", "seen"});
  for (const auto& row : rows()) text += line(row);
  return text;
}

class Listener : public doctest::IReporter {
 public:
  explicit Listener(const doctest::ContextOptions&) {}
  void test_run_end(const doctest::TestRunStats&) override {
    if (rows().empty()) return;
    const auto text = table();
    std::cout << '\n' << text << std::flush;
    write_file(MILLWRIGHT_FAULT_TABLE, text);
  }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

DOCTEST_REGISTER_LISTENER("fault_table", 1, Listener);

}  // namespace

void report_fault(std::string fault, std::int64_t times, std::string expected, std::string seen) {
  const std::lock_guard lock{mutex};
  rows().push_back({std::move(fault), std::to_string(times), std::move(expected), std::move(seen)});
}

}  // namespace millwright::test
