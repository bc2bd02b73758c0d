#include "config/describe.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <limits>

#include "config/budget.h"
#include "config/checks.h"
#include "detectors/all.h"
#include "detectors/health.h"
#include "detectors/machine.h"
#include "engine/fleet.h"

namespace millwright::config {
namespace {

using nlohmann::json;
using Type = Field::Type;
using Merge = Field::Merge;

Field make(std::string_view name, Type type, std::string_view help) {
  Field field;
  field.name = name;
  field.type = type;
  field.help = help;
  return field;
}

Field text(std::string_view name, std::string_view help, std::string& v) {
  Field field = make(name, Type::text, help);
  field.set = [&v](const json& value) { v = value.get<std::string>(); };
  field.get = [&v] { return json(v); };
  return field;
}

Field ranged(Type type, std::string_view name, std::string_view unit, Range range,
             std::string_view help) {
  Field field = make(name, type, help);
  field.unit = unit;
  field.range = range;
  return field;
}

Field number(std::string_view name, std::string_view unit, Range range, std::string_view help,
             double& v) {
  Field field = ranged(Type::number, name, unit, range, help);
  field.set = [&v](const json& value) { v = value.get<double>(); };
  field.get = [&v] { return number_json(v); };
  return field;
}

Field number(std::string_view name, std::string_view unit, Range range, std::string_view help,
             std::optional<double>& v) {
  Field field = ranged(Type::number, name, unit, range, help);
  field.set = [&v](const json& value) { v = value.get<double>(); };
  field.get = [&v] { return v ? number_json(*v) : json(); };
  return field;
}

template <class Whole>
Field whole(std::string_view name, std::string_view unit, Range range, std::string_view help,
            Whole& v) {
  Field field = ranged(Type::whole, name, unit, range, help);
  field.set = [&v](const json& value) { v = static_cast<Whole>(value.get<double>()); };
  field.get = [&v] { return json(v); };
  return field;
}

Field boolean(std::string_view name, std::string_view help, bool& v) {
  Field field = make(name, Type::boolean, help);
  field.set = [&v](const json& value) { v = value.get<bool>(); };
  field.get = [&v] { return json(v); };
  return field;
}

// A duration whose key ends in `_s` or `_ms`; `range` in that unit.
Field duration(std::string_view name, Range range, std::string_view help, Duration& v,
               Type type = Type::number) {
  const bool in_milliseconds = name.ends_with("_ms");
  const double per_second = in_milliseconds ? 1000 : 1;
  Field field = ranged(type, name, in_milliseconds ? "ms" : "s", range, help);
  field.set = [&v, per_second](const json& value) {
    v = from_seconds(value.get<double>() / per_second);
  };
  field.get = [&v, per_second] { return number_json(to_seconds(v) * per_second); };
  return field;
}

template <class Value>
struct Named {
  std::string_view name;
  Value value;
};

template <class Value, std::size_t n>
Field choice(std::string_view name, std::string_view help, const std::array<Named<Value>, n>& names,
             Value& v) {
  Field field = make(name, Type::choice, help);
  for (const auto& named : names) field.choices.push_back(named.name);
  field.set = [&v, &names](const json& value) {
    const auto& chosen = value.get_ref<const std::string&>();
    for (const auto& named : names) {
      if (named.name == chosen) v = named.value;
    }
  };
  field.get = [&v, &names] {
    for (const auto& named : names) {
      if (!(named.value < v) && !(v < named.value)) return json(named.name);
    }
    return json(v);
  };
  return field;
}

Field object(std::string_view name, std::string_view help, std::vector<Field> fields) {
  Field field = make(name, Type::object, help);
  field.fields = std::move(fields);
  return field;
}

constexpr std::array<Named<PayloadFormat>, 4> payload_formats{
    {{"json", PayloadFormat::json},
     {"text", PayloadFormat::text},
     {"packed_json", PayloadFormat::packed_json},
     {"packed_binary", PayloadFormat::packed_binary}}};
constexpr std::array<Named<TimeFormat>, 6> time_formats{{{"auto", TimeFormat::automatic},
                                                         {"iso8601", TimeFormat::iso8601},
                                                         {"epoch_s", TimeFormat::epoch_s},
                                                         {"epoch_ms", TimeFormat::epoch_ms},
                                                         {"epoch_us", TimeFormat::epoch_us},
                                                         {"epoch_ns", TimeFormat::epoch_ns}}};
constexpr std::array<Named<SampleType>, 4> sample_types{{{"int16", SampleType::int16},
                                                         {"int32", SampleType::int32},
                                                         {"float32", SampleType::float32},
                                                         {"float64", SampleType::float64}}};
constexpr std::array<Named<ProcessingMode>, 2> modes{
    {{"native", ProcessingMode::native}, {"micro_batch", ProcessingMode::micro_batch}}};
constexpr std::array<Named<ProcessingClock>, 2> clocks{
    {{"wall", ProcessingClock::wall}, {"event", ProcessingClock::event}}};
// The ratio at which a score is an alarm.
constexpr std::array<Named<double>, 3> sensitivities{
    {{"low", 1.5}, {"normal", 1.0}, {"high", 0.7}}};

std::vector<Field> fields_of(BrokerSettings& s) {
  return {
      text("url",
           "Address of the MQTT broker: `tcp://` or `mqtt://` plain, `ssl://` or `mqtts://` with "
           "TLS, `ws://` or "
           "`wss://` over WebSocket.",
           s.url)
          .checked(check_url, "^(tcp|mqtt|ssl|mqtts|ws|wss)://[^@]+$"),
      text("client_id",
           "MQTT client identifier. Two clients of one broker may never have the same: they would "
           "throw each other "
           "out.",
           s.client_id)
          .checked(check_client_id)
          .otherwise("`millwright-<site>`"),
      whole("mqtt_version", "", {4, 5}, "5, or 4 for brokers that know only MQTT 3.1.1.",
            s.mqtt_version),
      text("username", "User name at the broker.", s.username),
      text(
          "password_credential",
          "Name of the systemd credential that holds the password (`LoadCredential=` in the unit).",
          s.password_credential)
          .checked(check_credential, "^[A-Za-z0-9._-]+$"),
      text("password_file", "Path of a file whose first line is the password.", s.password_file),
      text("password",
           "The password itself. Accepted with a warning: whoever reads this file knows it.",
           s.password)
          .hidden(),
      text("ca_file",
           "PEM file of the authorities that the broker's certificate is checked against.",
           s.ca_file)
          .otherwise("those of the system"),
      text("certificate_file",
           "PEM file of this client's certificate, where the broker asks for one.",
           s.certificate_file),
      text("key_file", "PEM file of the key of `certificate_file`.", s.key_file),
      boolean(
          "verify_certificate",
          "Whether the broker's certificate and host name are checked. `false` only for a test.",
          s.verify_certificate),
      duration("keep_alive_s", {1, 65535},
               "A broker silent for this long is asked whether it is there.", s.keep_alive,
               Type::whole),
      duration("session_expiry_s", {0, 4294967295.0},
               "How long the broker keeps messages for us while we are away (MQTT 5).",
               s.session_expiry, Type::whole),
  };
}

std::vector<Field> fields_of(ProcessingSettings& s, Duration& reorder, Duration& future_tolerance) {
  return {
      choice("mode",
             "`native`: every message at once. `micro_batch`: messages are gathered and worked on "
             "together. Both "
             "give the same alerts.",
             modes, s.mode),
      duration("max_delay_ms", {1, 60000}, "`micro_batch`: a batch waits at most this long.",
               s.max_delay),
      whole("max_readings", "readings", {1, 10'000'000},
            "`micro_batch`: a batch is full with this many.", s.max_readings),
      choice("clock",
             "What moves time on where no reading does: `wall` the computer's clock, `event` the "
             "times in the "
             "readings (for playing history faster than it happened).",
             clocks, s.clock),
      whole("lanes", "", {1, ProcessingSettings::most_lanes},
            "Engines that work side by side. All sensors of a machine are in the same lane.",
            s.lanes),
      whole("journal_bytes", "bytes", {65536, 68719476736.0},
            "Size of a lane's journal, the queue between MQTT and engine that survives a crash.",
            s.journal_bytes),
      text("journal_directory", "Where the journals lie. On tmpfs they wear no SD card.",
           s.journal_directory)
          .otherwise("`$RUNTIME_DIRECTORY`, else `<state_directory>/journal`"),
      duration("journal_sync_ms", {0, 600000},
               "With `journal_directory`: how often the journals are written to its disk, which is "
               "the most that a power cut can lose. 0: whenever the kernel does, within about half "
               "a minute.",
               s.journal_sync),
      duration("checkpoint_interval_s", {1, 86400}, "How often what was learned is saved.",
               s.checkpoint_interval),
      duration(
          "reorder_ms", {0, 600000},
          "Readings are held back this long to be put in the order of their times. 0: not at all.",
          reorder),
      duration("future_tolerance_s", {0, 31536000},
               "Readings whose time is further ahead of our clock than this are refused.",
               future_tolerance),
  };
}

std::vector<Field> fields_of(LimitSettings& s) {
  return {
      whole("sensors", "", {1, 10'000'000}, "Sensors beyond this number are counted and refused.",
            s.sensors),
      whole("payload_bytes", "bytes", {16, 268435455}, "Larger messages are counted and refused.",
            s.payload_bytes),
      whole("depth", "levels", {1, 256}, "JSON nested deeper than this is refused.", s.depth),
      whole("readings_per_message", "readings", {1, 10'000'000},
            "Messages with more readings are refused.", s.readings_per_message),
      whole("quarantine_messages", "messages", {0, 100'000},
            "Refused messages kept for `millwright quarantine`.", s.quarantine_messages),
  };
}

std::vector<Field> fields_of(ArchiveSettings& s) {
  return {
      text("file", "The SQLite database of summaries and alerts.", s.file)
          .otherwise("`<state_directory>/millwright.db`"),
      boolean("enabled", "`false`: nothing is archived.", s.enabled),
      whole("max_megabytes", "MB", {512, 10'000'000},
            "The database does not grow past this: its oldest minutes make room.", s.max_megabytes),
      whole("keep_days", "days", {0, 36500},
            "Minutes of so many days are kept, the newest that have any; 0: as many as fit.",
            s.keep_days),
  };
}

std::vector<Field> fields_of(HomeAssistantSettings& s) {
  return {
      boolean(
          "enabled",
          "`true`: every machine is announced to Home Assistant by MQTT discovery; `false`: what "
          "was announced is taken back.",
          s.enabled),
      text("prefix", "The discovery prefix of Home Assistant.", s.prefix)
          .checked(check_discovery_prefix, "^[^/+#$][^+#]*$"),
      duration("forget_after_s", {3600, 31536000},
               "A machine that was not heard of for so long, while others were, is taken back.",
               s.forget_after),
  };
}

Field advice(std::string& v) {
  return text("advice", "What to do about an alert; it is sent along.", v);
}

// When there is an alert: of a sensor and of a machine as a whole.
void add_alarm(std::vector<Field>& fields, engine::AlarmRule& alarm) {
  fields.push_back(
      choice("sensitivity",
             "How far from normal is an alarm: `low` 1.5 times the detectors' limits, `normal` 1, "
             "`high` 0.7.",
             sensitivities, alarm.limit));
  fields.push_back(object(
      "alarm", "When a deviation becomes an alert and when the alert is over.",
      {duration("on_delay_s", {0, 604800}, "A deviation must last this long to become an alert.",
                alarm.on_delay),
       duration("off_delay_s", {0, 604800},
                "It must be gone for this long before the alert is over.", alarm.off_delay),
       number("clear_ratio", "", {0, 1}, "Gone means below this part of the alarm limit.",
              alarm.clear_ratio),
       boolean("latch", "`true`: an alert that is over stays until somebody has acknowledged it.",
               alarm.latch)}));
}

Field budget(engine::BudgetRule& rule) {
  Field field = make(
      "budget", Type::text,
      "How often people can be told of something, such as `6/hour`: the notifications of "
      "cases keep to it. The worst come first; a set limit that is passed critically, and what "
      "is worse than all that is open, always get through, the rest is listed and waits.");
  field.set = [&rule](const json& value) {
    rule = parse_budget(value.get<std::string>()).value_or(engine::BudgetRule{});
  };
  field.get = [&rule] { return json(budget_text(rule)); };
  return std::move(field).checked(check_budget, "^[0-9]+/(hour|day|shift)$").otherwise("no limit");
}

std::vector<Field> fields_of(engine::DeskRule& desk) {
  return {
      budget(desk.budget),
      duration("gather_s", {0, 3600},
               "People are told of a new case so long after its first alert, with what came "
               "meanwhile; at once when it is critical.",
               desk.gather),
      duration("case_window_s", {0, 604800},
               "Alerts of a machine belong to one case while it is open, and so long after.",
               desk.together),
      whole("chatter_times", "", {2, 60},
            "An alert that is raised so often within `chatter_window_s` chatters: it becomes one "
            "alert that stays until it is quiet as long.",
            desk.chatter_times),
      duration("chatter_window_s", {1, 604800}, "See `chatter_times`.", desk.chatter_window),
      duration("escalate_after_s", {0, 31536000},
               "A warning that nobody has acknowledged for so long becomes critical; 0: never.",
               desk.escalate_after),
      duration("escalate_within_s", {0, 31536000},
               "A warning whose forecast may reach its limit within this time becomes critical; "
               "0: never.",
               desk.escalate_within),
  };
}

// One of `choices`, as text; empty: none.
Field one_of(std::string_view name, std::string_view help, std::vector<std::string_view> choices,
             std::string& v) {
  Field field = make(name, Type::choice, help);
  field.choices = std::move(choices);
  field.set = [&v](const json& value) { v = value.get<std::string>(); };
  field.get = [&v] { return json(v); };
  return field;
}

template <class Items>
std::vector<std::string_view> names_of(const Items& items) {
  std::vector<std::string_view> out;
  for (const auto& item : items) out.push_back(item.name);
  return out;
}

Field bearing(engine::Waveform& w) {
  auto& g = w.geometry;
  const Range millimetres{0.1, 10000};
  return object(
      "bearing", "The rolling bearing beside the sensor, by its name or by its geometry.",
      {one_of("name", "A bearing whose geometry is known.", names_of(detectors::known_bearings()),
              w.bearing)
           .otherwise("as the other keys say"),
       whole("balls", "", {3, 200}, "Balls or rollers in one row.", g.balls).otherwise("not set"),
       number("ball_mm", "mm", millimetres, "Their diameter.", g.ball_mm).otherwise("not set"),
       number("pitch_mm", "mm", millimetres, "Diameter of the circle through their centres.",
              g.pitch_mm)
           .otherwise("not set"),
       number("angle_deg", "degrees", {-89, 89}, "Contact angle.", g.angle_deg)});
}

Field bands(engine::Waveform& w) {
  Field field =
      make("bands_hz", Type::list,
           "Bands whose RMS is watched: `{ \"name\": \"gear\", \"low\": 400, \"high\": 800 }`. "
           "None: four octaves below half the sample rate.");
  field.set = [&w](const json&) { w.bands.clear(); };
  field.get = [&w] {
    auto out = json::array();
    for (const auto& band : w.bands)
      out.push_back(json{{"name", band.name}, {"low", band.low_hz}, {"high", band.high_hz}});
    return out;
  };
  field.add = [&w] {
    auto& band = w.bands.emplace_back();
    return std::vector<Field>{
        text("name", "Part of the sensor's name: `<sensor>.<name>`.", band.name)
            .checked(check_band_name, "^[A-Za-z0-9_-]+$")
            .needed(),
        number("low", "Hz", {0, 1e7}, "From this frequency on.", band.low_hz).needed(),
        number("high", "Hz", {0, 1e7}, "Up to this frequency.", band.high_hz).needed()};
  };
  return field;
}

Field waveform(ProfileDraft& draft) {
  auto& w = draft.waveform;
  Field features = make("features", Type::names, "What is watched.");
  features.choices.assign(engine::waveform_features().begin(), engine::waveform_features().end());
  features.initial = "all";
  features.set = [&w](const json& value) { w.features = value.get<std::vector<std::string>>(); };
  features.get = [&w] { return json(w.features); };
  Field field = object(
      "waveform",
      "The sensor's values are samples of a waveform: windows of them become features, each a "
      "sensor of its own. See waveforms.md.",
      {number("sample_rate_hz", "Hz", {1, 1e7}, "Samples per second.", w.rate_hz)
           .otherwise("as the messages say"),
       duration("window_s", {0.001, 3600}, "Length of a window.", w.window),
       number("overlap", "", {0, 0.9}, "Share of a window that the next one has in common with it.",
              w.overlap),
       bands(w),
       number("envelope_low_hz", "Hz", {1, 1e7}, "The envelope is taken from this frequency on.",
              w.envelope_low_hz)
           .otherwise("2000, at most an eighth of the sample rate"),
       number("envelope_high_hz", "Hz", {1, 1e7}, "Up to this frequency.", w.envelope_high_hz)
           .otherwise("10000, at most 0.45 of the sample rate"),
       text("speed_sensor",
            "Sensor of the same machine that says the speed of the shaft, in turns per minute. "
            "Where it turns slower or faster, the lines of the bearing follow.",
            w.speed_sensor),
       number("speed_rpm", "1/min", {0.01, 1e6},
              "Speed of the shaft where no sensor says it, or while it is silent.", w.speed_rpm),
       number("speed_ratio", "", {1e-4, 1e4},
              "Speed of the bearing's shaft, divided by what `speed_sensor` or `speed_rpm` says.",
              w.speed_ratio),
       bearing(w),
       number("slip", "", {0, 0.1}, "A line may be off its place by this share.", w.slip),
       one_of("zones",
              "Limits of vibration velocity as commonly quoted of ISO 10816 and 20816: an alert "
              "from zone C on, critical in zone D. Limits of the plant go before them.",
              names_of(engine::zone_presets()), w.zones),
       number("full_scale", "sensor unit", {1e-30, 1e30}, "A sample of this size is clipped.",
              w.full_scale)
           .otherwise("clipping is told by its look"),
       number("jitter_s", "s", {0, 3600},
              "A block whose time is off by more does not go on where the last one ended.",
              w.jitter_s)
           .otherwise("half the block, at most 0.1"),
       std::move(features)});
  field.set = [&draft](const json&) { draft.has_waveform = true; };
  return field;
}

// What profiles and overrides have in common.
void add_treatment(std::vector<Field>& fields, ProfileDraft& draft) {
  auto& profile = draft.profile;
  fields.push_back(
      text("unit", "Unit of the sensor's values, as it is to stand in alerts.", profile.unit));
  fields.push_back(text("label", "What a mechanic calls the sensor, such as `Joint 3 temperature`.",
                        profile.label)
                       .otherwise("the sensor's name"));
  fields.push_back(advice(profile.advice));

  Field chosen = make(
      "detectors", Type::detectors,
      "`\"auto\"`: the detector `auto` with `gap`, `stuck` and `clock`; right for most sensors. "
      "`\"precise\"`: the same with `precise`, which costs twice as much. `\"none\"`: only "
      "archived. "
      "A list of these, of names, and of `{ name: { parameter: value } }`; or one such object.");
  chosen.choice = &profile.detectors;
  chosen.get = [] { return json("auto"); };
  fields.push_back(std::move(chosen));

  const auto types = detectors::types();
  fields.push_back(object(
      "limits", "Fixed limits: the parameters of the detector `limit`, added to `detectors`.",
      describe(types[detectors::find_type("limit")].parameters(), draft.limits)));
  fields.push_back(waveform(draft));
  add_alarm(fields, profile.alarm);
}

}  // namespace

ProfileDraft::ProfileDraft() { profile.detectors = engine::auto_detectors(); }

Draft::Draft() {
  const Configuration initial;
  site = initial.site;
  reorder = initial.plan.reorder;
  future_tolerance = initial.plan.future_tolerance;
}

std::vector<Field> describe(InputSettings& s) {
  Field where = make("where", Type::texts,
                     "Per capture a regular expression (ECMAScript) that must match it whole; "
                     "other topics, or other "
                     "values, are not this input's.");
  where.check = check_expression;
  where.set = [&s](const json& value) {
    s.where = value.get<std::map<std::string, std::string>>();
  };
  where.get = [&s] { return json(s.where); };
  Field also = make("also", Type::texts,
                    "`json`: further sensors, each with a JSON Pointer to a value that the message "
                    "has once, such as `{ \"program\": \"/program\" }`.");
  also.check = check_single_pointer;
  also.set = [&s](const json& value) { s.also = value.get<std::map<std::string, std::string>>(); };
  also.get = [&s] { return json(s.also); };
  Field words = make("words", Type::words,
                     "`json`, `text`: texts that stand for numbers, such as `{ \"idle\": 0, "
                     "\"weld\": 1 }`.");
  words.range = {-largest_magnitude, largest_magnitude};
  words.set = [&s](const json& value) { s.words = value.get<Words>(); };
  words.get = [&s] { return json(s.words); };
  return {
      text("topic",
           "Topic to subscribe. `{name}` captures a level or a part of one; `+` any level, `#` at "
           "the end all "
           "further ones.",
           s.topic)
          .checked(check_topic, "^[^\\u0000]+$")
          .needed(),
      std::move(where),
      choice("format",
             "`json`: values at `value`. `text`: a bare number. `packed_json`, `packed_binary`: "
             "many samples in one "
             "message.",
             payload_formats, s.format),
      text(
          "value",
          "JSON Pointer to the values. `{name}` captures a key, `*` takes all. Needed with `json`.",
          s.value)
          .checked(check_value_pointer, "^(/.*)?$"),
      text("time", "JSON Pointer to the time of the reading.", s.time)
          .checked(check_value_pointer, "^(/.*)?$")
          .otherwise("time of arrival"),
      choice("time_format", "How the time is written; `auto` tells by its look.", time_formats,
             s.time_format),
      text("machine",
           "Name of the machine: text, `{captures}`, and `{/a/pointer}` to a value in the message.",
           s.machine)
          .checked(check_machine_name, "^.+$")
          .needed(),
      text("sensor", "Name of the sensor, written likewise.", s.sensor)
          .checked(check_sensor_name, "^.+$")
          .needed(),
      std::move(also),
      std::move(words),
      number("rate_hz", "Hz", {1e-6, 1e9},
             "Packed formats: samples per second. The message's own figure goes before it.",
             s.rate_hz),
      choice("sample_type", "`packed_binary`: type of a sample, little-endian.", sample_types,
             s.sample_type),
      number(
          "scale", "", {-1e100, 1e100},
          "Value = raw value * scale + offset; not 0. What `words` and `also` give stays as it is.",
          s.scale),
      number("offset", "", {-1e100, 1e100}, "See `scale`.", s.offset),
      whole("qos", "", {0, 2},
            "Quality of service to subscribe with. 1: no reading is lost on the way.", s.qos),
  };
}

std::vector<Field> describe_profile(ProfileDraft& draft) {
  std::vector<Field> fields;
  fields.push_back(text("match",
                        "Pattern over machine/sensor: `*` any run of characters, `?` one, `[abc]` "
                        "one of. The first "
                        "profile that matches counts.",
                        draft.profile.match)
                       .checked(check_match, "[/*?\\[]")
                       .needed());
  add_treatment(fields, draft);
  return fields;
}

std::vector<Field> describe_override(ProfileDraft& draft) {
  std::vector<Field> fields;
  fields.push_back(text("sensor",
                        "The one sensor meant, as machine/sensor. All other keys: see profiles.",
                        draft.sensor)
                       .checked(check_sensor, "^[^/]+/.+$")
                       .needed());
  add_treatment(fields, draft);
  return fields;
}

namespace {

std::vector<Field> describe_regime(engine::RegimeRule& rule) {
  Field bins =
      make("bins", Type::numbers,
           "Edges between regimes, rising, for a quantity such as a speed. Without them every "
           "value is a regime of its own, such as a program's number.");
  bins.range = {-largest_magnitude, largest_magnitude};
  bins.set = [&rule](const json& value) { rule.bins = value.get<std::vector<double>>(); };
  bins.get = [&rule] { return json(rule.bins); };
  Field learned = whole("learned", "regimes", {2, 16},
                        "Where no sensor names regimes: find at most so many by how the sensors "
                        "of the machine stand together. Not with `sensor` or `bins`.",
                        rule.learned)
                      .otherwise("they are not looked for");
  learned.get = [&rule] { return rule.learned > 0 ? json(rule.learned) : json(); };
  return {
      text("sensor",
           "The sensor of the machine whose value names its regime. Not set: regimes are not told "
           "apart, or `learned`.",
           rule.sensor)
          .checked(check_regime_sensor, "^(?!_machine$)[^*?]*$"),
      std::move(bins),
      duration("settle_s", {0, 86400},
               "For so long after a change the machine is in transition: nothing is learned, and "
               "only fixed limits and sensor faults are told.",
               rule.settle),
      whole("warmup", "readings", {2, 1000000},
            "A new regime is learned from so many readings of a sensor before they are scored.",
            rule.warmup),
      duration("learning_s", {0, 31536000},
               "And for so long, all visits added up; more of it makes a steadier baseline.",
               rule.learning),
      std::move(learned),
      duration("find_s", {60, 31536000},
               "With `learned`: for so long regimes are looked for and new ones may join, from the "
               "first reading and from a `serviced` or `rebaseline` of the machine.",
               rule.find),
  };
}

}  // namespace

std::vector<Field> describe_machine(engine::MachineProfile& machine) {
  std::vector<Field> fields{
      text("match",
           "Pattern over the machine's name: `*` any run of characters, `?` one, `[abc]` one of. "
           "The first entry that matches counts.",
           machine.match)
          .checked(check_machine_match, "."),
      boolean("watched", "Watch all sensors of the machine together, from two sensors on.",
              machine.watched),
      text("label", "What a mechanic calls the machine, such as `Press beside the furnace`.",
           machine.label)
          .otherwise("the machine's name"),
      text("model",
           "Machines of the same model are compared with each other, from four on: the odd one out "
           "raises an alert.",
           machine.model)
          .otherwise("not compared"),
      advice(machine.advice),
      object("regime",
             "What tells what the machine is doing (docs/regimes.md). Values are then held against "
             "what is usual of them in that regime.",
             describe_regime(machine.regime)),
  };
  for (Field& field :
       describe(describe_parameters<detectors::MachineLevel::Params>(), machine.parameters)) {
    fields.push_back(std::move(field));
  }
  for (Field& field :
       describe(describe_parameters<detectors::Health::Params>(), machine.parameters)) {
    fields.push_back(std::move(field));
  }
  add_alarm(fields, machine.alarm);
  return fields;
}

std::vector<Field> describe(const std::vector<Parameter>& parameters, ParameterValues& values) {
  std::vector<Field> fields;
  for (const auto& parameter : parameters) {
    const bool is_boolean = parameter.type == Parameter::Type::boolean;
    const auto kind = is_boolean                                   ? Type::boolean
                      : parameter.type == Parameter::Type::integer ? Type::whole
                                                                   : Type::number;
    Field field = ranged(kind, parameter.name, parameter.unit, parameter.range, parameter.help);
    const auto name = parameter.name;
    const auto initial = parameter.initial;
    field.set = [&values, name, is_boolean](const json& value) {
      values.insert_or_assign(std::string{name},
                              is_boolean ? (value.get<bool>() ? 1.0 : 0.0) : value.get<double>());
    };
    field.get = [&values, name, initial, is_boolean] {
      const auto it = values.find(name);
      const auto v = it == values.end() ? initial : it->second;
      if (!v) return json();
      return is_boolean ? json(*v != 0) : number_json(*v);
    };
    fields.push_back(std::move(field));
  }
  return fields;
}

std::vector<Field> describe(Draft& draft) {
  Field inputs = make("inputs", Type::list, "What to subscribe and how readings are found in it.");
  inputs.merge = Merge::append;
  inputs.add = [&draft] { return describe(draft.inputs.emplace_back()); };
  Field profiles = make(
      "profiles", Type::list,
      "How sensors are treated. The first that matches counts; a sensor that none matches gets "
      "all detectors with their defaults.");
  profiles.merge = Merge::prepend;
  profiles.add = [&draft] { return describe_profile(draft.profiles.emplace_back()); };
  Field overrides =
      make("overrides", Type::list,
           "Single sensors. An override starts from the profile that its sensor has otherwise.");
  overrides.merge = Merge::append;
  overrides.add = [&draft] { return describe_override(draft.overrides.emplace_back()); };
  Field machines =
      make("machines", Type::list,
           "How machines are watched as a whole. A frame is the newest values of a machine's "
           "sensors at one time. The first entry that matches counts; a machine that none matches "
           "is watched with the defaults.");
  machines.merge = Merge::prepend;
  machines.add = [&draft] { return describe_machine(draft.machines.emplace_back()); };
  return {
      text("$schema", "For editors only: where the JSON Schema of this file is.", draft.schema_uri),
      text("site", "Name of the plant or hall; part of topics and alerts.", draft.site)
          .checked(check_site, "^[^/+#]+$"),
      text("topic_root", "Alerts and status are published below this topic.", draft.topic_root)
          .checked(check_topic_root, "^[^+#]*$")
          .otherwise("`millwright/<site>`"),
      text("state_directory", "Where archive and checkpoints lie.", draft.state_directory)
          .checked(check_state_directory, "^(/.*)?$")
          .otherwise("`$STATE_DIRECTORY`, else `/var/lib/millwright`"),
      object("broker", "The MQTT broker.", fields_of(draft.broker)),
      std::move(inputs),
      std::move(profiles),
      std::move(overrides),
      std::move(machines),
      object("fleet", "How machines of one model are compared with each other.",
             describe(describe_parameters<engine::Fleet::Params>(), draft.fleet)),
      object("alerts", "Alerts as a whole.", fields_of(draft.desk)),
      object("processing", "How messages become readings and readings alerts.",
             fields_of(draft.processing, draft.reorder, draft.future_tolerance)),
      object("limits", "Bounds that keep memory and time in hand, whatever is sent.",
             fields_of(draft.limits)),
      object("archive", "The database of summaries and alerts.", fields_of(draft.archive)),
      object("home_assistant", "Machines as devices of Home Assistant.",
             fields_of(draft.home_assistant)),
  };
}

std::string number_text(double number) {
  if (std::abs(number) < 1e15 && number == std::trunc(number)) {
    return fmt::format("{}", static_cast<std::int64_t>(number));
  }
  return fmt::format("{}", number);
}

nlohmann::json number_json(double number) {
  if (std::abs(number) < 9e15 && number == std::trunc(number))
    return static_cast<std::int64_t>(number);
  return number;
}

std::string expectation(const Field& field) {
  switch (field.type) {
    case Type::text:
      return "a text";
    case Type::boolean:
      return "true or false";
    case Type::texts:
      return "an object of texts";
    case Type::words:
      return "an object of numbers";
    case Type::numbers:
      return "a list of rising numbers";
    case Type::object:
      return "an object";
    case Type::list:
      return "a list";
    case Type::names:
      return "a list of some of: " + fmt::format("{}", fmt::join(field.choices, ", "));
    case Type::detectors:
      return "\"auto\", \"precise\", \"none\", a list of detectors or an object of them";
    case Type::choice: {
      std::string names;
      for (std::size_t i = 0; i < field.choices.size(); ++i) {
        names += i == 0 ? "\"" : i + 1 == field.choices.size() ? " or \"" : ", \"";
        names.append(field.choices[i]).append("\"");
      }
      return names;
    }
    case Type::number:
    case Type::whole:
      break;
  }
  return fmt::format("a {}number from {} to {}", field.type == Type::whole ? "whole " : "",
                     number_text(field.range.low), number_text(field.range.high));
}

}  // namespace millwright::config
