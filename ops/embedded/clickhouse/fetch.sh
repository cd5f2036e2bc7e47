#!/bin/sh
# Fetches the ClickHouse engine (libchdb.so) into the git-ignored cache.
#
# The npm client fetches the package from the registry it is configured for; the
# package and the library in it are checked against the sums below. Running it
# again does nothing. CHDB_LIB_PATH, when set, names an engine of your own and
# nothing is fetched.
#
# A newer engine: change version, integrity (npm view <package> dist.integrity)
# and library_sha256 here, and LibraryVersion in library.go.
set -eu

package=@chdb/lib-linux-x64-gnu
version=26.5.3
integrity=sha512-fPrLmRt5Moor9yGz4mazbrNje4t7X9KB2mTGkXFWRxRBs2iKy8yh6jx11xsa0Qr3iDFMU/yHqd+bVdYJXu3QaQ==
library_sha256=4330da79405733f7572f27c1442f46c03a08301f00859dce0368645731b1e1dc
library_bytes=559044752

fail() {
	printf 'fetch ClickHouse engine: %s\n' "$*" >&2
	exit 1
}

if [ -n "${CHDB_LIB_PATH:-}" ]; then
	[ -f "$CHDB_LIB_PATH" ] || fail "CHDB_LIB_PATH=$CHDB_LIB_PATH: no such file"
	printf 'ClickHouse engine: %s (CHDB_LIB_PATH)\n' "$CHDB_LIB_PATH"
	exit 0
fi

platform="$(uname -s)/$(uname -m)"
[ "$platform" = Linux/x86_64 ] ||
	fail "no engine is pinned for $platform; point CHDB_LIB_PATH to a libchdb.so of version $version for it, or use a ClickHouse server with --clickhouse"

root=$(cd "$(dirname "$0")/../../.." && pwd)
folder="$root/.cache/chdb/$version"
library="$folder/libchdb.so"

# The library is moved into place whole and after it was checked, so a file of
# the right length is the right file; reading 560 MB at each start would not be.
if [ -f "$library" ] && [ "$(wc -c <"$library")" -eq "$library_bytes" ]; then
	printf 'ClickHouse engine: %s (already there)\n' "$library"
	exit 0
fi

for tool in npm tar sha256sum openssl; do
	command -v "$tool" >/dev/null 2>&1 || fail "$tool is needed and was not found"
done

mkdir -p "$folder" || fail "cannot create $folder"
work=$(mktemp -d "$folder/fetch.XXXXXX") || fail "cannot write to $folder"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

printf 'ClickHouse engine: fetching %s@%s (about 160 MB) with npm\n' "$package" "$version"
(cd "$work" && npm pack --silent --no-update-notifier "$package@$version" >/dev/null) ||
	fail "npm could not fetch $package@$version; the lines above say why"
tarball=$(find "$work" -maxdepth 1 -name '*.tgz')
[ -f "$tarball" ] || fail "npm left no package behind in $work"

got="sha512-$(openssl dgst -sha512 -binary "$tarball" | openssl base64 -A)"
[ "$got" = "$integrity" ] ||
	fail "checksum of the package is $got, want $integrity; it is not the file that was pinned"

tar -xzf "$tarball" -C "$work" package/libchdb.so || fail "the package cannot be unpacked; is the disk full?"
got=$(sha256sum "$work/package/libchdb.so" | cut -d' ' -f1)
[ "$got" = "$library_sha256" ] ||
	fail "checksum of libchdb.so is $got, want $library_sha256; it is not the file that was pinned"

chmod 0755 "$work/package/libchdb.so"
mv -f "$work/package/libchdb.so" "$library"
printf 'ClickHouse engine: %s\n' "$library"
