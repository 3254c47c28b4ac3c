#!/usr/bin/env bash
# Stops a server when the process that wanted it is gone, however that one ended, and removes the server's directory.
#   watch.sh PID SERVER.sh DIR     returns at once; the watch goes on in the background
# It also ends when DIR is gone: then the server was stopped in the orderly way.
set -euo pipefail
pid=$1 server=$(realpath "$2") dir=$3

watch() {
  while kill -0 "$pid" 2>/dev/null; do
    [ -d "$dir" ] || exit 0
    sleep 0.5
  done
  "$server" stop "$dir" || true
  rm -rf "$dir"
}
watch >/dev/null 2>&1 </dev/null &
