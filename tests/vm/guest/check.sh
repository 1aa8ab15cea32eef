# shellcheck shell=sh
# How a guest tells the host what it found: a line for each check on the second serial port, all output on the console.

say() { echo "== $(cut -d ' ' -f 1 /proc/uptime) $*"; }
passed() { echo "pass 1 $case/$step: $1" | tee /dev/ttyS1; }
failed() { echo "fail 1 $case/$step: $1" | tee /dev/ttyS1; }

# check WHAT COMMAND...: passes if the command does.
check() {
  what=$1
  shift
  if "$@"; then passed "$what"; else failed "$what: '$*' ended with $?"; fi
}

# expect WHAT EXPECTED FOUND
expect() {
  if [ "$2" = "$3" ]; then passed "$1: $2"; else failed "$1: expected '$2', found '$3'"; fi
}

# refused WHAT COMMAND...: passes if the command does not.
refused() {
  what=$1
  shift
  if "$@"; then failed "$what: '$*' was expected to fail"; else passed "$what"; fi
}

# info WHAT [PATH] -- PATTERN...: what `pmem info` says, in JSON, has each of these on a line of its own.
info() {
  what=$1 path=
  shift
  if [ "$1" != -- ]; then path=$1; shift; fi
  shift
  # shellcheck disable=SC2086
  dotnet /tests/Pmem.Tool.dll info --json $path >/tmp/info.json || failed "info of $what ended with $?"
  for pattern in "$@"; do
    if grep -q "$pattern" /tmp/info.json; then passed "info of $what: $pattern"; else failed "info of $what has no '$pattern'"; fi
  done
}

# suite WHAT DIRECTORY [NAME=VALUE...] [-- EXPECTO ARGUMENTS...]: the test assembly, with its files in the directory.
suite() {
  what=$1 directory=$2 log=/tmp/suite.log
  shift 2
  mkdir -p "$directory"
  set_apart "$@"
  say "suite $what"
  # shellcheck disable=SC2086
  env PMEM_TESTS_DIRECTORY="$directory" PMEM_TESTS_REQUIRE_ALL=1 PMEM_TESTS_EMULATED=1 $settings \
    dotnet /tests/Pmem.Tests.dll --junit-summary /tmp/junit.xml $options 2>&1 | tee $log
  closing=$(grep -oE '[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' $log | tail -n 1)
  say "suite $what: ${closing:-no closing line}"
  slowest
  count_suite "$what" "$closing"
}

# Where the time went.
slowest() {
  echo "the slowest tests, in seconds:"
  sed 's/<testcase/\n&/g' /tmp/junit.xml | sed -n 's/^<testcase.* name="\([^"]*\)".* time="\([^"]*\)".*/\2 \1/p' | sort -rn | head -n 12
}

# The words before -- are settings, those after it are options.
set_apart() {
  settings='' options=''
  while [ $# -gt 0 ] && [ "$1" != -- ]; do settings="$settings $1"; shift; done
  [ $# -eq 0 ] || shift
  options="$*"
}

count_suite() {
  # shellcheck disable=SC2046
  set -- "$1" $(echo "$2" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2/p')
  if [ "${2:-0}" = 0 ]; then
    echo "fail 1 $case/$step: $1: no test ran" >/dev/ttyS1
  else
    echo "pass $2 $case/$step: $1" >/dev/ttyS1
    [ "$3" = 0 ] || echo "fail $3 $case/$step: $1: see the console" >/dev/ttyS1
  fi
}

# dax_suite WHAT GRANULARITY WRITE-BACK [NAME=VALUE...]: only what persistent memory can show, with ext4 at /mnt/ext4 and
# the NVDIMM named device.
dax_suite() {
  what=$1 places=$2:/mnt/ext4,$2:$(character device) instruction=$3
  shift 3
  dax_places "$what" "$places" PMEM_TESTS_WRITE_BACK="$instruction" "$@"
}

# dax_places WHAT PLACES [NAME=VALUE...]
dax_places() {
  what=$1 places=$2
  shift 2
  suite "$what" /mnt/ext4/tests PMEM_TESTS_PLACES="$places" PMEM_TESTS_ONLY=dax "$@"
}
