# shellcheck shell=bash
# Power cuts: the guest is killed at a moment drawn by a seed, and everything that it was heard to promise must be there
# when it boots again. What it promised and was not heard is allowed to be there.

# heard LOG|PAIR: the highest promise of that kind that the killed guest sent.
heard() {
  # The last line may be half a line.
  sed '$d' "$answers" | sed -n "s/^$1 \([0-9]*\)$/\1/p" | sort -n | tail -n 1
}

# found LOG|PAIR: what recovery found.
found() {
  sed -n "s/^recovered $1 \([0-9]*\) .*/\1/p" "$answers" | tail -n 1
}

# until_said PATTERN: waits until the guest sends such a line, or it is gone, or its time is up.
until_said() {
  local deadline=$((SECONDS + seconds))
  until grep -q "$1" "$answers"; do
    if ! kill -0 "$machine" 2>/dev/null || [ $SECONDS -ge $deadline ]; then return 1; fi
    sleep 0.02
  done
}

# start_and_cut STEP LINE MILLISECONDS: kills the guest so long after it sent the line. Fails if it never did.
start_and_cut() {
  local status=0
  start_names "$1"
  "${arguments[@]}" -serial "file:$console" -serial "file:$answers" </dev/null >"$folder/$1.qemu" 2>&1 &
  machine=$!
  if until_said "$2"; then sleep "$(milliseconds "$3")"; else status=1; fi
  kill -KILL "$machine" 2>/dev/null
  wait "$machine" 2>/dev/null
  return $status
}

milliseconds() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }

# compare CUT: recovery found no less than what was promised before, and no damage.
compare() {
  local kind now
  if grep -q '^damaged' "$answers"; then
    verdict fail "cut $1: $(grep '^damaged' "$answers" | head -n 1)"
    return
  fi
  for kind in log pair; do
    now=$(found $kind)
    if [ -z "$now" ]; then
      verdict fail "cut $1: recovery of the $kind did not end"
    elif [ "$now" -lt "${promised[$kind]}" ]; then
      verdict fail "cut $1: the $kind was promised up to ${promised[$kind]}, and is there up to $now"
    else
      verdict pass "cut $1: the $kind was promised up to ${promised[$kind]}, and is there up to $now"
    fi
  done
}

verdict() {
  echo "$1 1 $name: $2" >>"$results"
  say "$name: $1: $2"
}

# remember: what this guest promised, or what recovery found where it had no time to promise more.
remember() {
  local kind now
  for kind in log pair; do
    for now in "$(found $kind)" "$(heard $kind)"; do
      if [ -n "$now" ] && [ "$now" -gt "${promised[$kind]}" ]; then promised["$kind"]=$now; fi
    done
  done
}

# Every fifth cut is during recovery.
cut_repeatedly() {
  declare -gA promised=([log]=0 [pair]=0)
  RANDOM=$2
  say "$name: $1 cuts, seed $2"
  for cut in $(seq 1 "$1"); do
    line=recovered\$ after=$((RANDOM % 2500))
    [ $((cut % 5)) -ne 0 ] || line=recovering after=$((RANDOM % 600))
    if ! start_and_cut work "$line" $after; then
      judge_boot work 1
      return
    fi
    [ "$cut" -eq 1 ] || [ $((cut % 5)) -eq 0 ] || compare "$((cut - 1))"
    remember
  done
  start_and_cut work recovered\$ 0
  compare "$1"
}

# A guest that promises what it has not stored must be caught, or the cuts above prove nothing.
catch_a_lie() {
  start_and_cut lie '^pair ' 0
  remember
  start_and_cut work recovered\$ 0
  if [ "$(found log)" -lt "${promised[log]}" ]; then
    verdict pass "a lie is caught: promised up to ${promised[log]}, there up to $(found log)"
  else
    verdict fail "a lie was expected to be caught: promised up to ${promised[log]}, there up to $(found log)"
  fi
}
