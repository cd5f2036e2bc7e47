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
exec go tool govulncheck -db "file://$dir/data/osv" "${@:-./...}"
