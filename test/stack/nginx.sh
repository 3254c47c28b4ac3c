#!/usr/bin/env bash
# A real nginx on loopback, from Debian's package, with the configuration of deploy/nginx.
#
#   nginx.sh install       install the package, once (as root)
#   nginx.sh check         have it look at what deploy/nginx has, except upstream.conf, for which Debian's is too old
#   nginx.sh start DIR     start it with DIR/tls/tls.crt and tls.key; returns when it listens
#   nginx.sh reload DIR    read configuration and certificates again, without letting go of anybody
#   nginx.sh stop DIR      end it, when its requests are answered
#
# Read from the environment: NGINX_PORT (18443), NGINX_HTTP_PORT (18080), UPSTREAMS (host:port of each replica), GRAFANA_UPSTREAM (host:port; none: no port for Grafana) and
# NGINX_GRAFANA_PORT (18445), OWNER_PID (it is stopped and DIR is removed when that process has ended).
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

# configure DIR: the configuration as it is shipped
configure() {
  local dir=$1 upstream
  mkdir -p "$dir"
  # Ports and addresses are this machine's; all else is as it is shipped.
  sed -e "s/listen 8443 /listen 127.0.0.1:${NGINX_PORT:-18443} /" -e "s/listen 8080;/listen 127.0.0.1:${NGINX_HTTP_PORT:-18080};/" -e "s:/dev/stdout:access.log:" \
    "$here/../../deploy/nginx/nginx.conf" >"$dir/nginx.conf"
  if [ -n "${GRAFANA_UPSTREAM:-}" ]; then
    sed -e "s/listen 8445 /listen 127.0.0.1:${NGINX_GRAFANA_PORT:-18445} /" -e "s/grafana:3000/$GRAFANA_UPSTREAM/" "$here/../../deploy/nginx/grafana.conf" >"$dir/grafana.conf"
  fi
  for upstream in ${UPSTREAMS:?name the replicas}; do echo "server $upstream max_fails=20 fail_timeout=1s;"; done >"$dir/upstream.conf"
}

# holds DIR: nginx takes it
holds() {
  nginx -p "$1" -c "$1/nginx.conf" -t -q 2>"$1/log" || { cat "$1/log" >&2; die "the configuration does not hold"; }
}

check() {
  local UPSTREAMS=127.0.0.1:8000 GRAFANA_UPSTREAM=127.0.0.1:3000 dir
  install
  dir=$(mktemp -d)
  # shellcheck disable=SC2064 # this dir
  trap "rm -rf '$dir'" EXIT
  "$here/../../deploy/certs/certs.sh" "$dir/tls" >/dev/null
  configure "$dir"
  holds "$dir"
}

start() {
  local dir=$1
  install
  configure "$dir"
  [ -z "${OWNER_PID:-}" ] || "$here/watch.sh" "$OWNER_PID" "$0" "$dir"
  if running "$dir" >/dev/null; then return; fi
  holds "$dir"
  setsid nginx -p "$dir" -c "$dir/nginx.conf" -g 'daemon off;' >"$dir/log" 2>&1 </dev/null &
  local server=$!
  for _ in $(seq 1800); do
    if curl -sk -o /dev/null "https://127.0.0.1:${NGINX_PORT:-18443}/"; then return; fi
    kill -0 "$server" 2>/dev/null || break
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
  check:1) check ;;
  start:2) start "$dir" ;;
  reload:2) kill -HUP "$(running "$dir")" ;;
  stop:2) stop "$dir" ;;
  *)
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
