#include "daemon/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "daemon/plot.h"
#include "daemon/printable.h"
#include "detectors/all.h"
#include "engine/message.h"
#include "engine/whole.h"

namespace millwright::daemon {
namespace {

using Json = nlohmann::json;

constexpr Duration least_around = std::chrono::minutes{10};  // of minutes on both sides

std::string text_of(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : std::string{};
}
std::string shown(const Json& json, const char* key) { return printable(text_of(json, key)); }
std::optional<double> number_of(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_number() ? std::optional{it->get<double>()} : std::nullopt;
}
// Documents of other versions may lack what ours has.
const Json& member(const Json& json, const char* key) {
  static const Json none;
  const auto it = json.find(key);
  return it != json.end() ? *it : none;
}
std::optional<Timestamp> time_of(const Json& json, const char* key) {
  const auto text = text_of(json, key);
  return text.empty() ? std::nullopt : parse_time(text);
}

std::string with_unit(double value, const std::string& unit) {
  return engine::format_value(value) + (unit.empty() ? "" : " " + printable(unit));
}

std::vector<Json> documents(const Story& story) {
  std::vector<Json> out;
  for (const auto& step : story.steps) {
    if (!step.document.empty()) out.push_back(Json::parse(step.document));
  }
  return out;
}

// The event that says most: the newest that tells a score of the condition. What ended it, and what
// people did, came after.
const Json& telling(const std::vector<Json>& events) {
  const auto tells = [](const Json& event) {
    const auto what = text_of(event, "event");
    return what == "raised" || what == "updated" || what == "escalated";
  };
  const auto found = std::find_if(events.rbegin(), events.rend(), tells);
  return found != events.rend() ? *found : events.back();
}

// What the plot and the numbers are of: the alert, or of a case its worst part.
Json shown_event(const Story& story) {
  if (!story.parts.empty()) return Json::parse(story.parts.front());
  return telling(documents(story));
}

std::vector<Sample> evidence_of(const Json& alert) {
  const auto& evidence = member(alert, "evidence");
  const auto& times = member(evidence, "times");
  const auto& values = member(evidence, "values");
  std::vector<Sample> out;
  for (std::size_t i = 0; i < std::min(times.size(), values.size()); ++i) {
    if (!times[i].is_string() || !values[i].is_number()) continue;
    if (const auto time = parse_time(times[i].get<std::string>()))
      out.push_back({*time, values[i].get<double>()});
  }
  return out;
}

class Page {
 public:
  void line(std::string_view name, const std::string& text) {
    if (!text.empty()) out_ += fmt::format("  {:<11}{}\n", name, text);
  }
  void text(const std::string& text) { out_ += text; }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

std::string shares(const Json& list, const char* key) {
  std::string out;
  for (const auto& one : list) {
    out += fmt::format("{}{} {:.0f} %", out.empty() ? "" : ", ", shown(one, key),
                       100 * number_of(one, "share").value_or(0));
  }
  return out;
}

std::string state_line(const Json& now) {
  auto out = fmt::format("{}, priority {}, {}", shown(now, "severity"),
                         number_of(now, "priority").value_or(0), shown(now, "state"));
  const auto is = [&](const char* key) { return member(now, key) == Json(true); };
  if (is("acknowledged")) out += ", acknowledged";
  if (const auto until = shown(now, "shelved_until"); !until.empty())
    out += ", shelved until " + until;
  if (is("suppressed")) out += ", under maintenance";
  if (is("chattering")) {
    out += fmt::format(", comes and goes ({} times)", number_of(now, "occurrences").value_or(1));
  }
  if (is("held_back")) out += ", held back by the budget: nobody was told";
  return out;
}

std::string value_line(const Json& told) {
  const auto unit = text_of(told, "unit");
  const auto value = number_of(told, "value"), expected = number_of(told, "expected");
  const auto low = number_of(told, "low"), high = number_of(told, "high");
  if (!value) return "";
  auto out = with_unit(*value, unit);
  if (expected && *expected != *value) out += ", expected " + with_unit(*expected, unit);
  if (low && high && *low < *high) {
    out += fmt::format(", normal {} to {}", engine::format_value(*low), with_unit(*high, unit));
  }
  return out;
}

std::string span_line(const Json& told, const Json& now) {
  const auto onset = time_of(told, "onset"), end = time_of(now, "cleared");
  const auto newest = time_of(now, "time");
  if (!onset || !newest) return "";
  const auto lasted = describe_duration(end.value_or(*newest) - *onset);
  return fmt::format("{}, lasted {}{}", format_time(*onset), lasted,
                     end ? ", until " + format_time(*end) : " up to the newest event");
}

std::string detector_line(const Json& told) {
  const auto& d = member(told, "detector");
  if (text_of(d, "name").empty()) return "";
  return fmt::format("{} version {}, configuration {}", shown(d, "name"),
                     number_of(d, "version").value_or(0), shown(d, "config"));
}
std::string baseline_line(const Json& told) {
  const auto& d = member(told, "detector");
  if (text_of(d, "name").empty()) return "";
  const auto learned = number_of(d, "learned_readings").value_or(0);
  if (learned == 0) return "none: nothing was learned for it";
  const auto confidence = number_of(d, "confidence");
  return fmt::format("version {}, learned from {} readings{}", number_of(d, "baseline").value_or(1),
                     learned,
                     confidence ? fmt::format(", {:.0f} % of what it can hold", 100 * *confidence)
                                : std::string{});
}
std::string regime_line(const Json& told) {
  const auto& d = member(told, "detector");
  const auto regime = shown(d, "regime");
  if (regime.empty()) return "";
  return fmt::format("{}, {} readings of the sensor learned in it", regime,
                     number_of(d, "regime_readings").value_or(0));
}

std::string score_line(const Json& told) {
  const auto score = number_of(told, "score");
  if (!score) return "";
  const auto head = fmt::format("{:.4g} (1 is the limit)", *score);
  const auto again = recomputed_score(told);
  if (!again) return head + ", cannot be recomputed from the evidence: it needs what was learned";
  return fmt::format("{}, recomputed from the evidence: {:.4g}", head, *again);
}

std::string numbers_line(const Json& told) {
  std::string out;
  for (const auto& one : member(member(told, "detector"), "numbers")) {
    const auto value = number_of(one, "value");
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", shown(one, "name"),
                       value ? engine::format_value(*value) : "none");
  }
  return out;
}

std::string forecast_line(const Json& told) {
  const auto& f = member(told, "forecast");
  const auto limit = number_of(f, "limit");
  if (!limit) return "";
  const auto latest = shown(f, "latest");
  return fmt::format("reaches {} about {} ({} to {})", with_unit(*limit, text_of(told, "unit")),
                     shown(f, "reaches_limit"), shown(f, "earliest"),
                     latest.empty() ? "perhaps never" : latest);
}

std::string history_text(const Story& story) {
  std::string out = "\nWhat happened\n";
  for (const auto& step : story.steps) {
    const auto when = format_time(step.time);
    if (step.document.empty()) {
      out += fmt::format("  {}  {} by {} was refused: {}\n", when, printable(step.command),
                         printable(step.by), printable(step.text));
      continue;
    }
    const auto event = Json::parse(step.document);
    const auto& note = member(event, "note");
    const bool by_person = text_of(note, "time") == text_of(event, "time") && note.is_object();
    out += fmt::format("  {}  {:<12} {:<8} {}{}\n", when, shown(event, "event"),
                       shown(event, "severity"), shown(event, "state"),
                       by_person ? ", " + said(note) : std::string{});
  }
  return out;
}

std::string parts_text(const Json& now) {
  const auto& parts = member(now, "parts");
  if (parts.empty()) return "";
  std::string out = "\nIts parts, worst first\n";
  for (const auto& part : parts) {
    out +=
        fmt::format("  {:<8} {:<8} score {:<8.4g} {}\n", shown(part, "severity"),
                    shown(part, "state"), number_of(part, "score").value_or(0), shown(part, "id"));
  }
  return out;
}

std::string plot_text(const Story& story, std::size_t width, bool utf8) {
  const auto told = shown_event(story);
  Plot plot;
  plot.unit = printable(text_of(told, "unit"));
  plot.width = width;
  plot.utf8 = utf8;
  for (const auto& [time, value] : evidence_of(told)) plot.readings.push_back({time, value});
  for (const auto& one : story.minutes)
    plot.minutes.push_back({one.time + std::chrono::seconds{30}, one.low, one.mean, one.high});
  plot.low = number_of(told, "low");
  plot.high = number_of(told, "high");
  if (text_of(told, "kind") != "limit") plot.expected = number_of(told, "expected");
  plot.onset = time_of(told, "onset");
  const auto text = drawn(plot);
  if (text.empty()) return "\nThere are no readings to show: none were kept with the alert.\n";
  return fmt::format("\n{}/{}\n{}", shown(told, "machine"), shown(told, "sensor"), text);
}

}  // namespace

std::optional<double> recomputed_score(const Json& alert) {
  const auto& detector = member(alert, "detector");
  const auto name = text_of(detector, "name");
  const auto types = detectors::types();
  const auto type =
      std::find_if(types.begin(), types.end(), [&](const auto& one) { return one.name == name; });
  if (type == types.end() || type->recompute == nullptr) return std::nullopt;
  if (number_of(detector, "version") != type->state_version) return std::nullopt;
  const auto evidence = evidence_of(alert);
  std::vector<std::string> names;
  std::vector<Number> numbers;
  const auto& list = member(detector, "numbers");
  for (const auto& one : list) names.push_back(text_of(one, "name"));
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (const auto value = number_of(list[i], "value")) numbers.push_back({names[i], *value});
  }
  if (numbers.empty()) return std::nullopt;
  const detectors::Told told{numbers, evidence, time_of(alert, "time").value_or(Timestamp{})};
  const auto ratio = type->recompute(told);
  if (!ratio) return std::nullopt;
  return std::max(*ratio / told.number(detectors::alarm_limit_number).value_or(1),
                  told.number(detectors::earlier_score_number).value_or(0));
}

std::optional<Json> service_after(const Json& alert, const std::vector<std::string>& services) {
  const auto onset = time_of(alert, "onset");
  const auto sensor = text_of(alert, "sensor");
  for (const auto& document : services) {
    auto service = Json::parse(document);
    const auto when = time_of(service, "serviced");
    if (!onset || !when || *when < *onset) continue;
    const auto& sensors = member(service, "sensors");
    const bool concerned = std::any_of(sensors.begin(), sensors.end(), [&](const Json& one) {
      return sensor == engine::whole_machine || text_of(one, "sensor") == sensor;
    });
    if (concerned) return service;
  }
  return std::nullopt;
}

std::optional<WantedMinutes> wanted_minutes(const Story& story) {
  const auto told = shown_event(story);
  const auto evidence = evidence_of(told);
  auto from = time_of(told, "onset"), to = time_of(documents(story).back(), "time");
  if (!from || !to || text_of(told, "sensor") == engine::whole_machine) return std::nullopt;
  if (!evidence.empty()) {
    from = std::min(*from, evidence.front().time);
    to = std::max(*to, evidence.back().time);
  }
  const auto around = std::max(least_around, (*to - *from) / 4);
  return WantedMinutes{text_of(told, "machine"), text_of(told, "sensor"), *from - around,
                       *to + around};
}

std::vector<std::string> services_of(const storage::AlertList& archive,
                                     const std::vector<storage::AlertStep>& steps) {
  for (const auto& step : steps) {
    if (step.document.empty()) continue;
    const auto alert = Json::parse(step.document);
    if (const auto onset = time_of(alert, "onset"))
      return archive.services(text_of(alert, "machine"), *onset);
  }
  return {};
}

std::vector<std::string> parts_of(const Story& story) {
  std::vector<std::string> out;
  const auto events = documents(story);
  for (const auto& part : member(events.back(), "parts")) out.push_back(text_of(part, "id"));
  return out;
}

std::string explanation_text(const Story& story, std::size_t width, bool utf8) {
  const auto events = documents(story);
  const auto &now = events.back(), &told = telling(events);
  Page page;
  page.text(shown(told, "message") + "\n");
  if (text_of(now, "message") != text_of(told, "message")) page.text(shown(now, "message") + "\n");
  page.text("\n");
  page.line("id", shown(now, "id"));
  page.line("state", state_line(now));
  page.line("case", shown(now, "case"));
  page.line("value", value_line(told));
  page.line("began", span_line(told, now));
  page.line("detector", detector_line(told));
  page.line("baseline", baseline_line(told));
  page.line("regime", regime_line(told));
  page.line("speaks", shares(member(member(told, "detector"), "features"), "name"));
  page.line("with it", shares(member(told, "contributors"), "sensor"));
  page.line("score", score_line(told));
  page.line("numbers", numbers_line(told));
  page.line("forecast", forecast_line(told));
  page.line("advice", shown(told, "advice"));
  page.text(history_text(story));
  if (const auto service = service_after(told, story.services))
    page.text(fmt::format("  {}  {}\n", shown(*service, "time"), shown(*service, "message")));
  page.text(parts_text(now));
  page.text(plot_text(story, width, utf8));
  return page.take();
}

std::string explanation_document(const Story& story) {
  const auto events = documents(story);
  auto history = Json::array();
  for (const auto& step : story.steps) {
    if (!step.document.empty()) {
      history.push_back(Json::parse(step.document));
    } else {
      history.push_back({{"time", format_time(step.time)},
                         {"refused", step.command},
                         {"by", step.by},
                         {"text", step.text}});
    }
  }
  auto parts = Json::array(), minutes = Json::array();
  for (const auto& part : story.parts) parts.push_back(Json::parse(part));
  for (const auto& one : story.minutes) {
    minutes.push_back({{"time", format_time(one.time)},
                       {"n", one.count},
                       {"mean", one.mean},
                       {"min", one.low},
                       {"max", one.high}});
  }
  const auto again = recomputed_score(telling(events));
  const auto service = service_after(telling(events), story.services);
  const Json out{{"schema", 1},
                 {"id", text_of(events.back(), "id")},
                 {"alert", telling(events)},
                 {"recomputed_score", again ? Json(*again) : Json(nullptr)},
                 {"history", std::move(history)},
                 {"service", service ? *service : Json(nullptr)},
                 {"parts", std::move(parts)},
                 {"minutes", std::move(minutes)}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string said(const Json& note) {
  const auto by = shown(note, "by"), comment = shown(note, "comment");
  return comment.empty() ? "by " + by : by + " said: " + comment;
}

}  // namespace millwright::daemon
