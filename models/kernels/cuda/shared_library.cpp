#include "models/kernels/cuda/shared_library.hpp"

#include <dlfcn.h>

namespace moesim::cuda {

SharedLibrary::SharedLibrary(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (handle_ == nullptr) handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

SharedLibrary::Symbol SharedLibrary::operator[](const char* name) {
  const Symbol found{handle_ == nullptr ? nullptr : dlsym(handle_, name)};
  whole_ &= found.address != nullptr;
  return found;
}

}  // namespace moesim::cuda
