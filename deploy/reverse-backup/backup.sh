#!/bin/sh
# Runs on the machine that is to be backed up, as a user who may read DIRECTORY, root for instance (README.md):
#
#   backup.sh NAME DIRECTORY [ssh options] [user@]BACKUP-SERVER
#
# The machine opens no port to the network and holds no right on the backup server but to say "pull me now" (pull.sh). It serves
# DIRECTORY once, to whoever comes through the tunnel with the password, and exits with 0 only when both ends say that all is there.
set -eu

gokr_rsyncd=${GOKR_RSYNCD:-gokr-rsyncd}
ssh=${SSH:-ssh}
name=$1 directory=$2
shift 2

work=$(mktemp -d)
server='' tunnel=''
# A trap calls it.
# shellcheck disable=SC2317
clean_up() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$tunnel" ] || $ssh -S "$work/control" -O exit "$@" 2>/dev/null || true
  rm -rf "$work"
}
trap 'clean_up "$@"' EXIT
trap 'exit 20' HUP INT TERM

# 1. One module, one client, one password. The first line says where it listens.
mkfifo -m 600 "$work/invitation"
"$gokr_rsyncd" --once --gokr.modulemap="$name=$directory" --gokr.listen=127.0.0.1:0 \
  --once-timeout="${ONCE_TIMEOUT:-10m}" >"$work/invitation" &
server=$!
exec 3<"$work/invitation"
read -r invitation <&3 || { wait "$server"; exit 1; }
port=$(printf '%s\n' "$invitation" | sed 's/^{"address":"127\.0\.0\.1:\([0-9]*\)".*/\1/')

# 2. The tunnel; the backup server chooses a free port of its own loopback address, which ssh prints.
$ssh -f -N -M -S "$work/control" "$@"
tunnel=open
remote_port=$($ssh -S "$work/control" -O forward -R "127.0.0.1:0:127.0.0.1:$port" "$@")

# 3. The order to pull. The invitation goes over standard input: a command line could be seen by others there.
status=0
printf '%s\n' "$invitation" | $ssh -S "$work/control" "$@" "pull $remote_port" || status=$?

# 4. What our own end says of it, on standard output and as exit code.
[ "$status" -eq 0 ] || kill "$server" 2>/dev/null || true
served=0
cat <&3
wait "$server" || served=$?
server=''
[ "$status" -ne 0 ] || status=$served
exit "$status"
