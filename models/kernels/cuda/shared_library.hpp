#pragma once
// A library that is found at run time, or not.

#include <initializer_list>

namespace moesim::cuda {

/// Stays loaded until the process ends.
class SharedLibrary {
public:
  /// The first of `names` that the loader finds.
  explicit SharedLibrary(std::initializer_list<const char*> names);

  /// Becomes whatever pointer to a function it initialises; null when the library or the symbol is not there.
  struct Symbol {
    void* address;
    template <class Function>
    operator Function*() const {  // NOLINT(google-explicit-constructor)
      return reinterpret_cast<Function*>(address);
    }
  };
  Symbol operator[](const char* name);

  /// Whether every symbol asked for was there.
  bool whole() const { return whole_; }

private:
  void* handle_ = nullptr;
  bool whole_ = true;
};

}  // namespace moesim::cuda
