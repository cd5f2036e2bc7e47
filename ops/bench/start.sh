#!/usr/bin/env bash
# Measures how long the program takes from its start until it is ready: first
# with an empty data folder and the sample to import, then again with the data
# it has. Method and numbers: docs/bench/start.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
make --no-print-directory setup build >/dev/null
data=$(mktemp -d)
log=$(mktemp)
pid=""
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true; rm -rf "$data" "$log"' EXIT

measure() {
  local began ended
  : >"$log"
  began=$(date +%s%N)
  bin/stofstrom serve --data "$data" --listen 127.0.0.1:0 --sample wdi >"$log" 2>&1 &
  pid=$!
  until grep -q '^ready' "$log"; do
    kill -0 "$pid" 2>/dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.02
  done
  ended=$(date +%s%N)
  awk -v what="$1" -v ns=$((ended - began)) 'BEGIN { printf "%-44s %5.1f s\n", what, ns / 1e9 }'
  kill -TERM "$pid"
  wait "$pid"
  pid=""
}

measure "first start, 29,626 rows imported"
measure "second start, with the data"
du -sh "$data" | awk '{print "data folder " $1}'
