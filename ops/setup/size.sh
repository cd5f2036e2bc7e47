#!/usr/bin/env bash
# Keeps the repository small: no committed file over the limit, and no build
# product or engine among them. Data that a script can make again stays out.
set -euo pipefail
cd "$(git rev-parse --show-toplevel)"
limit=$((2 * 1024 * 1024)) # bytes a file
total_limit=$((32 * 1024 * 1024)) # bytes of all files together
total=0
bad=0
while IFS= read -r -d '' line; do
  meta=${line%%$'\t'*}
  file=${line#*$'\t'}
  size=${meta##* }
  [ "$size" = "-" ] && continue
  total=$((total + size))
  if [ "$size" -gt "$limit" ]; then
    echo "$file: $size bytes, over the limit of $limit bytes a file"
    bad=1
  fi
done < <(git ls-tree -r -l -z HEAD)
if [ "$total" -gt "$total_limit" ]; then
  echo "all files together: $total bytes, over the limit of $total_limit bytes"
  bad=1
fi
echo "committed: $total bytes in $(git ls-tree -r HEAD | wc -l) files"
exit "$bad"
