// The description as JSON Schema, for editors and for programs that write configurations.
#include <fmt/format.h>

#include "config/config.h"
#include "config/describe.h"
#include "detectors/all.h"

namespace millwright::config {
namespace {

using nlohmann::ordered_json;
using Type = Field::Type;

ordered_json schema_of(const Field& field);

ordered_json object_of(const std::vector<Field>& fields) {
  ordered_json schema{{"type", "object"}, {"additionalProperties", false}};
  auto properties = ordered_json::object();
  auto required = ordered_json::array();
  for (const Field& field : fields) {
    properties[std::string{field.name}] = schema_of(field);
    if (field.required) required.push_back(field.name);
  }
  schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

// `help (unit)`: there is no keyword for units.
std::string description_of(const Field& field) {
  return field.unit.empty() || field.unit == "1" ? std::string{field.help}
                                                 : fmt::format("{} ({})", field.help, field.unit);
}

ordered_json schema_of(const Field& field) {
  ordered_json schema;
  switch (field.type) {
    case Type::text:
      schema["type"] = "string";
      if (!field.pattern.empty()) schema["pattern"] = field.pattern;
      break;
    case Type::number:
    case Type::whole:
      schema["type"] = field.type == Type::whole ? "integer" : "number";
      schema["minimum"] = number_json(field.range.low);
      schema["maximum"] = number_json(field.range.high);
      break;
    case Type::boolean:
      schema["type"] = "boolean";
      break;
    case Type::choice:
      schema["enum"] = field.choices;
      break;
    case Type::texts:
      schema["type"] = "object";
      schema["additionalProperties"] = {{"type", "string"}};
      break;
    case Type::words:
      schema["type"] = "object";
      schema["additionalProperties"] = {{"type", "number"}};
      break;
    case Type::numbers:
      schema["type"] = "array";
      schema["items"] = {{"type", "number"}};
      break;
    case Type::names:
      schema["type"] = "array";
      schema["items"] = ordered_json{{"enum", field.choices}};
      schema["minItems"] = 1;
      break;
    case Type::detectors:
      schema["$ref"] = "#/$defs/detectors";
      break;
    case Type::object:
      schema = object_of(field.fields);
      break;
    case Type::list:
      schema["type"] = "array";
      schema["items"] = object_of(field.add());
      break;
  }
  schema["description"] = description_of(field);
  if (field.get) {
    if (const auto initial = field.get(); !initial.is_null() && initial != "" &&
                                          !initial.is_structured() && field.initial.empty() &&
                                          !field.required) {
      schema["default"] = initial;
    }
  }
  return schema;
}

ordered_json detectors_schema() {
  auto names = ordered_json::array();
  auto properties = ordered_json::object();
  for (const auto& type : detectors::types()) {
    ParameterValues values;
    names.push_back(type.name);
    properties[std::string{type.name}] = object_of(describe(type.parameters(), values));
  }
  const ordered_json parameters{
      {"type", "object"}, {"additionalProperties", false}, {"properties", properties}};
  const ordered_json item{
      {"anyOf", {ordered_json{{"enum", names}}, ordered_json{{"$ref", "#/$defs/parameters"}}}}};
  const ordered_json whole{{"anyOf",
                            {ordered_json{{"enum", {"auto", "precise", "none"}}},
                             ordered_json{{"type", "array"}, {"items", item}},
                             ordered_json{{"$ref", "#/$defs/parameters"}}}}};
  return ordered_json{{"parameters", parameters}, {"detectors", whole}};
}

}  // namespace

std::string schema() {
  Draft draft;
  ordered_json schema{
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "Millwright configuration"},
      {"description",
       "JSON with // and /* */ comments. docs/configuration.md says the same in prose."}};
  schema.update(object_of(describe(draft)));
  schema["$defs"] = detectors_schema();
  return schema.dump(2);
}

}  // namespace millwright::config
