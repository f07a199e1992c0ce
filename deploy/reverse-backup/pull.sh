#!/bin/sh
# Forced command on the backup server, one line of ~/.ssh/authorized_keys for each machine (README.md):
#
#   pull.sh DESTINATION
#
# It knows one order, "pull PORT", and reads the invitation of gokr-rsyncd --once from standard input.
set -euf

destination=$1
# Words are wanted here, and set -f keeps patterns out.
# shellcheck disable=SC2086
set -- ${SSH_ORIGINAL_COMMAND:-}
if [ "$#" -ne 2 ] || [ "$1" != pull ]; then
  echo 'pull.sh: expected "pull PORT"' >&2
  exit 1
fi
port=$2
case $port in
  '' | *[!0-9]* | ??????*) echo 'pull.sh: that is no port' >&2; exit 1 ;;
esac

read -r invitation
field() { printf '%s\n' "$invitation" | sed -n "s/.*\"$1\":\"\([A-Za-z0-9._+-]*\)\".*/\1/p"; }
module=$(field module) user=$(field user) password=$(field password)
if [ -z "$module" ] || [ -z "$user" ] || [ -z "$password" ]; then
  echo 'pull.sh: no invitation on standard input' >&2
  exit 1
fi

# Names of users mean nothing on another machine. What was deleted there is deleted here: keep snapshots of the destination.
export RSYNC_PASSWORD="$password"
exec rsync -aH --numeric-ids --delete --timeout=600 \
  "rsync://$user@127.0.0.1:$port/$module/" "$destination/"
