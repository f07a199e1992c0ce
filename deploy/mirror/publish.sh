#!/bin/sh
# publish.sh SOURCE [TOP]: pulls SOURCE into a new snapshot below TOP (default /srv/mirror) and publishes it; see README.md.
set -eu

source=$1
top=${2:-/srv/mirror}
keep_days=2

name=$(date -u +%Y-%m-%dT%H%M%S)
mkdir -p "$top/snapshots"
# Files that did not change become links to those of the snapshot before.
previous=$(readlink "$top/current" || true)
rsync -aH --delete-after ${previous:+--link-dest="$top/$previous"} "$source" "$top/snapshots/.$name/"
mv "$top/snapshots/.$name" "$top/snapshots/$name"

# One rename: at no time is there no snapshot.
ln -s "snapshots/$name" "$top/.next"
mv -T "$top/.next" "$top/current"

# Sessions that began on an older snapshot have long ended.
find "$top/snapshots" -mindepth 1 -maxdepth 1 -type d -ctime "+$keep_days" ! -name "$name" -exec rm -rf {} +
