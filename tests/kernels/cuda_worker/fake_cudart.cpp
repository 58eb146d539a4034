// See fake_device.hpp. Signatures are those of cuda_runtime_api.h.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include <cuda_runtime_api.h>

#include "models/kernels/cuda/fill_words.hpp"
#include "tests/kernels/cuda_worker/fake_device.hpp"

using moesim::testing::fake_device;

namespace {

struct Launch {
  const void* address;
  std::size_t reads;
  moesim::Seconds time;
};
using Graph = std::vector<Launch>;

Graph* capturing = nullptr;
std::map<void*, std::size_t> allocations;
std::map<const void*, std::size_t> last_read;  ///< of all bytes ever read, how many had been when the address was
std::size_t read_ever = 0;

template <class T>
cudaError_t make(T** handle) {
  *handle = reinterpret_cast<T*>(new double{});  // NOLINT: an opaque handle
  ++fake_device().live;
  return cudaSuccess;
}
template <class T>
cudaError_t destroy(T* handle) {
  delete reinterpret_cast<double*>(handle);  // NOLINT
  --fake_device().live;
  return cudaSuccess;
}

void run(const Launch& launch) {
  moesim::testing::FakeDevice& device = fake_device();
  device.clock += launch.time;
  if (launch.address == nullptr) return;
  if (const auto before = last_read.find(launch.address); before != last_read.end())
    device.least_read_between = std::min(device.least_read_between, read_ever - before->second);
  read_ever += launch.reads;
  last_read[launch.address] = read_ever;
}

}  // namespace

namespace moesim::testing {

FakeDevice& fake_device() {
  static FakeDevice device;
  return device;
}

void launch_fake(const void* address, std::size_t reads, Seconds time) {
  const Launch launch{address, reads, time};
  if (capturing != nullptr)
    capturing->push_back(launch);
  else
    run(launch);
}

}  // namespace moesim::testing

namespace moesim::cuda {

/// Too large to be touched here: reserved and never read.
cudaError_t fill_words(void* /*memory*/, std::size_t /*bytes*/, WordPattern /*pattern*/, std::uint32_t /*seed*/,
                       cudaStream_t /*stream*/) {
  return cudaSuccess;
}

}  // namespace moesim::cuda

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = fake_device().devices;
  return static_cast<cudaError_t>(fake_device().driver_error);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* device, int /*index*/) {
  *device = {};
  std::strcpy(device->name, "Fake GPU");
  device->totalGlobalMem = fake_device().memory;
  device->l2CacheSize = static_cast<int>(fake_device().cache);
  device->multiProcessorCount = 4;
  device->sharedMemPerBlockOptin = std::size_t{227} << 10;
  device->major = fake_device().major;
  return cudaSuccess;
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorInsufficientDriver ? "the driver is too old" : "a fake error";
}
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  return cudaDriverGetVersion(version);
}
cudaError_t cudaDeviceGetPCIBusId(char* id, int size, int /*device*/) {
  std::strncpy(id, "0000:00:00.0", static_cast<std::size_t>(size));
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* all) {
  *all = fake_device().memory;
  *free = *all - fake_device().allocated;
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  if (fake_device().allocated + bytes > fake_device().memory) return cudaErrorMemoryAllocation;
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  allocations[*memory] = bytes;
  if (fake_device().on_allocate) fake_device().on_allocate(*memory, bytes);
  fake_device().allocated += bytes;
  ++fake_device().live;
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  if (fake_device().on_free) fake_device().on_free(memory);
  fake_device().allocated -= allocations.at(memory);
  allocations.erase(memory);
  --fake_device().live;
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemset(void* memory, int byte, std::size_t bytes) {
  std::memset(memory, byte, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind /*kind*/) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void*, const void*, std::size_t bytes, cudaMemcpyKind /*kind*/, cudaStream_t /*stream*/) {
  moesim::testing::launch_fake(nullptr, bytes, moesim::Seconds{2.0 * static_cast<double>(bytes) / 1e12});
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int, std::size_t) {
  *blocks = 1;
  return cudaSuccess;
}
cudaError_t cudaLaunchKernel(const void* function, dim3 blocks, dim3 threads, void** arguments,
                             std::size_t shared_bytes, cudaStream_t) {
  fake_device().on_launch({function, static_cast<int>(blocks.x), static_cast<int>(threads.x), shared_bytes, arguments});
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return make(stream);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return destroy(stream);
}
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  capturing = new Graph;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  *graph = reinterpret_cast<cudaGraph_t>(capturing);  // NOLINT
  capturing = nullptr;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long /*flags*/) {
  *executable = reinterpret_cast<cudaGraphExec_t>(new Graph{*reinterpret_cast<Graph*>(graph)});  // NOLINT
  ++fake_device().live;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t) {
  for (const Launch& launch : *reinterpret_cast<Graph*>(executable)) run(launch);  // NOLINT
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete reinterpret_cast<Graph*>(executable);  // NOLINT
  --fake_device().live;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Graph*>(graph);  // NOLINT
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return make(event);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  *reinterpret_cast<double*>(event) = fake_device().clock.value();  // NOLINT
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds =
      static_cast<float>(1e3 * (*reinterpret_cast<double*>(end) - *reinterpret_cast<double*>(begin)));  // NOLINT
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return destroy(event);
}
}
