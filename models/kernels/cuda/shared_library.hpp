#pragma once
// A library that is found at run time, or not.

#include <initializer_list>

#include <dlfcn.h>

namespace moesim::cuda {

/// Stays loaded until the process ends.
class SharedLibrary {
public:
  /// The first of `names` that the loader finds.
  explicit SharedLibrary(std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (handle_ == nullptr) handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }

  /// Becomes whatever pointer to a function it initialises; null when the library or the symbol is not there.
  struct Symbol {
    void* address;
    template <class Function>
    operator Function*() const {  // NOLINT(google-explicit-constructor)
      return reinterpret_cast<Function*>(address);
    }
  };
  Symbol operator[](const char* name) {
    const Symbol found{handle_ == nullptr ? nullptr : dlsym(handle_, name)};
    whole_ &= found.address != nullptr;
    return found;
  }

  /// Whether every symbol asked for was there.
  bool whole() const { return whole_; }

private:
  void* handle_ = nullptr;
  bool whole_ = true;
};

}  // namespace moesim::cuda
