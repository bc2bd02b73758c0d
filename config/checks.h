// What a single text must look like. Each function says what is wrong and what would be right;
// nothing when all is well.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millwright::config {

std::string check_site(const std::string& text);
std::string check_topic_root(const std::string& text);
std::string check_discovery_prefix(const std::string& text);
std::string check_url(const std::string& text);
std::string check_client_id(const std::string& text);
std::string check_credential(const std::string& text);
std::string check_topic(const std::string& text);
std::string check_value_pointer(const std::string& text);
std::string check_name_template(const std::string& text);
// The same, of what a reserved name (docs/alerts.md) must not be given to.
std::string check_machine_name(const std::string& text);
std::string check_sensor_name(const std::string& text);
std::string check_state_directory(const std::string& text);
std::string check_match(const std::string& text);
std::string check_machine_match(const std::string& text);
std::string check_sensor(const std::string& text);
// One sensor of a machine, by its name.
std::string check_regime_sensor(const std::string& text);
// Without `*` and captures: to one value.
std::string check_single_pointer(const std::string& text);
std::string check_expression(const std::string& text);
std::string check_band_name(const std::string& text);

// The names of the `{captures}` of a text, in order, and what is wrong with it.
struct Captures {
  std::vector<std::string> names;
  std::vector<std::string> in_pointers;  // of a name: those within its `{/json/pointers}`
  std::string problem;
};
Captures captures_of(std::string_view text);
// The same for a machine's or sensor's name, which may also hold `{/json/pointers}`.
Captures captures_of_name(std::string_view text);

// An input's topic with every capture replaced by `+` or, inside a level, `{}`: equal for topics
// that match the same.
std::string shape_of_topic(const std::string& topic);

}  // namespace millwright::config
