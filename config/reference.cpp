// The description as the page docs/configuration.md.
#include <fmt/format.h>

#include <iterator>

#include "config/config.h"
#include "config/describe.h"
#include "core/time.h"
#include "detectors/all.h"

namespace millwright::config {
namespace {

using Type = Field::Type;

constexpr std::string_view introduction = R"(# Configuration

This page is made from the same description as the parser and the JSON Schema (`millwright schema config`). It lists
every key there is; any other is refused, with the nearest known key. `millwright check-config FILE` shows all problems
of a configuration at once, with line and column, and changes nothing.

## The files

`/etc/millwright/millwright.json`, in JSON with `//` and `/* */` comments, UTF-8. All `*.json` files of the folder
`conf.d` beside it are added in the order of their names:

- sections (`broker`, `processing`, ...) are joined key by key; a later file's value goes before an earlier one's,
- `inputs` and `overrides` are appended,
- `profiles` and `machines` of a later file stand *before* those of an earlier one, as the first match counts.

All files together have at most 4 MiB and are nested at most 32 levels deep. A key stands once in its object. Durations
name their unit at the end of the key: `_s` seconds, `_ms` milliseconds.

## A first configuration

One sensor that sends bare numbers:

```jsonc
{
  "broker": { "url": "tcp://127.0.0.1:1883" },
  "inputs": [
    { "topic": "shop/press-1/temp", "format": "text", "machine": "press-1", "sensor": "temp" }
  ]
}
```

A sensor needs no line of its own. One input with captures takes a whole fleet: `{name}` in the topic and in the JSON
Pointer `value` names the machine and the sensor, and whatever turns up is watched from then on.

```jsonc
{
  "inputs": [
    { "topic": "acme/{line}/{robot}/telemetry", "where": { "robot": "R[0-9]{3}" },
      "value": "/signals/{signal}/v", "time": "/ts",
      "machine": "{robot}", "sensor": "{signal}" }
  ],
  "profiles": [
    { "match": "*/*_temp", "unit": "degC", "limits": { "high": 90 }, "advice": "Check lubrication and cooling" }
  ],
  "overrides": [
    { "sensor": "R017/j3_temp", "limits": { "high": 95 } }
  ]
}
```

)";

constexpr std::string_view detectors_introduction = R"(## Detectors and their parameters

`"detectors": "auto"` is `auto`, `gap`, `stuck` and `clock`; `"precise"` the same with `precise` in place of `auto`.
To have more: `"detectors": ["auto", "trend"]`. To change one and keep the others:
`"detectors": ["auto", { "gap": { "factor": 20 } }]`. To have only some: `"detectors": ["shift", "gap"]`.
Sigma is the usual scatter of the sensor itself, as the detector has learned it.

)";

std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string default_of(const Field& field) {
  if (field.required) return "*required*";
  if (!field.initial.empty()) return std::string{field.initial};
  if (!field.get) return "";
  const auto initial = field.get();
  if (initial.is_null() || initial == "" || (initial.is_object() && initial.empty()))
    return "not set";
  if (field.unit == "s" && initial.is_number() && initial.get<double>() >= 600) {
    return fmt::format("`{}` ({})", initial.dump(),
                       describe_duration(from_seconds(initial.get<double>())));
  }
  return fmt::format("`{}`", initial.is_string() ? initial.get<std::string>() : initial.dump());
}

std::string bounds_of(const Field& field) {
  if (field.type == Type::choice || field.type == Type::names) {
    std::string out;
    for (const auto name : field.choices)
      out += fmt::format("{}`{}`", out.empty() ? "" : ", ", name);
    return out;
  }
  if (field.type != Type::number && field.type != Type::whole) return "";
  const auto unit = field.unit.empty() || field.unit == "1" ? "" : fmt::format(" {}", field.unit);
  if (field.range.high >= 1e100) {  // as good as open
    if (field.range.low <= -1e100) return field.unit == "1" ? "" : std::string{field.unit};
    if (field.range.low == 0) return fmt::format("0 or more,{}", unit);
    return fmt::format("above 0,{}", unit);
  }
  return fmt::format("{} to {}{}", number_text(field.range.low), number_text(field.range.high),
                     unit);
}

std::string_view type_of(const Field& field) {
  switch (field.type) {
    case Type::text:
      return "text";
    case Type::number:
      return "number";
    case Type::whole:
      return "whole number";
    case Type::boolean:
      return "true, false";
    case Type::choice:
      return "one of";
    case Type::texts:
      return "object of texts";
    case Type::words:
      return "object of numbers";
    case Type::numbers:
      return "list of numbers";
    case Type::names:
      return "some of";
    case Type::detectors:
      return "detectors";
    case Type::object:
      return "object";
    case Type::list:
      return "list of objects";
  }
  return "";
}

void add_rows(std::string& page, const std::vector<Field>& fields, const std::string& prefix) {
  for (const Field& field : fields) {
    const bool nested = field.type == Type::object && !prefix.empty();
    const bool at_root = prefix.empty();
    const auto name = (at_root ? "" : prefix.substr(1)) + std::string{field.name};
    if (nested) {
      // One row says what it is, its keys follow.
      page += fmt::format("| `{}` | object | | | {} |\n", name, cell(field.help));
      add_rows(page, field.fields, prefix + std::string{field.name} + ".");
      continue;
    }
    const bool section = field.type == Type::object || field.type == Type::list;
    page += fmt::format("| `{}` | {} | {} | {} | {} |\n", name, type_of(field),
                        section ? "" : default_of(field), cell(bounds_of(field)), cell(field.help));
  }
}

void add_table(std::string& page, const std::vector<Field>& fields, const std::string& prefix) {
  page += "| Key | Type | Default | Unit and range | What it does |\n|---|---|---|---|---|\n";
  add_rows(page, fields, prefix);
  page += "\n";
}

}  // namespace

std::string reference_page() {
  std::string page{introduction};
  Draft draft;
  auto fields = describe(draft);
  page += "## The keys\n\n";
  add_table(page, fields, "");
  for (const Field& field : fields) {
    if (field.type != Type::object && field.type != Type::list) continue;
    page += fmt::format("## `{}`\n\n{}\n\n", field.name, field.help);
    auto keys = field.type == Type::object ? field.fields : field.add();
    if (field.name == "overrides") keys.resize(1);  // the others are those of a profile
    add_table(page, keys, ".");
  }
  page += detectors_introduction;
  for (const auto& type : detectors::types()) {
    ParameterValues values;
    page += fmt::format("### `{}`\n\n", type.name);
    add_table(page, describe(type.parameters(), values), ".");
  }
  page.pop_back();
  return page;
}

}  // namespace millwright::config
