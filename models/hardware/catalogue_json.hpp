#pragma once
// Strict reading of catalogue files: every key known, every key there, every figure with its source.

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace moesim {

/// Parses a JSON document whose objects have no duplicate keys.
/// Throws InputError at ORIGIN:LINE:COLUMN for what is no JSON, and at ORIGIN for a key that is there twice.
nlohmann::json parse_catalogue_json(const std::string& text, const std::string& origin);

/// Throws InputError at ORIGIN for a key that is twice in one object of a valid JSON text: parsers keep the last.
void refuse_repeated_keys(std::string_view text, const std::string& origin);

/// One object of a catalogue file, with its place for messages ("h100-sxm.json: memory").
class CatalogueObject {
public:
  /// Throws InputError when it is not an object, or has other keys than exactly these.
  CatalogueObject(const nlohmann::json& object, std::string where, const std::vector<std::string>& keys);

  CatalogueObject object(const std::string& key, const std::vector<std::string>& keys) const;
  std::string text(const std::string& key) const;                          ///< not empty
  int count(const std::string& key) const;                                 ///< >= 1
  double number(const std::string& key, double least, double most) const;  ///< least <= value <= most
  std::string where(const std::string& key) const { return where_.back() == ' ' ? where_ + key : where_ + "." + key; }

private:
  const nlohmann::json& object_;
  std::string where_;
};

/// The list of objects under `key`, the file's only key; each made by `make(object, where)`.
template <typename Part, typename Make>
std::vector<Part> parse_parts(const std::string& text, const std::string& origin, const std::string& key, Make make) {
  const nlohmann::json document = parse_catalogue_json(text, origin);
  const CatalogueObject file{document, origin + ": ", {key}};
  std::vector<Part> parts;
  for (const nlohmann::json& part : document.at(key)) parts.push_back(make(part, file.where(key)));
  return parts;
}

}  // namespace moesim
