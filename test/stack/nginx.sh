#!/usr/bin/env bash
# A real nginx on loopback, from Debian's package, with the configuration of deploy/nginx.
#
#   nginx.sh install       install the package, once (as root)
#   nginx.sh start DIR     start it with DIR/tls/tls.crt and tls.key; returns when it listens
#   nginx.sh reload DIR    read configuration and certificates again, without letting go of anybody
#   nginx.sh stop DIR      end it, when its requests are answered
#
# Read from the environment: NGINX_PORT (18443), NGINX_HTTP_PORT (18080), UPSTREAMS (host:port of each replica), OWNER_PID (it is stopped and DIR is removed when that process
# has ended).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

die() {
  echo "nginx.sh: $*" >&2
  exit 1
}

install() {
  if command -v nginx >/dev/null; then return; fi
  # The package starts a server of its own where there is an init system; here it must not.
  local policy=/usr/sbin/policy-rc.d ours=
  if [ "$(id -u)" = 0 ] && [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    ours=1
  fi
  "$here/apt.sh" nginx-light curl
  [ -z "$ours" ] || rm -f "$policy"
}

running() {
  local pid
  pid=$(cat "$1/nginx.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && echo "$pid"
}

start() {
  local dir=$1 upstream
  install
  mkdir -p "$dir"
  # Ports and addresses are this machine's; all else is as it is shipped.
  sed -e "s/listen 8443 /listen 127.0.0.1:${NGINX_PORT:-18443} /" -e "s/listen 8080;/listen 127.0.0.1:${NGINX_HTTP_PORT:-18080};/" -e "s:/dev/stdout:access.log:" \
    "$here/../../deploy/nginx/nginx.conf" >"$dir/nginx.conf"
  for upstream in ${UPSTREAMS:?name the replicas}; do echo "server $upstream max_fails=20 fail_timeout=1s;"; done >"$dir/upstream.conf"
  [ -z "${OWNER_PID:-}" ] || "$here/watch.sh" "$OWNER_PID" "$0" "$dir"
  if running "$dir" >/dev/null; then return; fi
  nginx -p "$dir" -c "$dir/nginx.conf" -t -q 2>"$dir/log" || { cat "$dir/log" >&2; die "the configuration does not hold"; }
  setsid nginx -p "$dir" -c "$dir/nginx.conf" -g 'daemon off;' >"$dir/log" 2>&1 </dev/null &
  for _ in $(seq 100); do
    if curl -sk -o /dev/null "https://127.0.0.1:${NGINX_PORT:-18443}/"; then return; fi
    sleep 0.1
  done
  tail -n 5 "$dir/log" >&2
  die "nginx does not start, see $dir/log"
}

stop() {
  local pid
  if ! pid=$(running "$1"); then return; fi
  kill -QUIT "$pid"
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -TERM "$pid"
}

verb=${1:-} dir=$(realpath -m "${2:-.}")
case $verb:$# in
  install:1) install ;;
  start:2) start "$dir" ;;
  reload:2) kill -HUP "$(running "$dir")" ;;
  stop:2) stop "$dir" ;;
  *)
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
