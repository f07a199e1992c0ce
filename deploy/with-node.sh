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
exec "$@"
