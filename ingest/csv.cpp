#include "ingest/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <istream>
#include <limits>
#include <map>
#include <system_error>

#include "ingest/format.h"

namespace millwright::ingest {
namespace {

constexpr std::size_t first_buffer = 256 * 1024;
constexpr std::size_t longest_record = 16u << 20;
constexpr std::size_t problems_kept = 100;
constexpr std::size_t no_sensor = std::numeric_limits<std::size_t>::max();

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// For messages: short, and on one line.
std::string quote(std::string_view text) {
  constexpr std::size_t longest = 40;
  std::string out{text.substr(0, longest)};
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text.size() > longest ? fmt::format("`{}...`", out) : fmt::format("`{}`", out);
}

std::errc read_number(std::string_view text, double& out) {
  // from_chars takes no plus sign; behind it, it would take a minus sign
  if (text.size() > 1 && text[0] == '+' && text[1] != '-' && text[1] != '+') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc{} && end != text.data() + text.size()) return std::errc::invalid_argument;
  return error;
}

std::string_view line_ending_cut(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

}  // namespace

std::string to_string(const CsvProblem& problem, std::string_view name) {
  return fmt::format("{}:{}:{}: {}", name, problem.line, problem.column, problem.reason);
}

CsvReader::CsvReader(std::istream& in, std::string machine)
    : in_(in), machine_(std::move(machine)) {
  buffer_.resize(first_buffer);
  read_header();
}

CsvReader::~CsvReader() = default;

// Makes room behind the current record and reads more; false when the stream has ended.
bool CsvReader::refill() {
  if (ended_) return false;
  if (record_ > 0) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(record_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(filled_), buffer_.begin());
    filled_ -= record_;
    begin_ -= record_;
    record_ = 0;
  }
  if (filled_ == buffer_.size()) {
    if (filled_ >= longest_record) {
      throw CsvError{fmt::format("line {}: a row longer than {} MiB; is a quote left open there?",
                                 line_, longest_record >> 20)};
    }
    buffer_.resize(std::min(buffer_.size() * 2, longest_record));
  }
  errno = 0;
  in_.read(buffer_.data() + filled_, static_cast<std::streamsize>(buffer_.size() - filled_));
  const auto got = static_cast<std::size_t>(in_.gcount());
  if (in_.bad()) {
    throw std::system_error{errno != 0 ? errno : EIO, std::generic_category(),
                            "reading the CSV file failed"};
  }
  filled_ += got;
  ended_ = got == 0 || in_.eof();
  return got > 0;
}

// `at` stands behind the opening quote; afterwards behind the cell. Not complete: the buffer ended
// inside.
void CsvReader::scan_quoted(Cell& cell, std::size_t& at, bool& complete) const {
  cell.quoted = true;
  cell.begin = at;
  complete = false;
  while (at < filled_) {
    if (buffer_[at] != '"') {
      ++at;
      continue;
    }
    if (at + 1 == filled_ && !ended_) return;  // a doubled quote, or the closing one?
    if (at + 1 < filled_ && buffer_[at + 1] == '"') {
      cell.escaped = true;
      at += 2;
      continue;
    }
    cell.end = at++;
    while (at < filled_ && buffer_[at] != separator_ && buffer_[at] != '\n') {
      if (buffer_[at] != '\r' && !is_blank(buffer_[at])) cell.broken = true;
      ++at;
    }
    complete = at < filled_ || ended_;
    return;
  }
  cell.end = filled_;
  cell.broken = true;
  complete = ended_;
}

// Splits the record at record_ into cells_. False when the buffer ends before the record does.
bool CsvReader::scan_record() {
  cells_.clear();
  std::size_t at = record_;
  for (;;) {
    Cell cell;
    cell.begin = at;
    std::size_t look = at;
    while (look < filled_ && is_blank(buffer_[look])) ++look;
    if (look < filled_ && buffer_[look] == '"') {
      at = look + 1;
      bool complete = false;
      scan_quoted(cell, at, complete);
      if (!complete) return false;
    } else {
      while (at < filled_ && buffer_[at] != separator_ && buffer_[at] != '\n') ++at;
      cell.end = at;
    }
    if (at == filled_) {
      if (!ended_) return false;
      cells_.push_back(cell);
      begin_ = at;
      return true;
    }
    if (buffer_[at] == '\n') {
      if (!cell.quoted && cell.end > cell.begin && buffer_[cell.end - 1] == '\r') --cell.end;
      cells_.push_back(cell);
      begin_ = at + 1;
      return true;
    }
    cells_.push_back(cell);
    ++at;
  }
}

// The next record that is not blank, in cells_; false at the end of the file.
bool CsvReader::read_record() {
  for (;;) {
    record_ = begin_;
    line_ = next_line_;
    if (record_ == filled_ && !refill()) return false;
    while (!scan_record()) refill();
    next_line_ += static_cast<std::uint64_t>(
        std::count(buffer_.begin() + static_cast<std::ptrdiff_t>(record_),
                   buffer_.begin() + static_cast<std::ptrdiff_t>(begin_), '\n'));
    const bool blank =
        cells_.size() == 1 && !cells_[0].quoted && without_blanks(text_of(cells_[0])).empty();
    if (!blank) return true;
  }
}

std::string_view CsvReader::text_of(const Cell& cell) const {
  return std::string_view{buffer_}.substr(cell.begin, cell.end - cell.begin);
}

std::string CsvReader::unescaped(const Cell& cell) const {
  std::string out{cell.quoted ? text_of(cell) : without_blanks(text_of(cell))};
  for (std::size_t at = 0; cell.escaped && (at = out.find("\"\"", at)) != std::string::npos; ++at) {
    out.erase(at, 1);
  }
  return out;
}

void CsvReader::read_header() {
  refill();
  const std::string_view start{buffer_.data(), filled_};
  if (start.starts_with("\xff\xfe") || start.starts_with("\xfe\xff")) {
    throw CsvError{"line 1: the file is UTF-16; save it as UTF-8"};
  }
  if (start.starts_with("\xef\xbb\xbf")) begin_ = 3;

  // The separator is what follows the first cell, whichever it is; a `;` inside a later name does
  // not matter so.
  const auto header = line_ending_cut(start.substr(begin_, start.find('\n', begin_) - begin_));
  const auto first_end = header.find_first_of(
      ",;", without_blanks(header).starts_with('"')
                ? std::min(header.find('"', header.find('"') + 1), header.size())
                : 0);
  if (first_end != std::string_view::npos) separator_ = header[first_end];

  if (!read_record())
    throw CsvError{"the file is empty: a header like `time,j1_temp,j2_temp` is needed"};
  std::vector<std::string> names;
  for (const auto& cell : cells_) {
    if (cell.broken)
      throw CsvError{fmt::format("line {}: a quote in the header is not closed properly", line_)};
    names.emplace_back(without_blanks(unescaped(cell)));
  }

  const auto& first = names.front();
  if (!equal_ignoring_case(first, "time") && !equal_ignoring_case(first, "timestamp")) {
    throw CsvError{
        parse_time(first)
            ? fmt::format("line {}: no header: {} looks like data; the first line must name the "
                          "columns, like `time,j1_temp,j2_temp`",
                          line_, quote(first))
            : fmt::format("line {}: no time column: the first column is {}, and must be `time`",
                          line_, quote(first))};
  }
  if (names.size() == 1) {
    throw CsvError{
        fmt::format("line {}: no sensor column behind `{}`; columns are separated by `,` or `;`",
                    line_, first)};
  }
  const auto has = [&](std::string_view name) {
    return std::any_of(names.begin() + 1, names.end(),
                       [&](const std::string& other) { return equal_ignoring_case(other, name); });
  };
  if (has("machine") && has("sensor") && has("value")) {
    if (names.size() != 4 || !equal_ignoring_case(names[1], "machine") ||
        !equal_ignoring_case(names[2], "sensor")) {
      throw CsvError{fmt::format(
          "line {}: the long shape has exactly the columns time,machine,sensor,value", line_)};
    }
    shape_ = CsvShape::long_shape;
    return;
  }

  std::map<std::string_view, std::size_t> seen;
  sensor_of_column_.assign(names.size(), no_sensor);
  for (std::size_t i = 1; i < names.size(); ++i) {
    if (names[i].empty()) {
      report(cells_[i].begin, fmt::format("column {} has no name and is left out", i + 1));
      continue;
    }
    const auto [other, fresh] = seen.emplace(names[i], i);
    if (!fresh) {
      throw CsvError{fmt::format("line {}: columns {} and {} are both called {}", line_,
                                 other->second + 1, i + 1, quote(names[i]))};
    }
    sensor_of_column_[i] = sensors_.size();
    sensors_.push_back(names[i]);
  }
  if (sensors_.empty()) throw CsvError{fmt::format("line {}: no sensor column has a name", line_)};
}

void CsvReader::report(std::size_t at, std::string reason) {
  ++problem_count_;
  if (problems_.size() >= problems_kept) return;
  const auto before = std::string_view{buffer_}.substr(record_, at - record_);
  const auto newline = before.rfind('\n');
  CsvProblem problem;
  problem.line = line_ + static_cast<std::uint64_t>(std::count(before.begin(), before.end(), '\n'));
  problem.column = newline == std::string_view::npos ? before.size() + 1 : before.size() - newline;
  problem.reason = std::move(reason);
  problems_.push_back(std::move(problem));
}

bool CsvReader::take_time(const Cell& cell, Timestamp& out) {
  const auto text = without_blanks(text_of(cell));
  if (cell.broken) {
    report(cell.begin, "the quotes around the time are not closed properly; the row is left out");
    return false;
  }
  if (text != time_text_ || text.empty()) {
    const auto time = parse_time(text);
    if (!time) {
      report(cell.begin, text.empty()
                             ? "no time; the row is left out"
                             : fmt::format("{} is no time; the row is left out", quote(text)));
      return false;
    }
    time_ = *time;
    time_text_ = text;
  }
  out = time_;
  return true;
}

// True when the cell holds a value.
bool CsvReader::take_value(const Cell& cell, std::string_view name, double& out) {
  const auto text = without_blanks(text_of(cell));
  if (cell.broken) {
    report(cell.begin,
           fmt::format("the quotes around the value of {} are not closed properly", quote(name)));
    return false;
  }
  if (text.empty()) return false;
  const auto error = read_number(text, out);
  if (error == std::errc{}) return true;
  if (error == std::errc::result_out_of_range) {
    report(cell.begin, fmt::format("{} of {} does not fit a double", quote(text), quote(name)));
  } else if (separator_ == ';' && text.find(',') != std::string_view::npos) {
    report(cell.begin, fmt::format("{} of {} is no number; decimals need a point, not a comma",
                                   quote(text), quote(name)));
  } else {
    report(cell.begin, fmt::format("{} of {} is no number", quote(text), quote(name)));
  }
  return false;
}

bool CsvReader::take_name(const Cell& cell, std::string_view what, std::string& scratch,
                          std::string_view& out) {
  if (cell.escaped) {
    scratch = unescaped(cell);
    out = scratch;
  } else {
    out = cell.quoted ? text_of(cell) : without_blanks(text_of(cell));
  }
  if (!out.empty() && !cell.broken) return true;
  report(cell.begin,
         cell.broken
             ? fmt::format("the quotes around the {} are not closed properly; the row is left out",
                           what)
             : fmt::format("no {}; the row is left out", what));
  return false;
}

// Says so when the row has another number of cells than the header.
void CsvReader::report_width() {
  const auto columns = shape_ == CsvShape::wide_shape ? sensor_of_column_.size() : std::size_t{4};
  if (cells_.size() == columns) return;
  if (cells_.size() < columns) {
    report(cells_.back().end,
           fmt::format("the row has {} cells, the header {}; what is missing counts as empty",
                       cells_.size(), columns));
  } else {
    report(cells_[columns].begin,
           fmt::format("the row has {} cells, the header {}; what is too many is left out",
                       cells_.size(), columns));
  }
}

void CsvReader::take_wide(CsvRow& row) {
  row.machine = machine_;
  const auto columns = std::min(cells_.size(), sensor_of_column_.size());
  for (std::size_t i = 1; i < columns; ++i) {
    const auto sensor = sensor_of_column_[i];
    if (sensor == no_sensor) continue;
    double value = 0;
    if (take_value(cells_[i], sensors_[sensor], value))
      row.values.push_back({sensor, sensors_[sensor], value});
  }
}

bool CsvReader::take_long(CsvRow& row) {
  if (cells_.size() < 3) return false;
  std::string_view sensor;
  if (!take_name(cells_[1], "machine", machine_text_, row.machine)) return false;
  if (!take_name(cells_[2], "sensor", sensor_text_, sensor)) return false;
  double value = 0;
  if (cells_.size() > 3 && take_value(cells_[3], sensor, value))
    row.values.push_back({0, sensor, value});
  return true;
}

bool CsvReader::next(CsvRow& row) {
  while (read_record()) {
    row.line = line_;
    row.values.clear();
    report_width();
    if (!take_time(cells_[0], row.time)) continue;
    if (shape_ == CsvShape::wide_shape) {
      take_wide(row);
      return true;
    }
    if (take_long(row)) return true;
  }
  return false;
}

}  // namespace millwright::ingest
