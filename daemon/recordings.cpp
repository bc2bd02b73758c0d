#include "daemon/recordings.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "daemon/ndjson.h"
#include "ingest/csv.h"

namespace millwright::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t most_said = 20;  // problems of a file

// As many files as the system lets a process have: a history may be a file a day.
void allow_many_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  // Refused, the limit stays; a file too many is then told by its name.
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

class Recording {
 public:
  explicit Recording(const std::string& file) : in(file, std::ios::binary) {
    if (!in) throw std::system_error{errno, std::generic_category(), "cannot read " + file};
  }
  virtual ~Recording() = default;
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  // False at the end.
  virtual bool next() = 0;
  // Of the file so far, for the end of it.
  virtual std::uint64_t problems() const = 0;
  virtual void tell(const Recordings::Complain& complain) const = 0;

  RecordedRow row;

 protected:
  std::ifstream in;
};

namespace {

// What `act` throws says which file it is about.
template <class Act>
auto naming(const std::string& file, Act act) {
  try {
    return act();
  } catch (const ingest::CsvError& error) {
    throw ingest::CsvError{fmt::format("{}: {}", file, error.what())};
  } catch (const std::system_error& error) {
    throw std::system_error{error.code(), "cannot read " + file};
  }
}

class CsvRecording final : public Recording {
 public:
  CsvRecording(std::string file, std::string machine)
      : Recording(file), file_(std::move(file)), reader_(naming(file_, [&] {
          return ingest::CsvReader{in, std::move(machine)};
        })) {}

  bool next() override {
    while (naming(file_, [this] { return reader_.next(row_); })) {
      if (row_.values.empty()) continue;
      row.time = row_.time;
      row.machine = row_.machine;
      row.values.clear();
      for (const auto& value : row_.values) row.values.push_back({value.sensor, value.value});
      return true;
    }
    return false;
  }
  std::uint64_t problems() const override { return reader_.problem_count(); }
  void tell(const Recordings::Complain& complain) const override {
    std::uint64_t said = 0;
    for (const auto& problem : reader_.problems()) {
      if (++said > most_said) break;
      complain(ingest::to_string(problem, file_));
    }
    if (problems() > most_said)
      complain(fmt::format("{}: {} more problems", file_, problems() - most_said));
  }

 private:
  std::string file_;
  ingest::CsvReader reader_;
  ingest::CsvRow row_;
};

class NdjsonRecording final : public Recording {
 public:
  explicit NdjsonRecording(std::string file) : Recording(file), file_(std::move(file)) {}

  bool next() override {
    while (std::getline(in, line_)) {
      ++number_;
      try {
        reading_ = parse_reading(line_);
      } catch (const std::invalid_argument& error) {
        if (++problems_ <= most_said)
          said_.push_back(fmt::format("{}:{}: {}", file_, number_, error.what()));
        continue;
      }
      if (!reading_) continue;
      row.time = reading_->time;
      row.machine = reading_->machine;
      row.values.assign(1, {reading_->sensor, reading_->value});
      return true;
    }
    if (in.bad()) throw std::system_error{EIO, std::generic_category(), "cannot read " + file_};
    return false;
  }
  std::uint64_t problems() const override { return problems_; }
  void tell(const Recordings::Complain& complain) const override {
    for (const auto& problem : said_) complain(problem);
    if (problems_ > most_said)
      complain(fmt::format("{}: {} more problems", file_, problems_ - most_said));
  }

 private:
  std::string file_, line_;
  std::uint64_t number_ = 0, problems_ = 0;
  std::vector<std::string> said_;
  std::optional<NamedReading> reading_;
};

std::unique_ptr<Recording> open(const std::string& file, const std::string& machine) {
  if (fs::path{file}.extension() == ".ndjson") return std::make_unique<NdjsonRecording>(file);
  return std::make_unique<CsvRecording>(file,
                                        machine.empty() ? fs::path{file}.stem().string() : machine);
}

}  // namespace

Recordings::Recordings(const std::vector<std::string>& files, const std::string& machine,
                       Complain complain)
    : complain_(std::move(complain)) {
  allow_many_files();
  for (const auto& file : files) files_.push_back(open(file, machine));
  for (std::size_t i = 0; i < files_.size(); ++i) advance(i);
}

Recordings::~Recordings() = default;

void Recordings::advance(std::size_t file) {
  auto& recording = files_[file];
  if (recording->next()) {
    heads_.push_back({recording->row.time, file});
    std::push_heap(heads_.begin(), heads_.end());
    return;
  }
  problems_ += recording->problems();
  recording->tell(complain_);
  recording.reset();
}

bool Recordings::next(RecordedRow& row) {
  if (given_) advance(*given_);
  given_.reset();
  if (heads_.empty()) return false;
  std::pop_heap(heads_.begin(), heads_.end());
  given_ = heads_.back().file;
  heads_.pop_back();
  row = files_[*given_]->row;
  return true;
}

}  // namespace millwright::daemon
