#include "daemon/documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "daemon/json.h"
#include "daemon/printable.h"

namespace millwright::daemon {
namespace {

using namespace schema;

double bounded(double value, double low, double high) {
  if (std::isnan(value)) return low;
  return std::clamp(value, low, high) + 0.0;
}

OrderedJson contributors(const std::vector<Contributor>& sensors) {
  auto out = OrderedJson::array();
  for (const auto& contributor : sensors) {
    out.push_back({{"sensor", contributor.sensor}, {"share", bounded(contributor.share, 0, 1)}});
  }
  return out;
}

OrderedJson features(const Alert& alert) {
  auto out = OrderedJson::array();
  for (const auto& feature : alert.features) {
    out.push_back({{"name", feature.name}, {"share", bounded(feature.share, 0, 1)}});
  }
  return out;
}

OrderedJson numbers(const Alert& alert) {
  auto out = OrderedJson::array();
  for (const auto& one : alert.numbers)
    out.push_back({{"name", one.name}, {"value", number(one.value)}});
  return out;
}

// Beyond the years that RFC 3339 can write, a forecast says nothing.
bool sayable(Timestamp time) {
  using namespace std::chrono;
  return time >= sys_days{year{0} / 1 / 1} && time < sys_days{year{10000} / 1 / 1};
}

OrderedJson forecast(const std::optional<Forecast>& forecast) {
  if (!forecast || !std::isfinite(forecast->limit) || !sayable(forecast->reaches) ||
      !sayable(forecast->earliest))
    return nullptr;
  const bool ends = forecast->latest && sayable(*forecast->latest);
  return {{"limit", number(forecast->limit)},
          {"reaches_limit", format_time(forecast->reaches)},
          {"earliest", format_time(forecast->earliest)},
          {"latest", ends ? OrderedJson(format_time(*forecast->latest)) : OrderedJson(nullptr)}};
}

OrderedJson evidence(const Evidence& evidence) {
  auto times = OrderedJson::array();
  auto values = OrderedJson::array();
  for (const auto time : evidence.times) times.push_back(format_time(time));
  for (const double value : evidence.values) values.push_back(number(value));
  OrderedJson out{{"times", std::move(times)}, {"values", std::move(values)}};
  if (!evidence.expected.empty()) {
    auto& expected = out["expected"] = OrderedJson::array();
    for (const double value : evidence.expected) expected.push_back(number(value));
  }
  return out;
}

// Six digits tell the few configurations of a plant apart.
std::string short_fingerprint(std::uint64_t fingerprint) {
  return fmt::format("{:06x}", fingerprint >> 40U);
}

// The texts of the enumerators first to last.
template <class E>
OrderedJson names(E first, E last) {
  auto out = OrderedJson::array();
  for (auto i = static_cast<int>(first); i <= static_cast<int>(last); ++i) {
    out.push_back(name_of(static_cast<E>(i)));
  }
  return out;
}

OrderedJson forecast_schema() {
  return or_null(
      object({{"limit", {{"type", "number"}, {"description", "The limit, in `unit`"}}},
              {"reaches_limit", instant("When the value is expected to reach the limit")},
              {"earliest", instant("Early end of the interval for reaches_limit")},
              {"latest", instant_or_null("Late end of that interval; null: perhaps never")}},
             "When the value will reach its limit if it goes on like this; null: no forecast"));
}

OrderedJson note(const std::optional<Note>& note) {
  if (!note) return nullptr;
  return {{"time", format_time(note->time)}, {"by", note->by}, {"comment", note->comment}};
}

OrderedJson parts(const std::vector<CasePart>& parts) {
  auto out = OrderedJson::array();
  for (const auto& part : parts) {
    out.push_back({{"id", part.id},
                   {"sensor", part.sensor},
                   {"kind", name_of(part.kind)},
                   {"severity", name_of(part.severity)},
                   {"state", name_of(part.state)},
                   {"score", bounded(part.score, 0, largest_magnitude)}});
  }
  return out;
}

OrderedJson parts(const MachineHealth& health) {
  auto out = OrderedJson::array();
  for (const auto& part : health.parts) {
    out.push_back(
        {{"name", part.name},
         {"sensor", part.sensor.empty() ? OrderedJson(nullptr) : OrderedJson(part.sensor)},
         {"share", bounded(part.share, 0, 1)}});
  }
  return out;
}

// To a tenth of a point: more is noise.
double rounded(double value) { return std::round(value * 10) / 10 + 0.0; }

OrderedJson part_schema() {
  return object({{"name", text("state, change, t_squared, spe, spe_mean, spe_energy, drift: of the "
                               "machine as a whole; sensor: what its own detectors say")},
                 {"sensor", or_null(text("Which one, for the name sensor; else null"))},
                 {"share", share("Its share of what is missing")}},
                "A part");
}

OrderedJson health_properties() {
  return {
      {"schema", {{"const", 1}, {"description", "Version of this document"}}},
      {"site", text("The site of the daemon that says so")},
      {"machine", text("The machine")},
      {"time", instant("Event time")},
      {"learned", {{"type", "boolean"}, {"description", "false: what is normal is still learned"}}},
      {"health",
       {{"type", {"number", "null"}},
        {"minimum", 0},
        {"maximum", 100},
        {"description", "100 as in its baseline, 0 at its limit; null: not learned yet"}}},
      {"trend_per_day", number_or_null("Points of health a day; null: not learned yet")},
      {"forecast", forecast_schema()},
      {"parts", list(part_schema(), "What makes up the missing points, largest share first")},
      {"contributors", list(object({{"sensor", text("A sensor of the machine")},
                                    {"share", share("Its share of the deviation")}},
                                   "A contributor"),
                            "Sensors that stand out just now, largest share first")},
      {"confidence", or_null(share("How much of what the baseline can hold it has learned; "
                                   "null: nothing yet"))},
      {"baseline", integer(1, "Version of the machine's baseline: 1, 2, ...")}};
}

OrderedJson detector_schema() {
  return object(
      {{"name", text("Name of the detector that led")},
       {"version", integer(0, "Version of its state and meaning")},
       {"config",
        {{"type", "string"},
         {"pattern", "^[0-9a-f]{6}$"},
         {"description", "Fingerprint of its parameters"}}},
       {"confidence", or_null(share("How much of what its baseline can hold it has "
                                    "learned; null: not known any more"))},
       {"baseline", integer(1, "Version of its baseline: 1, 2, ...")},
       {"learned_readings", integer(0, "Readings that taught this baseline")},
       {"features",
        list(object({{"name", text("What of the readings deviates, e.g. level, spread")},
                     {"share", share("Its share of the deviation")}},
                    "A feature"),
             "For a detector that looks at several features: which ones spoke, loudest "
             "first")},
       {"numbers", list(object({{"name", text("What it is, e.g. run_limit, slope_per_s")},
                                {"value", number_or_null("Its value")}},
                               "A number"),
                        "From which the score can be worked out again; empty: it cannot")},
       {"regime", or_null(text("Operating regime, e.g. the program that runs; null: "
                               "regimes are not told apart"))},
       {"regime_readings", integer(0, "Readings learned in that regime")}},
      "What raised the alert");
}

OrderedJson evidence_schema() {
  return object(
      {{"times", list(instant("Event time"), "Times of the readings, oldest first")},
       {"values", list(number_or_null("Value"), "Their values in `unit`")},
       {"expected", list(number_or_null("Value"),
                         "What was expected then, in `unit`, of each; null: nothing yet")}},
      "Readings from before the onset to the event, the sparser the longer ago; empty "
      "lists: none kept",
      "expected");
}

OrderedJson alert_properties() {
  return {
      {"schema", {{"const", 1}, {"description", "Version of this document"}}},
      {"id", text("The alert: machine/sensor/kind/onset in milliseconds since 1970")},
      {"revision", integer(1,
                           "Rises with every event of this id; (id, revision) is the key to "
                           "drop duplicates")},
      {"event", choice(names(AlertEvent::raised, AlertEvent::commented), "What happened")},
      {"state",
       choice(names(AlertState::active, AlertState::cleared),
              "Whether the condition holds; unknown: its sensor is at fault; latched: it is "
              "over, and waits for somebody to take note")},
      {"acknowledged", {{"type", "boolean"}, {"description", "Has a person taken note of it"}}},
      {"shelved_until", instant_or_null("Until when it is shelved; null: it is not")},
      {"suppressed", {{"type", "boolean"}, {"description", "Its machine is under maintenance"}}},
      {"chattering",
       {{"type", "boolean"},
        {"description", "It comes and goes; it stays one alert until it is quiet"}}},
      {"occurrences", integer(1, "How often it was raised")},
      {"class", choice(names(AlertClass::machine, AlertClass::sensor),
                       "machine: the machine needs work; sensor: the data cannot be trusted")},
      {"kind",
       choice(names(AlertKind{}, static_cast<AlertKind>(static_cast<int>(AlertKind::count_) - 1)),
              "What kind of deviation")},
      {"severity", choice(names(Severity::notice, Severity::critical), "How bad")},
      {"priority",
       {{"type", "integer"},
        {"minimum", 1},
        {"maximum", 100},
        {"description", "What to look at first: 100 before 1"}}},
      {"site", text("The site of the daemon that says so")},
      {"machine", text("The machine")},
      {"sensor", text("The sensor; _machine: the machine as a whole")},
      {"unit", text("Unit of value, expected, low, high and evidence; empty: not known")},
      {"onset", instant("When the deviation began")},
      {"time", instant("Event time of this event")},
      {"cleared", instant_or_null("When it cleared; null: it has not")},
      {"value", number_or_null("The reading, in `unit`; null: there is none")},
      {"expected", number_or_null("What was expected, in `unit`; null: nothing in particular")},
      {"low", number_or_null("Low end of the normal band, in `unit`; null: open")},
      {"high", number_or_null("High end of the normal band, in `unit`; null: open")},
      {"score",
       {{"type", "number"},
        {"minimum", 0},
        {"description", "Deviation as a ratio to the alarm limit: 1 is the limit"}}},
      {"forecast", forecast_schema()},
      {"contributors",
       list(object({{"sensor", text("Another sensor of the machine")},
                    {"share", share("Its share of the deviation")}},
                   "A contributor"),
            "Sensors that deviate with it, largest share first; empty: none known")},
      {"detector", detector_schema()},
      {"evidence", evidence_schema()},
      {"message", text("One sentence for the crew")},
      {"advice", text("What to do, from the configuration; empty: none given")},
      {"note", or_null(object({{"time", instant("When")},
                               {"by", text("Who")},
                               {"comment", text("What they said; may be empty")}},
                              "What a person did last with it; null: nobody did anything"))},
      {"case", or_null(text("Id of the case that it is part of; null: none"))},
      {"notify",
       {{"type", "boolean"}, {"description", "Of a case: people are to be told of this"}}},
      {"held_back",
       {{"type", "boolean"},
        {"description", "Of a case: over the budget, people have not been told"}}},
      {"parts", list(object({{"id", text("The alert")},
                             {"sensor", text("Its sensor")},
                             {"kind", text("Its kind")},
                             {"severity", text("Its severity")},
                             {"state", text("Its state")},
                             {"score", {{"type", "number"}, {"description", "Its highest score"}}}},
                            "A part"),
                     "Of a case: the alerts that belong to it, worst first; up to 32")}};
}

bool breaks_topics(char c) { return c == '/' || c == '+' || c == '#' || c == '\0'; }

void append_level(std::string& topic, std::string_view name) {
  topic.push_back('/');
  std::replace_copy_if(name.begin(), name.end(), std::back_inserter(topic), breaks_topics, '_');
}

template <class E>
OrderedJson counts(const Counters<E>& counters, E first) {
  auto out = OrderedJson::object();
  for (auto i = static_cast<int>(first); i < static_cast<int>(E::count_); ++i) {
    const auto what = static_cast<E>(i);
    out[std::string{name_of(what)}] = counters[what];
  }
  return out;
}

template <class E>
OrderedJson counts_schema(E first, std::string_view description) {
  auto properties = OrderedJson::object();
  for (auto i = static_cast<int>(first); i < static_cast<int>(E::count_); ++i)
    properties[std::string{name_of(static_cast<E>(i))}] = count("How many");
  return object(std::move(properties), description);
}

OrderedJson alarms_schema() {
  auto severities = OrderedJson::object();
  for (const auto severity : {Severity::notice, Severity::warning, Severity::critical})
    severities[std::string{name_of(severity)}] = count("How many");
  return object(
      {{"raised", count("Alerts raised")},
       {"notified", count("Events that people were told of")},
       {"held_back", count("Events that people were not told of at once")},
       {"severities", object(std::move(severities), "Of the alerts raised")},
       {"notified_per_10_min", {{"type", "number"}, {"description", "Mean of the last 24 hours"}}},
       {"most_notified_in_10_min", count("In the last 24 hours")},
       {"most_raised_in_10_min", count("In the last 24 hours")},
       {"flood_share", share("Of the last 24 hours: the time in a flood")},
       {"open", count("Alerts that are open now")},
       {"unacknowledged", count("Of these: nobody has taken note")},
       {"shelved", count("Of these: put aside by a person")},
       {"suppressed", count("Of these: under maintenance")},
       {"chattering", count("Of these: come and go")},
       {"stale", count("Of these: open for more than a day")},
       {"waiting", count("Cases over the budget that people were not told of yet")},
       {"worst", list(object({{"machine", text("The machine")},
                              {"sensor", text("Its sensor")},
                              {"alerts", count("Raised in the last one to two days")}},
                             "A sensor"),
                      "Sensors with most alerts, most first; up to ten")}},
      "How the alarm system itself does, after EEMUA 191");
}

OrderedJson storage_schema() {
  const auto works = [](std::string_view what) {
    return OrderedJson{{"type", "boolean"}, {"description", what}};
  };
  return object(
      {{"archive", works("Alerts and summaries are written; true as well where none are kept")},
       {"checkpoints", works("What is learned is saved")},
       {"problem", or_null(text("Why not; null: nothing is wrong"))},
       {"failures", count("Transactions, checkpoints and files that failed since the start")},
       {"set_aside", count("Damaged files that were set aside since the start")},
       {"unsaved", count("Alert events that are in memory only, until they can be written")},
       {"summaries_dropped", count("Minutes of sensors that could not be kept")},
       {"archive_bytes", count("Size of the archive's file")},
       {"minutes_removed",
        count("Minutes of sensors that made room in the archive since the start")},
       {"history_removed", count("Likewise: alerts that are over, healths, commands, services, "
                                 "baselines")},
       {"messages_removed", count("Likewise: messages that the broker had not taken")}},
      "How the disk does");
}

OrderedJson status_properties() {
  return {
      {"schema", {{"const", 1}, {"description", "Version of this document"}}},
      {"status", choice({"online", "offline"}, "offline: it was stopped, or is the Will")},
      {"version", text("Of Millwright")},
      {"site", text("The site")},
      {"since", instant_or_null("When the daemon was started")},
      {"machines", count("Known machines")},
      {"sensors", count("Known sensors")},
      {"sensors_learning", count("Of these: still warming up")},
      {"active_alerts", count("Alerts that are active")},
      {"alarms", alarms_schema()},
      {"messages", count("Messages taken in since the start")},
      {"broker_dropped", count("Messages that the broker has dropped since the start, of this or "
                               "another client; 0 where it does not tell")},
      {"commands",
       object({{"done", count("Commands carried out")}, {"refused", count("Commands refused")}},
              "Commands")},
      {"delivery", object({{"waiting", count("Messages in memory that the broker has not taken")},
                           {"refused", count("Of these: on topics that the broker refuses")},
                           {"refusals", count("How often it said no since the start")},
                           {"refused_topics", list(text("A topic"), "The first five")}},
                          "What is to be published")},
      {"storage", storage_schema()},
      {"readings", counts_schema(Outcome{}, "Readings, by what became of them")},
      {"windows", object({{"whole", count("Windows without a gap")},
                          {"cut", count("Windows cut short")},
                          {"clipped", count("Windows with clipped samples")}},
                         "Of waveforms")},
      {"rejected", counts_schema(Reject::unknown_topic,
                                 "Messages and fields that gave no reading, by reason")}};
}

OrderedJson storage(const StorageFigures& figures) {
  return {
      {"archive", figures.archive},
      {"checkpoints", figures.checkpoints},
      {"problem", figures.problem.empty() ? OrderedJson(nullptr) : OrderedJson(figures.problem)},
      {"failures", figures.failures},
      {"set_aside", figures.set_aside},
      {"unsaved", figures.unsaved},
      {"summaries_dropped", figures.summaries_dropped},
      {"archive_bytes", figures.archive_bytes},
      {"minutes_removed", figures.removed.minutes},
      {"history_removed", figures.removed.history},
      {"messages_removed", figures.removed.messages}};
}

OrderedJson alarms(const engine::AlarmFigures& figures) {
  auto worst = OrderedJson::array();
  for (const auto& [machine, sensor, alerts] : figures.worst)
    worst.push_back({{"machine", machine}, {"sensor", sensor}, {"alerts", alerts}});
  auto severities = OrderedJson::object();
  for (std::size_t i = 0; i < figures.by_severity.size(); ++i)
    severities[std::string{name_of(static_cast<Severity>(i))}] = figures.by_severity[i];
  return {{"raised", figures.raised},
          {"notified", figures.notified},
          {"held_back", figures.held_back},
          {"severities", severities},
          {"notified_per_10_min", bounded(figures.notified_per_slot, 0, largest_magnitude)},
          {"most_notified_in_10_min", figures.most_notified},
          {"most_raised_in_10_min", figures.most_raised},
          {"flood_share", bounded(figures.flood_share, 0, 1)},
          {"open", figures.open},
          {"unacknowledged", figures.unacknowledged},
          {"shelved", figures.shelved},
          {"suppressed", figures.suppressed},
          {"chattering", figures.chattering},
          {"stale", figures.stale},
          {"waiting", figures.waiting},
          {"worst", worst}};
}

}  // namespace

std::string alert_document(const Alert& alert, std::string_view site) {
  const auto confidence =
      alert.confidence ? OrderedJson(bounded(*alert.confidence, 0, 1)) : OrderedJson(nullptr);
  const auto regime = alert.regime.empty() ? OrderedJson(nullptr) : OrderedJson(alert.regime);
  return dumped(
      {{"schema", 1},
       {"id", alert.id},
       {"revision", alert.revision},
       {"event", name_of(alert.event)},
       {"state", name_of(alert.state)},
       {"acknowledged", alert.acknowledged},
       {"shelved_until", alert.shelved_until ? OrderedJson(format_time(*alert.shelved_until))
                                             : OrderedJson(nullptr)},
       {"suppressed", alert.suppressed},
       {"chattering", alert.chattering},
       {"occurrences", alert.occurrences},
       {"class", name_of(alert.alert_class())},
       {"kind", name_of(alert.kind)},
       {"severity", name_of(alert.severity)},
       {"priority", std::clamp(alert.priority, 1, 100)},
       {"site", site},
       {"machine", alert.machine},
       {"sensor", alert.sensor},
       {"unit", alert.unit},
       {"onset", format_time(alert.onset)},
       {"time", format_time(alert.time)},
       {"cleared", alert.cleared ? OrderedJson(format_time(*alert.cleared)) : OrderedJson(nullptr)},
       {"value", number(alert.value)},
       {"expected", number(alert.expected)},
       {"low", number(alert.low)},
       {"high", number(alert.high)},
       {"score", bounded(alert.score, 0, largest_magnitude)},
       {"forecast", forecast(alert.forecast)},
       {"contributors", contributors(alert.contributors)},
       {"detector",
        {{"name", alert.detector},
         {"version", alert.detector_version},
         {"config", short_fingerprint(alert.configuration)},
         {"confidence", confidence},
         {"baseline", alert.baseline},
         {"learned_readings", alert.learned_readings},
         {"features", features(alert)},
         {"numbers", numbers(alert)},
         {"regime", regime},
         {"regime_readings", alert.regime_readings}}},
       {"evidence", evidence(alert.evidence)},
       {"message", alert.message},
       {"advice", alert.advice},
       {"note", note(alert.note)},
       {"case", alert.of_case.empty() ? OrderedJson(nullptr) : OrderedJson(alert.of_case)},
       {"notify", alert.notify},
       {"held_back", alert.held_back},
       {"parts", parts(alert.parts)}});
}

std::string alert_schema() {
  OrderedJson schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                        {"title", "Millwright alert, version 1"}};
  schema.update(object(alert_properties(), "One event of the life of an alert"));
  return dumped(schema, 2);
}

std::string health_document(const MachineHealth& health, std::string_view site) {
  const auto or_null = [](const std::optional<double>& value) {
    return value ? OrderedJson(*value) : OrderedJson(nullptr);
  };
  auto index = health.index, trend = health.trend, confidence = health.confidence;
  if (index) index = rounded(bounded(*index, 0, 100));
  if (confidence) confidence = bounded(*confidence, 0, 1);
  return dumped({{"schema", 1},
                 {"site", site},
                 {"machine", health.machine},
                 {"time", format_time(health.time)},
                 {"learned", index.has_value()},
                 {"health", or_null(index)},
                 {"trend_per_day", trend ? number(*trend) : OrderedJson(nullptr)},
                 {"forecast", forecast(health.forecast)},
                 {"parts", parts(health)},
                 {"contributors", contributors(health.contributors)},
                 {"confidence", or_null(confidence)},
                 {"baseline", health.baseline}});
}

std::optional<double> health_of(std::string_view document) {
  const auto json = OrderedJson::parse(document, nullptr, false);
  if (!json.is_object() || !json.contains("health") || !json["health"].is_number())
    return std::nullopt;
  return json["health"].get<double>();
}

std::string health_schema() {
  OrderedJson schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                        {"title", "Millwright health of a machine, version 1"}};
  schema.update(object(health_properties(), "How a machine is"));
  return dumped(schema, 2);
}

std::string state_topic(std::string_view root, std::string_view machine, std::string_view sensor,
                        std::string_view kind) {
  std::string topic{root};
  topic += "/state";
  append_level(topic, machine);
  append_level(topic, sensor);
  append_level(topic, kind);
  return topic;
}

std::string alert_line(const Alert& alert) {
  auto line =
      fmt::format("{} {:<8} {}/{} {} {}: {}", format_time(alert.time), name_of(alert.severity),
                  printable(alert.machine), printable(alert.sensor), name_of(alert.kind),
                  name_of(alert.event), printable(alert.message));
  if (!alert.advice.empty() && alert.event == AlertEvent::raised) {
    line += fmt::format(" ({})", printable(alert.advice));
  }
  return line;
}

std::string status_schema() {
  OrderedJson schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                        {"title", "Millwright status, version 1"}};
  schema.update(object(status_properties(), "How the daemon is"));
  return dumped(schema, 2);
}

std::string status_document(const Status& status) {
  return dumped(
      {{"schema", 1},
       {"status", status.online ? "online" : "offline"},
       {"version", status.version},
       {"site", status.site},
       {"since", status.since ? OrderedJson(format_time(*status.since)) : OrderedJson(nullptr)},
       {"machines", status.machines},
       {"sensors", status.sensors},
       {"sensors_learning", status.sensors_learning},
       {"active_alerts", status.active_alerts},
       {"alarms", alarms(status.alarms)},
       {"messages", status.messages},
       {"broker_dropped", status.broker_dropped},
       {"commands", {{"done", status.commands_done}, {"refused", status.commands_refused}}},
       {"delivery",
        {{"waiting", status.delivery.waiting},
         {"refused", status.delivery.refused},
         {"refusals", status.delivery.refusals},
         {"refused_topics", status.delivery.refused_topics}}},
       {"storage", storage(status.storage)},
       {"readings", counts(status.outcomes, Outcome{})},
       {"windows",
        {{"whole", status.windows.whole},
         {"cut", status.windows.cut},
         {"clipped", status.windows.clipped}}},
       // Reject::none is no reason.
       {"rejected", counts(status.rejected, Reject::unknown_topic)}});
}

}  // namespace millwright::daemon
