# shellcheck shell=bash
# Running the cases, several at once, and adding up what they found.

run_cases() {
  local name jobs=${PMEM_VM_JOBS:-2}
  for name in "$@"; do
    while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do wait -n; done
    run_case "$name" &
  done
  wait
}

# Names every failure; the closing line is the last.
report() {
  local name passed=0 failed=0 verdict count rest
  for name in "$@"; do
    [ -s "$work/$name.results" ] || echo "fail 1 $name: it reported nothing" >>"$work/$name.results"
    while read -r verdict count rest; do
      case $verdict in
        pass) passed=$((passed + count)) ;;
        fail) failed=$((failed + count)); echo "FAILED $rest" ;;
      esac
    done <"$work/$name.results"
  done
  say "all cases: $SECONDS s"
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}
