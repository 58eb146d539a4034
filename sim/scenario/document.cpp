#include "sim/scenario/document.hpp"

#include <algorithm>
#include <map>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "models/units/error.hpp"
#include "sim/scenario/text_check.hpp"

namespace moesim {
namespace {

constexpr std::size_t kMostBytes = 1u << 20, kMostNodes = 100000, kMostKeys = 1000, kDeepest = 64;
constexpr int kMostAliases = 1000;

/// Builds the nodes from parser events. Limits are enforced here, while yaml-cpp still reads, because its own tree
/// builder recurses and expands.
class Builder : public YAML::EventHandler {
public:
  Builder(std::vector<YamlNode>& nodes, const std::string& origin) : nodes_{nodes}, origin_{origin} {}

  int root() const { return root_; }
  std::string where(const YAML::Mark& mark) const {
    return fmt::format("{}:{}:{}", origin_, mark.line + 1, mark.column + 1);
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) refuse(mark, "a second document", "one document in a file");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(mark, anchor, YamlNode::Kind::null); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (++aliases_ > kMostAliases) refuse(mark, fmt::format("more than {} aliases", kMostAliases), "fewer");
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end() || is_open(found->second))
      refuse(mark, "an alias inside its own anchor", "an alias of a finished value");
    attach(mark, found->second);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    if (wants_key()) return take_key(mark, anchor, value);
    YamlNode& node = add(mark, anchor, YamlNode::Kind::scalar);
    node.text = value;
    node.quoted = tag == "!";
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::list);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::map);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapEnd() override { open_.pop_back(); }

private:
  struct Open {
    int node;
    bool key_next;  ///< a map waits for a key
    std::string key, key_where;
  };

  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& found, const std::string& expected) const {
    throw InputError{where(mark), found, expected};
  }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse(mark, "the type tag " + shown(tag), "a plain value (the key decides the type)");
  }

  bool is_open(int index) const {
    return std::any_of(open_.begin(), open_.end(), [&](const Open& o) { return o.node == index; });
  }
  bool wants_key() const { return !open_.empty() && open_.back().key_next; }

  YamlNode& add(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode::Kind kind) {
    if (nodes_.size() >= kMostNodes) refuse(mark, fmt::format("more than {} values", kMostNodes), "fewer");
    const int index = static_cast<int>(nodes_.size());
    if (anchor != YAML::NullAnchor) anchors_[anchor] = index;
    attach(mark, index);
    YamlNode& node = nodes_.emplace_back();
    node.kind = kind;
    node.where = where(mark);
    return node;
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind) {
    refuse_tag(mark, tag);
    if (open_.size() >= kDeepest)
      refuse(mark, fmt::format("more than {} levels of nesting", kDeepest), "a scenario's few levels");
    add(mark, anchor, kind);
    open_.push_back({static_cast<int>(nodes_.size()) - 1, kind == YamlNode::Kind::map, {}, {}});
  }

  /// Give a node to what contains it: it is the root, a list's item or a map's value.
  void attach(const YAML::Mark& mark, int index) {
    if (open_.empty()) {
      root_ = index;
      return;
    }
    if (wants_key()) refuse(mark, "a list or map as a key", "a name, and every [ and { closed");
    Open& parent = open_.back();
    YamlNode& holder = nodes_[static_cast<std::size_t>(parent.node)];
    if (holder.kind == YamlNode::Kind::list) {
      holder.entries.push_back({{}, {}, index});
      return;
    }
    holder.entries.push_back({parent.key, parent.key_where, index});
    parent.key_next = true;
  }

  void take_key(const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& key) {
    if (anchor != YAML::NullAnchor) refuse(mark, "an anchor on a key", "an anchor on a value");
    Open& parent = open_.back();
    const auto& entries = nodes_[static_cast<std::size_t>(parent.node)].entries;
    if (entries.size() >= kMostKeys) refuse(mark, fmt::format("more than {} keys in one map", kMostKeys), "fewer");
    for (const YamlNode::Entry& entry : entries)
      if (entry.key == key)
        refuse(mark, fmt::format("the key {} again", shown(key)), "each key once (first at " + entry.where + ")");
    parent = {parent.node, false, key, where(mark)};
  }

  std::vector<YamlNode>& nodes_;
  const std::string& origin_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, int> anchors_;
  int root_ = -1, documents_ = 0, aliases_ = 0;
};

}  // namespace

Document::Document(const std::string& text, const std::string& origin) {
  if (text.size() > kMostBytes)
    throw InputError{origin, fmt::format("{} bytes", text.size()), fmt::format("at most {} bytes", kMostBytes)};
  check_text(text, origin);
  Builder builder{nodes_, origin};
  try {
    std::istringstream in{text};
    YAML::Parser parser{in};
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    throw InputError{error.mark.is_null() ? origin : builder.where(error.mark), "broken YAML: " + error.msg,
                     "valid YAML or JSON"};
  }
  root_ = builder.root();
  if (root_ >= 0) return;
  root_ = 0;
  nodes_.assign(1, {});
  nodes_[0].where = origin;
}

void Document::set(std::string_view path, const std::string& value) {
  const std::string where = fmt::format("--set {}={}", path, value);
  for (int parent = root_;;) {
    const std::size_t dot = path.find('.');
    const std::string key{path.substr(0, dot)};
    YamlNode map = node(parent);
    if (map.kind != YamlNode::Kind::map) {
      map = {};
      map.kind = YamlNode::Kind::map;
      map.where = where;
    }
    std::erase_if(map.entries, [&](const YamlNode::Entry& entry) { return entry.key == key && dot == path.npos; });
    const auto at = std::find_if(map.entries.begin(), map.entries.end(), [&](const auto& e) { return e.key == key; });
    int child = -1;
    if (dot != path.npos) {
      // Aliases share nodes: the maps on the way are copied, so that only this path changes.
      nodes_.push_back(at != map.entries.end() ? node(at->value) : YamlNode{});
      child = static_cast<int>(nodes_.size()) - 1;
    } else if (!value.empty()) {
      child = add_value(value, where);
    }
    if (at != map.entries.end())
      at->value = child;
    else if (child >= 0)
      map.entries.push_back({key, where, child});
    nodes_[static_cast<std::size_t>(parent)] = std::move(map);
    if (dot == path.npos) return;
    parent = child;
    path.remove_prefix(dot + 1);
  }
}

int Document::add_value(const std::string& value, const std::string& where) {
  if (std::string_view{"{[\"'"}.find(value[0]) != std::string_view::npos) return graft(Document{value, where}, where);
  check_text(value, where);
  YamlNode& node = nodes_.emplace_back();
  node.kind = YamlNode::Kind::scalar;
  node.text = value;
  node.where = where;
  node.overridden = true;
  return static_cast<int>(nodes_.size()) - 1;
}

/// Appends the other document's nodes and returns the index of its root here.
int Document::graft(Document other, const std::string& where) {
  const int offset = static_cast<int>(nodes_.size());
  for (YamlNode& node : other.nodes_) {
    node.where = where;
    node.overridden = true;
    for (YamlNode::Entry& entry : node.entries) {
      entry.where = where;
      entry.value += offset;
    }
    nodes_.push_back(std::move(node));
  }
  return offset + other.root_;
}

}  // namespace moesim
