#!/usr/bin/env bash
# govulncheck against the Go vulnerability database as it was at a pinned
# version, taken from the module golang.org/x/vulndb: works where only the Go
# module proxy is reached, and gives the same answer on every machine. Raise
# the version to check against newer reports.
set -euo pipefail
version=v0.0.0-20261105234957-e22db6528018
dir=$(cd "$(mktemp -d)" && GOFLAGS=-mod=mod go mod init vulndb >/dev/null 2>&1 &&
  go mod download -json "golang.org/x/vulndb@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
[ -d "$dir/data/osv" ] || { echo "vulnerability database $version was not found in the module golang.org/x/vulndb" >&2; exit 1; }
echo "database: golang.org/x/vulndb $version, $(find "$dir/data/osv" -name '*.json' | wc -l) reports"

# What is found in a dependency fails: we can raise its version. What is found
# in the standard library belongs to the Go that builds, which the module
# cannot choose: it is told, with the release that has it mended, and whoever
# builds for others must use that release.
report=$(mktemp)
trap 'rm -f "$report"' EXIT
code=0
go tool govulncheck -db "file://$dir/data/osv" "${@:-./...}" >"$report" 2>&1 || code=$?
grep -E '^(Vulnerability|    [A-Z]|  Module:|  Standard library|    Found in|    Fixed in|Your code|No vuln)' "$report" || cat "$report"
case "$code" in
  0) ;;
  3)
    if grep -q '^  Module: ' "$report"; then
      echo "a dependency has a known vulnerability that the code reaches: raise its version" >&2
      exit 3
    fi
    fixed=$(sed -n 's/^    Fixed in: .*@go//p' "$report" | sort -V | tail -n 1)
    echo "no dependency is affected; $(go version | cut -d' ' -f3) itself is: build releases with go$fixed or newer"
    ;;
  *) cat "$report" >&2; exit "$code" ;;
esac
