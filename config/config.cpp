#include "config/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <utility>

#include "config/describe.h"
#include "config/document.h"
#include "config/meaning.h"
#include "config/read.h"
#include "config/waveform_meaning.h"
#include "core/hash.h"
#include "detectors/all.h"

namespace millwright::config {
namespace {

using nlohmann::json;

// The detectors of a draft, its `limits` added, in the order of detectors::types().
std::vector<engine::DetectorChoice> detectors_of(const ProfileDraft& draft) {
  auto chosen = draft.profile.detectors;
  if (!draft.limits.empty()) {
    auto limit = std::find_if(chosen.begin(), chosen.end(),
                              [](const auto& choice) { return choice.name == "limit"; });
    if (limit == chosen.end()) limit = chosen.insert(limit, {"limit", {}});
    for (const auto& [name, value] : draft.limits) limit->parameters.insert_or_assign(name, value);
  }
  std::sort(chosen.begin(), chosen.end(), [](const auto& a, const auto& b) {
    return detectors::find_type(a.name) < detectors::find_type(b.name);
  });
  return chosen;
}

engine::Profile profile_of(const ProfileDraft& draft) {
  auto profile = draft.profile;
  profile.detectors = detectors_of(draft);
  if (draft.has_waveform) profile.waveform = draft.waveform;
  return profile;
}

// `"detectors": { "limit": ... }`, alone or in a list.
Member limit_detector(const Member& profile) {
  const auto detectors = member(profile, "detectors");
  if (!detectors || detectors.node->type != Node::Type::list) return member(detectors, "limit");
  for (const Node& item : detectors.node->children) {
    Member listed{&item, pointer_to(detectors.pointer, item)};
    if (item.is_text() && item.value == "limit") return listed;
    if (auto found = member(listed, "limit")) return found;
  }
  return {};
}

// Limits that cannot work, as they are after everything was laid over each other; `said`: what the
// profile or override says itself, for the places.
class LimitCheck {
 public:
  LimitCheck(const Member& said, Report& report)
      : said_(said),
        limits_(member(said, "limits")),
        detector_(limit_detector(said)),
        report_(report) {}

  void check(const engine::Profile& profile) {
    said_twice();
    const auto choice = std::find_if(profile.detectors.begin(), profile.detectors.end(),
                                     [](const auto& one) { return one.name == "limit"; });
    if (choice != profile.detectors.end()) {
      values(choice->parameters);
    } else if (limits_) {
      no_limit();
    }
  }

 private:
  // Not after another error: what could not be read is missing here.
  void no_limit() {
    if (!report_.has_errors())
      error("", "without \"high\" or \"low\" there is never an alarm; add one of them");
  }

  void values(const ParameterValues& parameters) {
    const auto given = [&](std::string_view name) {
      const auto found = parameters.find(name);
      return found == parameters.end() ? std::nullopt : std::optional{found->second};
    };
    const auto low = given("low"), high = given("high"), critical = given("critical");
    const double hysteresis = given("hysteresis").value_or(0);
    if (!low && !high) return no_limit();
    if (low && high && *low >= *high) {
      error("", fmt::format("the limit low ({}) must be below high ({})", number_text(*low),
                            number_text(*high)));
    } else if (low && high && hysteresis >= *high - *low) {
      error("hysteresis",
            fmt::format("with a hysteresis of {} an alarm at one limit ends only at the other; it "
                        "must be below high - low, which is {}",
                        number_text(hysteresis), number_text(*high - *low)));
    }
    if (critical && !high) {
      error("critical", "is counted from \"high\", which is missing; add it");
    } else if (critical && *critical <= *high) {
      error("critical", fmt::format("critical ({}) must be above high ({})", number_text(*critical),
                                    number_text(*high)));
    }
  }

  void said_twice() {
    if (!limits_ || !detector_) return;
    for (const Node& limit : limits_.node->children) {
      const Node* other = detector_.node->find(limit.key);
      if (other == nullptr || !other->value.is_number() || !limit.value.is_number() ||
          other->value == limit.value)
        continue;
      report_.error(limit.place, pointer_to(limits_.pointer, limit),
                    fmt::format("the detector \"limit\" at {} says {}; keep one of the two",
                                report_.describe(other->place, limit.place),
                                number_text(other->value.get<double>())));
    }
  }

  // At the member of that name, or where limits are spoken of at all.
  void error(std::string_view name, std::string_view message) {
    for (const auto& place : {member(limits_, name), member(detector_, name), limits_, detector_}) {
      if (place) return report_.error(place.node->place, place.pointer, std::string{message});
    }
    report_.error(said_.node->place, said_.pointer, std::string{message});
  }

  Member said_, limits_, detector_;
  Report& report_;
};

void check_limits(const engine::Profile& profile, const Node& node, const std::string& pointer,
                  Report& report) {
  LimitCheck{{&node, pointer}, report}.check(profile);
}

// A glob that matches this text and nothing else.
std::string literal_glob(std::string_view text) {
  std::string glob;
  for (const char c : text) {
    if (c == '*' || c == '?' || c == '[') {
      glob.append("[").append(1, c).append("]");
    } else {
      glob += c;
    }
  }
  return glob;
}

// What the override changes, laid over the profile that its sensor has otherwise.
void lay_over(ProfileDraft& base, const Node& node) {
  Report unheard;  // every problem has been reported when the override was read the first time
  unheard.add_file("");
  const Node* detectors = node.find("detectors");
  auto fields = describe_override(base);
  read(node, "", fields, unheard);
  if (detectors != nullptr && base.profile.detectors.empty() && node.find("limits") == nullptr) {
    base.limits.clear();  // only archived: without the limits of the profile, too
  }
}

std::vector<engine::Profile> profiles_of(const Draft& draft, const Node& root, Report& report) {
  const Node* overrides = root.find("overrides");
  std::vector<engine::Profile> out;
  if (overrides != nullptr && overrides->type == Node::Type::list) {
    std::vector<std::pair<ProfileDraft, const Node*>> laid;
    std::unordered_map<std::string, std::size_t> by_sensor;
    for (const Node& node : overrides->children) {
      const auto sensor = node.text("sensor");
      if (!sensor) continue;
      const auto [it, is_new] = by_sensor.emplace(*sensor, laid.size());
      if (is_new) {
        const auto base = std::find_if(
            draft.profiles.begin(), draft.profiles.end(), [&](const ProfileDraft& profile) {
              return engine::glob_matches(profile.profile.match, *sensor);
            });
        laid.emplace_back(base == draft.profiles.end() ? ProfileDraft{} : *base, &node);
      }
      auto& [over, where] = laid[it->second];
      where = &node;
      lay_over(over, node);
      over.profile.match = literal_glob(*sensor);
    }
    for (const auto& [over, node] : laid) {
      out.push_back(profile_of(over));
      check_limits(out.back(), *node, pointer_to("/overrides", *node), report);
      check_waveform(out.back(), *node, pointer_to("/overrides", *node), report);
    }
  }
  const Node* profiles = root.find("profiles");
  for (std::size_t i = 0; i < draft.profiles.size(); ++i) {
    out.push_back(profile_of(draft.profiles[i]));
    const Node& node = profiles->children[i];
    check_limits(out.back(), node, pointer_to("/profiles", node), report);
    check_waveform(out.back(), node, pointer_to("/profiles", node), report);
  }
  if (draft.profiles.empty()) out.push_back(profile_of(ProfileDraft{}));
  return out;
}

Configuration configuration_of(Draft&& draft, std::vector<engine::Profile>&& profiles) {
  Configuration out;
  out.plan.site = draft.site;
  out.plan.profiles = std::move(profiles);
  out.plan.machines = std::move(draft.machines);
  out.plan.fleet = std::move(draft.fleet);
  out.plan.desk = draft.desk;
  out.plan.max_sensors = draft.limits.sensors;
  out.plan.reorder = draft.reorder;
  out.plan.future_tolerance = draft.future_tolerance;
  out.site = std::move(draft.site);
  out.topic_root = std::move(draft.topic_root);
  out.state_directory = std::move(draft.state_directory);
  out.broker = std::move(draft.broker);
  out.inputs = std::move(draft.inputs);
  out.processing = std::move(draft.processing);
  out.limits = draft.limits;
  out.archive = std::move(draft.archive);
  out.home_assistant = std::move(draft.home_assistant);
  return out;
}

void remove_secrets(Node& node, const std::vector<Field>& fields) {
  for (const Field& field : fields) {
    const auto here = std::find_if(node.children.begin(), node.children.end(),
                                   [&](const Node& child) { return child.key == field.name; });
    if (here == node.children.end()) continue;
    if (field.secret) {
      node.children.erase(here);
    } else {
      remove_secrets(*here, field.fields);
    }
  }
}

std::vector<NamedFile> files_of(const Node& root, const Report& report) {
  std::vector<NamedFile> files;
  const auto broker = member(root, "", "broker");
  for (const auto* name : {"ca_file", "certificate_file", "key_file", "password_file"}) {
    const auto said = member(broker, name);
    if (!said || !said.node->is_text() || said.node->value == "") continue;
    const auto& place = said.node->place;
    files.push_back({said.node->value.get<std::string>(),
                     {Problem::Level::warning, report.file(place), static_cast<int>(place.line),
                      static_cast<int>(place.column), said.pointer, ""}});
  }
  return files;
}

// Everything after the syntax. `whole`: every file could be read, so what is missing is missing
// indeed.
Loaded understand(Node&& root, bool whole, Report& report) {
  Loaded loaded;
  Draft draft;
  auto fields = describe(draft);
  read(root, "", fields, report);
  if (whole && root.type == Node::Type::object) {
    check_meaning(root, draft, report);
    auto profiles = profiles_of(draft, root, report);
    if (!report.has_errors()) {
      loaded.configuration = configuration_of(std::move(draft), std::move(profiles));
      loaded.files = files_of(root, report);
      remove_secrets(root, fields);
      loaded.text = to_json(root).dump();
      if (loaded.text.size() > largest_text) {
        report.error({0, 1, 1}, "",
                     fmt::format("all files together are larger than {} bytes", largest_text));
      }
    }
  }
  loaded.problems = report.problems();
  if (report.has_errors()) {
    loaded.configuration.reset();
    loaded.text.clear();
  }
  return loaded;
}

// At most one byte more than a configuration may have; false with `errno` when it cannot be read.
bool read_file(const std::filesystem::path& path, std::string& text) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "rbe"),
                                                             &std::fclose};
  if (!file) return false;
  char buffer[65536];
  while (text.size() <= largest_text) {
    const auto n = std::fread(buffer, 1, sizeof buffer, file.get());
    text.append(buffer, n);
    if (n < sizeof buffer) return std::ferror(file.get()) == 0;
  }
  return true;
}

std::optional<Node> load_one(const std::filesystem::path& path, Report& report) {
  const auto file = report.add_file(path.string());
  std::string text;
  errno = 0;
  if (!read_file(path, text)) {
    report.error({file, 0, 0}, "", fmt::format("cannot be read: {}", std::strerror(errno)));
    return std::nullopt;
  }
  auto node = read_document(text, file, report);
  if (node && node->type != Node::Type::object) {
    report.error(node->place, "", "expected an object, found " + describe_value(*node));
    return std::nullopt;
  }
  return node;
}

// The *.json of conf.d beside `file`, in name order.
std::vector<std::filesystem::path> more_files(const std::filesystem::path& file, Report& report) {
  const auto directory = file.parent_path() / "conf.d";
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  std::filesystem::directory_iterator entry{directory, error};
  for (; !error && entry != std::filesystem::directory_iterator{}; entry.increment(error)) {
    const auto name = entry->path().filename().string();
    if (name.ends_with(".json") && !name.starts_with('.')) paths.push_back(entry->path());
  }
  if (error && error != std::errc::no_such_file_or_directory &&
      error != std::errc::not_a_directory) {
    report.error({report.add_file(directory.string()), 0, 0}, "",
                 fmt::format("cannot be read: {}", error.message()));
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Every key's value by name, but for secrets and lists.
json values_of(const std::vector<Field>& fields) {
  auto out = json::object();
  for (const Field& field : fields) {
    const auto name = std::string{field.name};
    if (field.type == Field::Type::object) {
      out[name] = values_of(field.fields);
    } else if (field.get && !field.secret && field.type != Field::Type::detectors) {
      out[name] = field.get();
    }
  }
  return out;
}

json values_of(const engine::Profile& profile) {
  ProfileDraft draft;
  draft.profile = profile;
  draft.waveform = profile.waveform.value_or(engine::Waveform{});
  auto out = values_of(describe_profile(draft));
  if (!profile.waveform) out.erase("waveform");
  out.erase("limits");  // they are parameters of the detector by now
  for (const auto& choice : profile.detectors) {
    ParameterValues parameters = choice.parameters;
    out["detectors"][choice.name] = values_of(
        describe(detectors::types()[detectors::find_type(choice.name)].parameters(), parameters));
  }
  return out;
}

json values_of(engine::MachineProfile machine) { return values_of(describe_machine(machine)); }

}  // namespace

std::string to_string(const Problem& problem) {
  std::string text = problem.file;
  if (problem.line > 0) text += fmt::format(":{}:{}", problem.line, problem.column);
  text += problem.level == Problem::Level::error ? ": error: " : ": warning: ";
  if (!problem.pointer.empty()) text += problem.pointer + ": ";
  return text + problem.message;
}

Loaded load(const std::filesystem::path& file) {
  Report report;
  auto root = load_one(file, report);
  bool whole = root.has_value();
  Draft scratch;
  const auto fields = describe(scratch);
  for (const auto& path : more_files(file, report)) {
    auto more = load_one(path, report);
    whole = whole && more.has_value();
    if (root && more) {
      merge(*root, std::move(*more), fields);
    } else if (more) {
      root = std::move(more);
    }
  }
  if (!root) {
    Loaded loaded;
    loaded.problems = report.problems();
    return loaded;
  }
  return understand(std::move(*root), whole, report);
}

Loaded parse(std::string_view text, const std::string& name) {
  Report report;
  auto root = read_document(text, report.add_file(name), report);
  if (!root) {
    Loaded loaded;
    loaded.problems = report.problems();
    return loaded;
  }
  return understand(std::move(*root), true, report);
}

Configuration defaults() { return configuration_of(Draft{}, {profile_of(ProfileDraft{})}); }

// Unlike ==, it is the same for a default that is written out and one that is not, and knows no
// secrets: so it is also that of Loaded::text read again.
std::string fingerprint(const Configuration& configuration) {
  Draft draft;
  draft.site = configuration.site;
  draft.topic_root = configuration.topic_root;
  draft.state_directory = configuration.state_directory;
  draft.broker = configuration.broker;
  draft.processing = configuration.processing;
  draft.reorder = configuration.plan.reorder;
  draft.future_tolerance = configuration.plan.future_tolerance;
  draft.limits = configuration.limits;
  draft.fleet = configuration.plan.fleet;
  draft.desk = configuration.plan.desk;
  draft.archive = configuration.archive;
  draft.home_assistant = configuration.home_assistant;
  auto values = values_of(describe(draft));
  for (auto input : configuration.inputs) values["inputs"].push_back(values_of(describe(input)));
  for (const auto& profile : configuration.plan.profiles)
    values["profiles"].push_back(values_of(profile));
  // No entry and one that changes nothing mean the same.
  auto machines = configuration.plan.machines;
  if (machines.empty()) machines.emplace_back();
  for (const auto& machine : machines) values["machines"].push_back(values_of(machine));
  return fmt::format("{:016x}", hash64(values.dump()));
}

}  // namespace millwright::config
