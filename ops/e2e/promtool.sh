#!/usr/bin/env bash
# Has promtool judge the metrics of a running server: names, types, units.
set -euo pipefail
cd "$(dirname "$0")/../.."
make --no-print-directory build >/dev/null
data=$(mktemp -d)
log=$(mktemp)
bin/stofstrom serve --data "$data" --listen 127.0.0.1:0 --sample wdi >"$log" 2>&1 &
pid=$!
trap 'kill -TERM "$pid" 2>/dev/null; wait "$pid" 2>/dev/null || true; rm -rf "$data" "$log"' EXIT
for _ in $(seq 1 600); do
  grep -q '^ready' "$log" && break
  kill -0 "$pid" 2>/dev/null || { cat "$log" >&2; exit 1; }
  sleep 0.1
done
api=$(sed -n 's/^API  *//p' "$log")
[ -n "$api" ] || { cat "$log" >&2; echo "the server was not ready after a minute" >&2; exit 1; }
metrics=$(curl -fsS "$api/metrics")
echo "$(grep -c '^stofstrom_' <<<"$metrics") samples of stofstrom_ metrics"
# Metrics of other libraries have their own names; ours must be clean.
grep -E '^(# (HELP|TYPE) )?stofstrom_' <<<"$metrics" | promtool check metrics
echo "promtool has nothing to say against them"
