// The list of detectors as values.
#include "detectors/all.h"

#include <array>

namespace millwright::detectors {
namespace {

template <class... D>
const auto& listed(const std::tuple<D...>*) {
  static constexpr std::array<DetectorType, sizeof...(D)> list{type_of<D>()...};
  return list;
}

}  // namespace

std::span<const DetectorType> types() { return listed(static_cast<const All*>(nullptr)); }

std::size_t find_type(std::string_view name) {
  const auto list = types();
  std::size_t i = 0;
  while (i < list.size() && list[i].name != name) ++i;
  return i;
}

}  // namespace millwright::detectors
