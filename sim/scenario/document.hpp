#pragma once
// YAML or JSON text as a tree that knows where each value stands. yaml-cpp stays inside document.cpp.

#include <string>
#include <string_view>
#include <vector>

namespace moesim {

struct YamlNode {
  enum class Kind { null, scalar, list, map };
  struct Entry {
    std::string key;
    std::string where;  ///< of the key: "file:line:column"
    int value;          ///< index of a node
  };

  Kind kind = Kind::null;
  std::string text;            ///< of a scalar
  bool quoted = false;         ///< a quoted scalar is text, never a number or a boolean
  std::string where;           ///< "file:line:column", or "--set path=value"
  bool overridden = false;     ///< came from --set
  std::vector<Entry> entries;  ///< of a map, in file order; items of a list, without keys
};

/// Nodes by index; an alias shares the node of its anchor, so that nothing is ever expanded.
class Document {
public:
  /// Throws InputError("file:line:column") for what is not one YAML document of maps, lists and scalars in UTF-8: bad
  /// bytes, broken syntax, duplicate keys, explicit tags, more than one document; and beyond these limits: 1 MiB,
  /// 64 levels, 100,000 nodes, 1,000 aliases, 1,000 keys in one map.
  Document(const std::string& text, const std::string& origin);

  const YamlNode& root() const { return nodes_[static_cast<std::size_t>(root_)]; }
  const YamlNode& node(int index) const { return nodes_[static_cast<std::size_t>(index)]; }

  /// Put a value at a dotted path ("layout.experts.ep"), making the maps on the way; an empty value takes the key out.
  /// A value that starts with {, [ or a quote is read as YAML, any other stands for itself.
  void set(std::string_view path, const std::string& value);

private:
  int add_value(const std::string& value, const std::string& where);
  int graft(Document other, const std::string& where);

  std::vector<YamlNode> nodes_;
  int root_ = 0;
};

}  // namespace moesim
