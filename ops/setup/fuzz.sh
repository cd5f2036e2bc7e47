#!/usr/bin/env bash
# Runs every fuzz target of the repository, one after the other.
# usage: fuzz.sh TIME   (as for go test -fuzztime: 30s, 10m)
set -euo pipefail
time=${1:-30s}
n=0
while IFS=: read -r file rest; do
  dir=$(dirname "$file")
  name=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]+).*/\1/' <<<"$rest")
  echo "== $dir $name ($time)"
  go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 0s "./$dir"
  n=$((n + 1))
done < <(grep -rE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+\(f \*testing\.F\)' domain ingest projections analytics ops)
echo "$n fuzz targets ran $time each"
[ "$n" -gt 0 ]
