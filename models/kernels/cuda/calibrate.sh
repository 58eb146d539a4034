#!/bin/bash
# Builds the expert kernels on a machine that has a GPU, verifies them there, times them beside NVIDIA's libraries and
# writes the profile of the GPU. Needs nvcc, g++ with C++20 and an NVIDIA driver; nothing of the simulator, no network.
#
#   models/kernels/cuda/calibrate.sh [--quick] [--out FOLDER] [--budget-seconds N] [--models A,B] [--build FOLDER]
#   models/kernels/cuda/calibrate.sh --build-only [--build FOLDER]
#   models/kernels/cuda/calibrate.sh --pack FILE.tar.gz
#
# FOLDER (calibration/) gets profile.json and summary.txt, then times.jsonl and table.md (against the libraries). All in
# under 8 minutes; --quick writes the profile alone, in under 90 s after the build. --budget-seconds is the profile's.
# --build keeps what is compiled: the next call compiles only what has changed since.
#
# The headers of fmt, nlohmann-json and Random123 come from third_party/ of an unpacked bundle, else from the system.
# --pack makes that bundle: the sources that are needed, those headers and their licences, checked to need nothing else.
#
# Exit status: 77 without nvcc, g++ or a GPU; 1 when a kernel is wrong or the device fails; 2 for wrong arguments.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
cuda=models/kernels/cuda
started=$SECONDS
whole=460  # seconds, of which every stage leaves the next its part

quick= build_only= pack= out=calibration build= budget= models=

say() { echo "calibrate.sh: $*" >&2; }
fail() { say "${@:2}"; exit "$1"; }

while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=1 ;;
    --build-only) build_only=1 ;;
    --out | --build | --budget-seconds | --models | --pack)
      [ $# -gt 1 ] || fail 2 "$1: got nothing, expected a value"
      case $1 in
        --out) out=$2 ;;
        --build) build=$2 ;;
        --budget-seconds) budget=$2 ;;
        --models) models=$2 ;;
        --pack) pack=$2 ;;
      esac
      shift ;;
    --help | -h) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) fail 2 "got the unknown option $1, expected one of --quick, --out, --budget-seconds, --models, --build, --build-only, --pack" ;;
  esac
  shift
done
[[ -z $budget || $budget =~ ^[0-9]+$ ]] || fail 2 "--budget-seconds: got '$budget', expected whole seconds"

# What is compiled. The folder's own files are all taken, so that a new kernel needs no word here.
programs="cuda_worker time_experts memory_rate"
driver_sources="sim/cli/calibrate_device.cpp sim/cli/calibration_session.cpp sim/cli/atomic_file.cpp
  sim/cli/signals.cpp sim/cli/utc_time.cpp models/units/error.cpp models/units/text.cpp models/units/random.cpp
  models/kernels/calibration.cpp models/kernels/calibration_plan.cpp models/kernels/point_timer.cpp
  models/kernels/profile.cpp models/kernels/profile_interpolation.cpp models/kernels/profile_writer.cpp
  models/kernels/worker/worker_backend.cpp models/kernels/worker/worker_process.cpp"
version=$(sed -n 's/^project(moesim VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
flags=(-std=c++20 "-I$root" -DFMT_HEADER_ONLY)
[ ! -d "$root/third_party" ] || flags+=(-isystem "$root/third_party")

find_tools() {
  cxx=$(command -v "${CXX:-g++}") || fail 77 "no g++ in PATH"
  nvcc=$(command -v "${NVCC:-nvcc}" || true)
  for folder in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda; do
    [ -n "$nvcc" ] || [ ! -x "$folder/bin/nvcc" ] || nvcc=$folder/bin/nvcc
  done
}

cuda_include() { echo "$(dirname "$(dirname "$(readlink -f "$nvcc")")")/include"; }

# pack ------------------------------------------------------------------------------------------------------------------

# The folder that the compiler finds a header in.
folder_of_header() {
  echo "#include <$1>" | "$cxx" "${flags[@]}" -M -x c++ - 2>/dev/null | tr ' \\' '\n\n' | grep "/$1\$" | head -1 |
    sed "s|/$1\$||" | grep . || fail 1 "the header $1 is not on this machine; it is part of $2"
}

# Every file of the bundle is found in the bundle, or belongs to the compiler, the C library or CUDA.
check_bundle() {
  local folder=$1 source outside include=()
  [ -z "$nvcc" ] || include=(-isystem "$(cuda_include)")
  for source in $driver_sources $(cd "$folder" && ls $cuda/*.cpp); do
    [ -n "$nvcc" ] || [[ $source != $cuda/* ]] || continue  # their headers are CUDA's too
    outside=$("$cxx" -std=c++20 -DFMT_HEADER_ONLY -DMOESIM_VERSION='""' "-I$folder" -isystem "$folder/third_party" \
      "${include[@]}" -M "$folder/$source" | tr ' \\' '\n\n' | grep -E '/(fmt|nlohmann|Random123|boost|simgrid|yaml-cpp|CLI)/' |
      grep -v "^$folder/" || true)
    [ -z "$outside" ] || fail 1 "$source needs what is not in the bundle: $(echo "$outside" | head -1)"
  done
}

make_pack() {
  local staging name header folder licence
  staging=$(mktemp -d)
  # shellcheck disable=SC2064  # its name now, as the variable is local
  trap "rm -rf '$staging'" EXIT
  local bundle=$staging/moesim-cuda
  mkdir -p "$bundle/third_party/licences"
  (cd "$root" && find models/units models/kernels -name '*.hpp' -o -path "$cuda/*" -type f \
     ! -path '*/emulation/*' | grep -v -e /cpu/ -e /published/ -e /emulation/) > "$staging/list"
  (cd "$root" && ls $driver_sources sim/cli/{calibration_session,atomic_file,signals,utc_time}.hpp \
     CMakeLists.txt LICENSE scenarios/schema/profile.schema.json) >> "$staging/list"
  sort -u "$staging/list" | tar -C "$root" -cf - -T - | tar -C "$bundle" -xf -
  for name in fmt/format.h:fmt:libfmt-dev nlohmann/json.hpp:nlohmann:nlohmann-json3-dev \
              Random123/philox.h:Random123:librandom123-dev; do
    IFS=: read -r header folder licence <<< "$name"
    cp -rL "$(folder_of_header "$header" "$licence")/$folder" "$bundle/third_party/"
    if [ -f "$root/third_party/licences/$folder" ]; then
      cp "$root/third_party/licences/$folder" "$bundle/third_party/licences/"
    elif [ -f "/usr/share/doc/$licence/copyright" ]; then
      cp "/usr/share/doc/$licence/copyright" "$bundle/third_party/licences/$folder"
    else
      fail 1 "no licence of $folder in /usr/share/doc/$licence/copyright: the bundle must carry it"
    fi
  done
  check_bundle "$bundle"
  tar -C "$staging" --sort=name --owner=0 --group=0 --numeric-owner -czf "$staging/bundle.tar.gz" moesim-cuda
  mv "$staging/bundle.tar.gz" "$pack"
  echo "$pack: $(du -h "$pack" | cut -f1); there: tar xf $(basename "$pack") && moesim-cuda/$cuda/calibrate.sh --out results"
}

# build -----------------------------------------------------------------------------------------------------------------

# The GPU's own instructions, which for Hopper are those of 90a; without a GPU every target of the build.
targets() {
  local capability
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d '. ' || true)
  case $capability in
    90) echo "-gencode=arch=compute_90a,code=sm_90a" ;;
    [0-9]*) echo "-gencode=arch=compute_$capability,code=sm_$capability" ;;
    *) sed -n 's/^set(MOESIM_CUDA_TARGETS \(.*\))/\1/p' "$root/$cuda/targets.cmake" | tr ' ' '\n' |
         sed 's/\(.*\)/-gencode=arch=compute_\1,code=sm_\1/'; echo "-gencode=arch=compute_80,code=compute_80" ;;
  esac
}

# Whether a file was made by this command, and after the last change of all that it was made from.
is_fresh() {
  local made=$1 command=$2
  shift 2
  [ -f "$made" ] && [ "$(cat "$made.command" 2>/dev/null)" = "$command" ] && [ $# -gt 0 ] &&
    [ -z "$(find "$@" -newer "$made" -print -quit 2>&1)" ]  # what find complains of is missing
}

# Makes a file by a command, and remembers by which.
make_file() {
  local made=$1
  shift
  rm -f "$made.command"
  "$@" && echo "$*" > "$made.command"
}

compile_one() {
  local source=$1 object command
  object=$build/$(echo "$source" | tr / _).o
  case $source in
    *.cu)
      local code=$gencode
      # Hopper's own instructions, whatever is here
      [[ $source != */wgmma_kernels.cu ]] || code=-gencode=arch=compute_90a,code=sm_90a
      command=("$nvcc" -O3 -std=c++20 -ccbin "$cxx" $code "-I$root") ;;
    "$cuda"/*) command=("$nvcc" -O2 -ccbin "$cxx" "${flags[@]}") ;;  # knows where CUDA's headers are
    *) command=("$cxx" -O2 "${flags[@]}" "-DMOESIM_VERSION=\"$version\"") ;;
  esac
  command+=(-MD -MF "$object.d" -c "$root/$source" -o "$object")
  # shellcheck disable=SC2046  # one word a file
  is_fresh "$object" "${command[*]}" $(tr -s ' \\\n' '\n' 2>/dev/null < "$object.d" | grep '/' | grep -v ':$') ||
    make_file "$object" "${command[@]}"
}

link_one() {
  local program=$1
  shift
  local command=("$@") objects=()
  for word in "$@"; do [[ $word != *.o ]] || objects+=("$word"); done
  command+=(-o "$program")
  is_fresh "$program" "${command[*]}" "${objects[@]}" || make_file "$program" "${command[@]}" || fail 1 "the build failed"
}

build_all() {
  echo '#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <Random123/philox.h>' | "$cxx" "${flags[@]}" -M -x c++ - > /dev/null 2>&1 ||
    fail 77 "the headers of fmt, nlohmann-json and Random123 are not here: unpack a bundle of --pack, made where they are"
  gencode=$(targets | tr '\n' ' ')
  mkdir -p "$build"
  local sources source objects=()
  # the slowest first
  sources="$cuda/expert_kernels.cu $(cd "$root" && ls $cuda/*.cu | grep -v -e /expert_kernels.cu -e /memory_rate.cu)
           $(cd "$root" && ls $cuda/*.cpp) $driver_sources"
  export nvcc cxx gencode root build cuda version
  export -f compile_one is_fresh make_file
  flags_text=$(declare -p flags)
  export flags_text
  echo $sources | tr ' ' '\n' | xargs -P "$(nproc)" -I{} bash -c 'set -e; eval "$flags_text"; compile_one {}' ||
    fail 1 "the build failed"
  for source in $(cd "$root" && ls $cuda/*.cu $cuda/*.cpp); do
    for program in $programs; do [ "$source" != "$cuda/$program.cu" ] || continue 2; done
    objects+=("$build/$(echo "$source" | tr / _).o")
  done
  link_one "$build/moesim-cuda-worker" "$nvcc" -ccbin "$cxx" "$build/${cuda//\//_}_cuda_worker.cu.o" "${objects[@]}" -ldl
  link_one "$build/time_experts" "$nvcc" -ccbin "$cxx" "$build/${cuda//\//_}_time_experts.cu.o" "${objects[@]}" -ldl
  objects=()
  for source in $driver_sources; do objects+=("$build/$(echo "$source" | tr / _).o"); done
  link_one "$build/calibrate_device" "$cxx" "${objects[@]}" -pthread
  say "built in $((SECONDS - started)) s"
}

# measure ---------------------------------------------------------------------------------------------------------------

# Never less than a minute, however slow the build was.
left() { local seconds=$((whole - (SECONDS - started))); echo $((seconds > 60 ? seconds : 60)); }

# cuBLAS is no part of what is linked: where it lies beside PyTorch only, show it to the loader.
find_libraries() {
  ldconfig -p 2>/dev/null | grep -q libcublasLt.so.1[23] && return
  local found
  found=$(find / -name 'libcublas.so.1[23]' -not -path '/proc/*' 2>/dev/null | head -1 || true)
  [ -z "$found" ] || export LD_LIBRARY_PATH="$(dirname "$found")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

time_against_libraries() {
  local limit=$(($(left) - 10)) status=0
  timeout "$limit" "$build/time_experts" > "$out/times.jsonl" || status=$?
  [ $status -ne 77 ] || exit 77
  [ $status -ne 1 ] || fail 1 "time_experts failed"
  [ $status -ne 124 ] || say "the comparison was cut off after $limit s; what it measured counts"
  "$build/time_experts" --table "$out/times.jsonl" > "$out/table.md" || say "too little was measured for a table"
}

write_profile() {
  local seconds=${budget:-$(($(left) * 6 / 10))} status=0 options=()
  [ -z "$quick" ] || options+=(--quick)
  [ -z "$models" ] || options+=(--models "$models")
  [ -n "$budget" ] || [ -z "$quick" ] || seconds=70
  timeout -s TERM -k 30 $((seconds + 60)) "$build/calibrate_device" "$build/moesim-cuda-worker" "$out/profile.json" \
    --budget-seconds "$seconds" "${options[@]}" | tee "$out/summary.txt" || status=$?
  [ $status -eq 0 ] || exit $status
}

find_tools
if [ -n "$pack" ]; then
  make_pack
  exit
fi
[ -n "$nvcc" ] || fail 77 "no nvcc in PATH, CUDA_HOME or /usr/local/cuda"
[ -n "$build" ] || build=$(mktemp -d)
build_all
[ -z "$build_only" ] || exit 0
mkdir -p "$out"
find_libraries
nvidia-smi > "$out/nvidia-smi.txt" 2>&1 || true
write_profile
[ -n "$quick" ] || time_against_libraries
[ -n "$quick" ] || cat "$out/table.md"
say "done in $((SECONDS - started)) s: $(ls "$out" | tr '\n' ' ')"
