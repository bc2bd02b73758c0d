// Recorded files as `replay` plays them: all at once, in the order of time, so that machines of
// several files can be compared with each other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace millwright::daemon {

struct RecordedValue {
  std::string_view sensor;
  double value = 0;
};

// What one machine said at one time. Borrowed from the recordings until the next call of `next`.
struct RecordedRow {
  Timestamp time;
  std::string_view machine;
  std::vector<RecordedValue> values;  // at least one
};

// One file, row by row.
class Recording;

// Thread rule: one thread.
class Recordings {
 public:
  using Complain = std::function<void(const std::string& problem)>;

  // CSV, or NDJSON if the name ends in .ndjson; `machine` names the machine of wide CSV files, else
  // it is the file's name. All files stay open. Throws std::system_error when one cannot be read,
  // ingest::CsvError when it is of no use. What is left out is told, up to a bound for each file.
  Recordings(const std::vector<std::string>& files, const std::string& machine, Complain complain);
  ~Recordings();
  Recordings(const Recordings&) = delete;
  Recordings& operator=(const Recordings&) = delete;

  // The earliest of the files' next rows, of two at one time that of the file named first; a file
  // whose own rows are in another order is played in that. False at the end of all.
  bool next(RecordedRow& row);
  std::uint64_t problems() const { return problems_; }  // cells or lines left out

 private:
  void advance(std::size_t file);

  std::vector<std::unique_ptr<Recording>> files_;
  struct Head {
    Timestamp time;
    std::size_t file = 0;
    // The order of the heap, whose front is the greatest.
    friend bool operator<(const Head& a, const Head& b) {
      return a.time != b.time ? a.time > b.time : a.file > b.file;
    }
  };
  std::vector<Head> heads_;           // a heap, the earliest in front
  std::optional<std::size_t> given_;  // the file of the row given last
  Complain complain_;
  std::uint64_t problems_ = 0;
};

}  // namespace millwright::daemon
