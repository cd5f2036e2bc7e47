#!/usr/bin/env bash
# Types the commands of the README as a new user would: starts the program
# with the first, asks with the others while it runs, stops it with ctrl-C,
# and starts it once more.
set -euo pipefail
cd "$(dirname "$0")/../.."

data=$(mktemp -d)
log=$(mktemp)
export STOFSTROM_DATA=$data
pid=""
# make's whole process group gets the interrupt, as from a terminal.
interrupt() { [ -z "$pid" ] || kill -INT -- "-$pid" 2>/dev/null || true; }
trap 'interrupt; rm -rf "$data" "$log"' EXIT

mapfile -t commands < <(sed -n '/^## Quick start/,/^## Where/p' README.md | sed -n 's/^\$ //p')
[ "${#commands[@]}" -ge 8 ] || { echo "the README has ${#commands[@]} commands, at least 8 are expected" >&2; exit 1; }
[ "${commands[0]}" = "make run" ] || { echo "the README does not begin with make run" >&2; exit 1; }

start() {
  : >"$log"
  setsid bash -c "${commands[0]}" >"$log" 2>&1 &
  pid=$!
  for _ in $(seq 1 1200); do
    grep -q '^ready' "$log" && return 0
    kill -0 "$pid" 2>/dev/null || { cat "$log" >&2; echo "make run ended before it was ready" >&2; return 1; }
    sleep 0.1
  done
  cat "$log" >&2
  echo "make run was not ready after two minutes" >&2
  return 1
}

stop() {
  interrupt
  local code=0
  wait "$pid" || code=$?
  pid=""
  if grep -q '^stofstrom: ' "$log"; then
    cat "$log" >&2
    echo "the stop reported an error" >&2
    return 1
  fi
  echo "stopped (make's exit code $code)"
}

# promised tells whether an answer is what the README says about its command.
promised() {
  case "$1" in
    *site_category*) grep -q '1354311.450900' <<<"$2" ;;
    *'--group-by origin_area'*) grep -q '2,331,864.132910' <<<"$2" ;;
    *'SELECT fate'*) grep -q '21081568.226668' <<<"$2" ;;
    *' import '*) grep -q '29626 already' <<<"$2" ;;
    *' verify'*) grep -q 'no difference' <<<"$2" ;;
    */metrics) grep -q '^stofstrom_' <<<"$2" ;;
    */v1/events*) grep -q 'recorded' <<<"$2" ;;
    *'--facility dk-p'*) grep -q '1.240000' <<<"$2" ;;
  esac
}

# ask types the commands one after the other. What was just reported shows
# after the projector's next flush: nobody types faster than that but a
# script, which asks again for a few seconds.
ask() {
  local c out code
  for c in "${commands[@]:1}"; do
    echo "\$ ${c:0:110}"
    for _ in $(seq 1 30); do
      code=0
      out=$(bash -c "$c" 2>&1) || code=$?
      [ "$code" -eq 0 ] && promised "$c" "$out" && break
      sleep 0.1
    done
    printf '%s\n' "$out" | head -n 3 | cut -c1-160
    [ "$code" -eq 0 ] || { echo "$out" >&2; echo "failed: $c" >&2; return 1; }
    promised "$c" "$out" || { echo "$out" >&2; echo "not the answer that the README promises: $c" >&2; return 1; }
  done
}

start
sed -n '1,12p' "$log"
ask
stop
start # with the data it has
stop
echo "all commands of the README did what it says"
