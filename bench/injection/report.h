// What came out, as tables for people and as a document.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/injection/backgrounds.h"
#include "bench/injection/trial.h"

namespace millwright::bench {

// All seeds of one family, or one recorded series.
struct Row {
  std::string name;
  std::vector<Outcomes> outcomes;
  std::optional<std::size_t> family;  // none: recorded
};

// All rows of one sampling interval, synthetic families first.
struct Table {
  Rate rate;
  std::vector<Row> rows;
};

struct Run {
  std::string command;
  std::string detectors;
  double size = 6;
  std::vector<Fault> faults;
  std::vector<Table> tables;  // those without rows are not told
};

// The recall of the best test of single readings on white noise (two-sided, exactly known mean and
// deviation) that raises `alerts_a_month` of its own.
double best_recall(double size, Duration interval, double alerts_a_month);

std::string as_text(const Run& run);
std::string as_json(const Run& run);

}  // namespace millwright::bench
