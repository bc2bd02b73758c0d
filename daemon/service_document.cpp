#include "daemon/service_document.h"

#include "daemon/json.h"

namespace millwright::daemon {
namespace {

using namespace schema;

OrderedJson verdict(std::string_view description) {
  return {{"enum", {"yes", "in_part", "no", "unknown"}}, {"description", description}};
}
OrderedJson sensor_schema() {
  return object({{"sensor", text("The sensor")},
                 {"unit", text("Of the figures; empty: not known")},
                 {"alert", text("Id of the alert that it had")},
                 {"kind", text("Kind of that alert")},
                 {"regime",
                  {{"type", {"string", "null"}},
                   {"description", "Only readings in it were compared; null: in all"}}},
                 {"figure",
                  {{"enum", {"mean", "scatter"}},
                   {"description", "What the figures are: means, or standard deviations"}}},
                 {"before", number_or_null("While the alert was active")},
                 {"after", number_or_null("Once it was learned anew; null: too few readings")},
                 {"usual", number_or_null("Before the alert's onset; null: not known")},
                 {"readings_before", count("That `before` rests on")},
                 {"readings_after", count("That `after` rests on")},
                 {"helped", verdict("Of this sensor")}},
                "A sensor that had an alert");
}

}  // namespace

std::string service_document(const ServiceOutcome& outcome, std::string_view site) {
  auto sensors = OrderedJson::array();
  for (const auto& one : outcome.sensors) {
    sensors.push_back(
        {{"sensor", one.sensor},
         {"unit", one.unit},
         {"alert", one.alert},
         {"kind", name_of(one.kind)},
         {"regime", one.regime.empty() ? OrderedJson(nullptr) : OrderedJson(one.regime)},
         {"figure", one.scatter ? "scatter" : "mean"},
         {"before", number(one.before)},
         {"after", number(one.after)},
         {"usual", number(one.usual)},
         {"readings_before", one.readings_before},
         {"readings_after", one.readings_after},
         {"helped", name_of(one.helped)}});
  }
  return dumped({{"schema", 1},
                 {"site", site},
                 {"machine", outcome.machine},
                 {"serviced", format_time(outcome.serviced)},
                 {"time", format_time(outcome.time)},
                 {"helped", name_of(outcome.helped)},
                 {"message", outcome.message},
                 {"sensors", std::move(sensors)}});
}

std::string service_schema() {
  OrderedJson schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                        {"title", "Millwright, whether a service helped, version 1"}};
  schema.update(
      object({{"schema", {{"const", 1}, {"description", "Version of this document"}}},
              {"site", text("The site of the daemon that says so")},
              {"machine", text("The machine that was serviced")},
              {"serviced", instant("When, by the readings' clock")},
              {"time", instant("When that was known")},
              {"helped", verdict("Of all sensors together; unknown: nothing could be compared")},
              {"message", text("One sentence for the crew")},
              {"sensors",
               {{"type", "array"},
                {"items", sensor_schema()},
                {"description", "Those that had an alert of class machine before the service"}}}},
             "Whether a service helped"));
  return dumped(schema, 2);
}

}  // namespace millwright::daemon
