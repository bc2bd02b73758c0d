// Reading CSV as `replay` and `simulate --csv` take it: streaming, one row at a time, in bounded
// memory.
//
// Two shapes, told apart by the header, with RFC 4180 quoting and `,` or `;` between the cells:
//   long   time,machine,sensor,value
//   wide   time,<sensor>,<sensor>,...
// The first column may be called `timestamp`; case and blanks around a name do not matter there.
// Times are whatever parse_time takes; an empty cell is no reading; `nan` and `inf` are values,
// which the engine refuses and counts. A cell that cannot be read is reported and counted, and the
// rest of its row is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace millwright::ingest {

// The file cannot be used at all; one sentence with the line.
class CsvError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Something in the file that was left out. Line and column count from 1; the column is in bytes.
struct CsvProblem {
  std::uint64_t line = 0, column = 0;
  std::string reason;
};

// `name:line:column: reason`
std::string to_string(const CsvProblem& problem, std::string_view name);

enum class CsvShape : std::uint8_t { wide_shape, long_shape };

struct CsvValue {
  std::size_t column = 0;  // wide: index in CsvReader::sensors(); long: 0
  std::string_view sensor;
  double value = 0;  // may be NaN or infinite
};

// Borrowed from the reader until the next call of `next`.
struct CsvRow {
  std::uint64_t line = 0;
  Timestamp time;
  std::string_view machine;
  std::vector<CsvValue> values;  // in the order of the columns; long: one or none
};

// Thread rule: one thread.
class CsvReader {
 public:
  // Reads the header. `in` is borrowed and should be opened as binary; `machine` names the machine
  // of a wide file and is not used by a long one. Throws CsvError when there is no header, no time
  // column or no sensor column, when two columns have one name, and when the text is UTF-16.
  CsvReader(std::istream& in, std::string machine);
  ~CsvReader();
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;

  // The next row whose time could be read; false at the end. `row` is reused. Throws CsvError when
  // a row is longer than 16 MiB (a quote left open) and std::system_error when reading fails.
  bool next(CsvRow& row);

  CsvShape shape() const { return shape_; }
  char separator() const { return separator_; }
  // Wide: the sensors, in the order of their columns. Long: empty.
  const std::vector<std::string>& sensors() const { return sensors_; }

  std::uint64_t problem_count() const { return problem_count_; }
  // The first 100 of them.
  const std::vector<CsvProblem>& problems() const { return problems_; }

 private:
  struct Cell {
    std::size_t begin = 0, end = 0;  // in buffer_; a quoted cell without its quotes
    bool quoted = false;
    bool escaped = false;  // holds doubled quotes
    bool broken = false;   // text after the closing quote, or no closing quote
  };

  bool read_record();
  bool scan_record();
  void scan_quoted(Cell& cell, std::size_t& at, bool& complete) const;
  bool refill();
  void read_header();
  std::string_view text_of(const Cell& cell) const;
  std::string unescaped(const Cell& cell) const;
  bool take_time(const Cell& cell, Timestamp& out);
  bool take_value(const Cell& cell, std::string_view name, double& out);
  bool take_name(const Cell& cell, std::string_view what, std::string& scratch,
                 std::string_view& out);
  void take_wide(CsvRow& row);
  bool take_long(CsvRow& row);
  void report_width();
  void report(std::size_t at, std::string reason);

  std::istream& in_;
  std::string machine_;
  CsvShape shape_{};
  char separator_ = ',';
  std::vector<std::string> sensors_;
  std::vector<std::size_t>
      sensor_of_column_;  // column of the file -> sensor; `no_sensor` for one without a name

  std::string buffer_;
  std::size_t begin_ = 0, filled_ = 0;  // what is not yet consumed
  bool ended_ = false;                  // the stream has no more
  std::size_t record_ = 0;              // where the current record begins
  std::uint64_t line_ = 1;              // of record_
  std::uint64_t next_line_ = 1;         // of begin_
  std::vector<Cell> cells_;
  std::string machine_text_, sensor_text_;  // unescaped names of the current row
  std::string time_text_;                   // the time read last: long files repeat it
  Timestamp time_;

  std::uint64_t problem_count_ = 0;
  std::vector<CsvProblem> problems_;
};

}  // namespace millwright::ingest
