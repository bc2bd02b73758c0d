#include "daemon/json.h"

#include <cmath>

namespace millwright::daemon {

std::string dumped(const OrderedJson& json, int indent) {
  return json.dump(indent, ' ', false, OrderedJson::error_handler_t::replace);
}

OrderedJson number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return value == 0 ? 0.0 : value;
}

OrderedJson number(const std::optional<double>& value) {
  return value ? number(*value) : OrderedJson(nullptr);
}

namespace schema {

OrderedJson text(std::string_view description) {
  return {{"type", "string"}, {"description", description}};
}

OrderedJson choice(OrderedJson values, std::string_view description) {
  return {{"enum", std::move(values)}, {"description", description}};
}

OrderedJson integer(std::int64_t minimum, std::string_view description) {
  return {{"type", "integer"}, {"minimum", minimum}, {"description", description}};
}

OrderedJson count(std::string_view description) { return integer(0, description); }

OrderedJson share(std::string_view description) {
  return {{"type", "number"}, {"minimum", 0}, {"maximum", 1}, {"description", description}};
}

OrderedJson number_or_null(std::string_view description) {
  return {{"type", {"number", "null"}}, {"description", description}};
}

OrderedJson instant(std::string_view description) {
  return {
      {"type", "string"},
      {"format", "date-time"},
      {"pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.([0-9]{3}|[0-9]{6})Z$"},
      {"description", description}};
}

// By anyOf, because some validators hold null to `format` too.
OrderedJson instant_or_null(std::string_view description) {
  auto choices = OrderedJson::array({instant("The instant"), {{"type", "null"}}});
  return {{"anyOf", std::move(choices)}, {"description", description}};
}

OrderedJson list(OrderedJson items, std::string_view description) {
  return {{"type", "array"}, {"items", std::move(items)}, {"description", description}};
}

OrderedJson object(OrderedJson properties, std::string_view description,
                   std::string_view optional) {
  auto required = OrderedJson::array();
  for (const auto& item : properties.items()) {
    if (item.key() != optional) required.push_back(item.key());
  }
  return {{"type", "object"},
          {"description", description},
          {"properties", std::move(properties)},
          {"required", std::move(required)},
          {"additionalProperties", false}};
}

OrderedJson or_null(OrderedJson schema) {
  schema["type"] = {schema["type"], "null"};
  return schema;
}

}  // namespace schema
}  // namespace millwright::daemon
