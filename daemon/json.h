// What the documents that Millwright writes, and their JSON schemas, are made of.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace millwright::daemon {

// Keeps its keys in the order in which they were written.
using OrderedJson = nlohmann::ordered_json;

// As text: on one line for an indent of -1. A name that is not UTF-8 must not keep an alert from
// going out: what is not is replaced.
std::string dumped(const OrderedJson& json, int indent = -1);

// null for what JSON has no number for (a band that is open on one side), and never -0.
OrderedJson number(double value);
OrderedJson number(const std::optional<double>& value);

// Parts of JSON schemas.
namespace schema {

OrderedJson text(std::string_view description);
OrderedJson choice(OrderedJson values, std::string_view description);
OrderedJson integer(std::int64_t minimum, std::string_view description);
OrderedJson count(std::string_view description);
OrderedJson share(std::string_view description);  // 0 to 1
OrderedJson number_or_null(std::string_view description);
OrderedJson instant(std::string_view description);  // RFC 3339, UTC, as format_time writes it
OrderedJson instant_or_null(std::string_view description);
OrderedJson list(OrderedJson items, std::string_view description);
// Every property is required unless it is named in `optional`.
OrderedJson object(OrderedJson properties, std::string_view description,
                   std::string_view optional = {});
OrderedJson or_null(OrderedJson schema);

}  // namespace schema
}  // namespace millwright::daemon
