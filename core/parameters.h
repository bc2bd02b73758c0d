// Parameters described once: name, unit, range, help, default. Parser, validation, JSON Schema and
// docs follow from it.
//
//   struct Params { double threshold = 6; Duration window = std::chrono::minutes{10};
//     static void describe(auto& visit, auto& p) {
//       visit("threshold", "sigma", Range{1, 100}, "Deviations of the median that are a spike",
//       p.threshold); visit("window_s", "s", Range{1, 86400}, "Length of the window", p.window); }
//       };
//
// Values are numbers: a Duration is in seconds, a bool is 0 or 1, an unset std::optional<double> is
// absent.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/hash.h"
#include "core/time.h"

namespace millwright {

struct Range {
  double low, high;
};

// One parameter as documents and the config parser see it.
struct Parameter {
  enum class Type : std::uint8_t { number, integer, boolean, duration };
  std::string_view name, unit;
  Type type{};
  Range range{};
  std::string_view help;
  std::optional<double> initial;  // default; absent = unset unless configured
};

// name -> value; checked against the descriptions by whoever fills it in (config), applied by
// `apply_parameters`.
using ParameterValues = std::map<std::string, double, std::less<>>;

template <class Params>
std::vector<Parameter> describe_parameters() {
  struct Collect {
    std::vector<Parameter> out;
    void operator()(std::string_view name, std::string_view unit, Range range,
                    std::string_view help, double& v) {
      out.push_back({name, unit, Parameter::Type::number, range, help, v});
    }
    void operator()(std::string_view name, std::string_view unit, Range range,
                    std::string_view help, std::optional<double>& v) {
      out.push_back({name, unit, Parameter::Type::number, range, help, v});
    }
    void operator()(std::string_view name, std::string_view unit, Range range,
                    std::string_view help, std::uint32_t& v) {
      out.push_back({name, unit, Parameter::Type::integer, range, help, static_cast<double>(v)});
    }
    void operator()(std::string_view name, std::string_view unit, Range range,
                    std::string_view help, bool& v) {
      out.push_back({name, unit, Parameter::Type::boolean, range, help, v ? 1.0 : 0.0});
    }
    void operator()(std::string_view name, std::string_view unit, Range range,
                    std::string_view help, Duration& v) {
      out.push_back({name, unit, Parameter::Type::duration, range, help, to_seconds(v)});
    }
  } collect;
  Params defaults;
  Params::describe(collect, defaults);
  return collect.out;
}

// Defaults overlaid with `values`; names that Params does not have are ignored (config has refused
// them before).
template <class Params>
Params apply_parameters(const ParameterValues& values) {
  struct Apply {
    const ParameterValues& values;
    const double* find(std::string_view name) const {
      const auto it = values.find(name);
      return it == values.end() ? nullptr : &it->second;
    }
    void operator()(std::string_view name, std::string_view, Range, std::string_view,
                    double& v) const {
      if (const auto* x = find(name)) v = *x;
    }
    void operator()(std::string_view name, std::string_view, Range, std::string_view,
                    std::optional<double>& v) const {
      if (const auto* x = find(name)) v = *x;
    }
    void operator()(std::string_view name, std::string_view, Range, std::string_view,
                    std::uint32_t& v) const {
      if (const auto* x = find(name)) v = static_cast<std::uint32_t>(*x);
    }
    void operator()(std::string_view name, std::string_view, Range, std::string_view,
                    bool& v) const {
      if (const auto* x = find(name)) v = *x != 0;
    }
    void operator()(std::string_view name, std::string_view, Range, std::string_view,
                    Duration& v) const {
      if (const auto* x = find(name)) v = from_seconds(*x);
    }
  } apply{values};
  Params params;
  Params::describe(apply, params);
  return params;
}

// The same for any two sets of values that mean the same; part of the state format. The parameter
// `without` is left out: one that can change without making what was learned wrong.
template <class Params>
std::uint64_t fingerprint_of(const Params& params, std::string_view detector, std::uint32_t version,
                             std::string_view without = {}) {
  struct Text {
    std::string_view without;
    std::string out;
    void add(std::string_view name, double v) {
      if (name == without) return;
      out.append(name).push_back('=');
      const auto* bytes = reinterpret_cast<const char*>(&v);
      out.append(bytes, sizeof v).push_back(';');
    }
    void operator()(std::string_view n, std::string_view, Range, std::string_view, double& v) {
      add(n, v);
    }
    void operator()(std::string_view n, std::string_view, Range, std::string_view,
                    std::optional<double>& v) {
      if (v) add(n, *v);
    }
    void operator()(std::string_view n, std::string_view, Range, std::string_view,
                    std::uint32_t& v) {
      add(n, static_cast<double>(v));
    }
    void operator()(std::string_view n, std::string_view, Range, std::string_view, bool& v) {
      add(n, v ? 1 : 0);
    }
    void operator()(std::string_view n, std::string_view, Range, std::string_view, Duration& v) {
      add(n, to_seconds(v));
    }
  } text{without, {}};
  Params copy = params;
  Params::describe(text, copy);
  return hash64(text.out, hash64(detector, version));
}

}  // namespace millwright
