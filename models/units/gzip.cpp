#include "models/units/gzip.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <zlib.h>

#include "models/units/error.hpp"

namespace moesim {
namespace {

constexpr int kGzipHeader = 16;  // added to the window's bits: gzip instead of zlib
constexpr int kDefaultMemory = 8;

/// zlib takes 4 GiB at a time.
uInt taken(std::size_t left) {
  return static_cast<uInt>(std::min<std::size_t>(left, std::numeric_limits<uInt>::max()));
}

[[noreturn]] void fail(int status) {
  throw RunError{fmt::format("cannot compress: {}", zError(status))};
}

}  // namespace

std::string gzipped(std::string_view text) {
  z_stream stream{};
  int status = deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + kGzipHeader, kDefaultMemory,
                            Z_DEFAULT_STRATEGY);
  if (status != Z_OK) fail(status);
  std::string packed, chunk(1 << 18, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib does not write there
  do {
    const uInt given = stream.avail_in = taken(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    status = deflate(&stream, given == text.size() ? Z_FINISH : Z_NO_FLUSH);
    text.remove_prefix(given - stream.avail_in);
    packed.append(chunk, 0, chunk.size() - stream.avail_out);
  } while (status == Z_OK);
  deflateEnd(&stream);
  if (status != Z_STREAM_END) fail(status);
  return packed;
}

}  // namespace moesim
