#!/bin/sh
# Runs a command with the Node that this project pins as an npm package first in PATH. The npm scripts go through here:
# npm 9, Debian 12's own, leaves no node_modules/.bin/node, since the packages of both architectures claim that name.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
case $(uname -m) in
  aarch64 | arm64) arch=arm64 ;;
  *) arch=x64 ;;
esac
PATH="$root/node_modules/node-linux-$arch/bin:$root/node_modules/.bin:$PATH"
export PATH
# Debian's npm comes without the one library that Node needs beyond those of every system.
if ! said=$(node --version 2>&1); then
  echo "with-node.sh: Node.js does not start: $said" >&2
  case $said in
    *libatomic*) echo 'with-node.sh: install it: apt-get install libatomic1 (Debian), dnf install libatomic (Fedora)' >&2 ;;
  esac
  exit 1
fi
exec "$@"
