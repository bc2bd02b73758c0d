#include "daemon/quarantine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include "daemon/json.h"
#include "daemon/printable.h"
#include "storage/files.h"

namespace millwright::daemon {
namespace {

constexpr std::size_t most_where_bytes = 256;
constexpr std::size_t most_topic_bytes = 1024;
constexpr std::size_t most_line_bytes = std::size_t{1} << 20U;

// The first bytes, without half a character at the end of a text.
std::string_view first_bytes(std::string_view bytes, std::size_t most) {
  if (bytes.size() <= most) return bytes;
  auto cut = most;
  const auto continues = [&](std::size_t i) {
    return (static_cast<unsigned char>(bytes[i]) & 0xc0U) == 0x80U;
  };
  for (int i = 0; i < 3 && cut > 0 && continues(cut); ++i) --cut;
  return bytes.substr(0, continues(cut) ? most : cut);
}

std::string to_hex(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::optional<std::string> from_hex(std::string_view hex) {
  const auto digit = [](char c) {
    constexpr std::string_view digits = "0123456789abcdef";
    return digits.find(c);
  };
  std::string out;
  if (hex.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const auto high = digit(hex[i]);
    const auto low = digit(hex[i + 1]);
    if (high > 15 || low > 15) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
  }
  return out;
}

std::optional<Reject> reason_named(std::string_view name) {
  for (std::size_t i = 1; i < static_cast<std::size_t>(Reject::count_); ++i) {
    if (name_of(static_cast<Reject>(i)) == name) return static_cast<Reject>(i);
  }
  return std::nullopt;
}

std::optional<std::string> text_at(const OrderedJson& json, const char* key) {
  const auto it = json.find(key);
  if (it == json.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

std::optional<BadMessage> parse_message(const OrderedJson& json) {
  const auto time = text_at(json, "time");
  const auto reason = text_at(json, "reason");
  const auto where = text_at(json, "where");
  const auto topic = text_at(json, "topic");
  const auto hex = text_at(json, "payload_hex");
  const auto payload = hex ? from_hex(*hex) : text_at(json, "payload");
  const auto bytes = json.find("bytes");
  if (!time || !reason || !where || !topic || !payload || bytes == json.end() ||
      !bytes->is_number_unsigned()) {
    return std::nullopt;
  }
  const auto received = parse_time(*time, TimeFormat::iso8601);
  const auto known = reason_named(*reason);
  if (!received || !known) return std::nullopt;
  return BadMessage{*received, *known, *where, *topic, bytes->get<std::uint64_t>(), *payload};
}

[[noreturn]] void throw_io(const char* what, const std::filesystem::path& file) {
  const int code = errno == 0 ? EIO : errno;
  throw std::system_error(code, std::generic_category(), fmt::format("{} {}", what, file.string()));
}

}  // namespace

std::string to_json(const BadMessage& message) {
  OrderedJson json = {{"time", format_time(message.received)},
                      {"reason", name_of(message.reason)},
                      {"where", message.where},
                      {"topic", message.topic},
                      {"bytes", message.bytes}};
  if (is_utf8(message.payload)) {
    json["payload"] = message.payload;
  } else {
    json["payload_hex"] = to_hex(message.payload);
  }
  return dumped(json);
}

Quarantine::Quarantine(std::filesystem::path file, std::size_t max_messages,
                       std::size_t max_payload_bytes)
    : file_(std::move(file)), max_messages_(max_messages), max_payload_bytes_(max_payload_bytes) {}

void Quarantine::add(Reject reason, std::string_view where, std::string_view topic,
                     std::string_view payload, Timestamp received) {
  counts_.add(reason);
  changed_ = true;
  if (max_messages_ == 0) return;
  auto kept = place(reason);
  auto& message = kept.message;
  message.received = received;
  message.reason = reason;
  message.where.assign(first_bytes(where, most_where_bytes));
  message.topic.assign(first_bytes(topic, most_topic_bytes));
  message.bytes = payload.size();
  message.payload.assign(first_bytes(payload, max_payload_bytes_));
  keep(std::move(kept));
}

// An empty place, or the one that goes: its strings are used again, so a flood costs no allocation.
Quarantine::Kept Quarantine::place(Reject reason) {
  if (size_ < max_messages_) return {};
  auto* fullest = &kept_[static_cast<std::size_t>(reason)];
  for (auto& other : kept_) {
    if (other.size() > fullest->size()) fullest = &other;
  }
  Kept oldest = std::move(fullest->front());
  fullest->pop_front();
  --size_;
  return oldest;
}

void Quarantine::keep(Kept kept) {
  kept.order = ++order_;
  kept_[static_cast<std::size_t>(kept.message.reason)].push_back(std::move(kept));
  ++size_;
}

std::size_t Quarantine::load() {
  errno = 0;
  if (!std::filesystem::exists(file_)) return 0;
  std::ifstream in{file_, std::ios::binary};
  if (!in) throw_io("cannot read", file_);
  std::size_t unreadable = 0;
  std::string line;
  while (std::getline(in, line)) {
    if (!load_line(line)) ++unreadable;
  }
  if (in.bad()) throw_io("cannot read", file_);
  return unreadable;
}

bool Quarantine::load_line(std::string_view line) {
  if (line.size() > most_line_bytes) return false;
  const auto json = OrderedJson::parse(line, nullptr, false);
  if (!json.is_object()) return false;
  if (const auto counts = json.find("counts"); counts != json.end() && counts->is_object()) {
    for (const auto& item : counts->items()) {
      const auto reason = reason_named(item.key());
      if (!reason || !item.value().is_number_unsigned()) return false;
      counts_.add(*reason, item.value().get<std::uint64_t>());
    }
    return true;
  }
  auto message = parse_message(json);
  if (!message) return false;
  if (max_messages_ == 0) return true;
  auto kept = place(message->reason);
  kept.message = std::move(*message);
  keep(std::move(kept));
  return true;
}

void Quarantine::save() {
  const auto work = saving();
  if (!work) return;
  try {
    work();
  } catch (...) {
    changed_ = true;
    throw;
  }
}

std::function<void()> Quarantine::saving() {
  if (!std::exchange(changed_, false)) return {};
  auto counts = OrderedJson::object();
  for (std::size_t i = 1; i < static_cast<std::size_t>(Reject::count_); ++i) {
    const auto reason = static_cast<Reject>(i);
    if (counts_[reason] > 0) counts[std::string{name_of(reason)}] = counts_[reason];
  }
  auto text = dumped({{"quarantine", 1}, {"counts", std::move(counts)}}) + '\n';
  for (const auto& message : messages()) text += to_json(message) + '\n';
  return [file = file_, text = std::move(text)] { storage::replace_file(file, text); };
}

std::vector<BadMessage> Quarantine::messages() const {
  std::vector<const Kept*> all;
  all.reserve(size_);
  for (const auto& reason : kept_) {
    for (const auto& kept : reason) all.push_back(&kept);
  }
  std::sort(all.begin(), all.end(),
            [](const Kept* a, const Kept* b) { return a->order < b->order; });
  std::vector<BadMessage> out;
  out.reserve(all.size());
  for (const auto* kept : all) out.push_back(kept->message);
  return out;
}

}  // namespace millwright::daemon
