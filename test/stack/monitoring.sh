#!/usr/bin/env bash
# A real Prometheus with an Alertmanager on loopback, from Debian's packages, without a container engine.
#
#   monitoring.sh install      install the packages, once (as root); promtool and amtool come with them
#   monitoring.sh start DIR    start both with what stands in DIR: prometheus.yml, rules/*.yml, alertmanager.yml; returns when they answer. Without a
#                              prometheus.yml it is Alertmanager alone
#   monitoring.sh stop DIR     end both
#
# Read from the environment: PROMETHEUS_PORT (19090), ALERTMANAGER_PORT (19093), OWNER_PID (both are stopped and DIR is removed when that
# process has ended).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

die() {
  echo "monitoring.sh: $*" >&2
  exit 1
}

install() {
  if command -v prometheus promtool prometheus-alertmanager amtool >/dev/null; then return; fi
  # The packages start servers of their own where there is an init system; here they must not.
  local policy=/usr/sbin/policy-rc.d ours=
  if [ "$(id -u)" = 0 ] && [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    ours=1
  fi
  "$here/apt.sh" prometheus prometheus-alertmanager curl
  [ -z "$ours" ] || rm -f "$policy"
}

# running DIR NAME: its pid; false when it does not run
running() {
  local pid
  pid=$(cat "$1/$2.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && echo "$pid"
}

# launch DIR NAME URL COMMAND…: starts what does not run, and waits until it answers
launch() {
  local dir=$1 name=$2 url=$3
  shift 3
  if running "$dir" "$name" >/dev/null; then return; fi
  setsid "$@" >"$dir/$name.log" 2>&1 </dev/null &
  echo $! >"$dir/$name.pid"
  for _ in $(seq 1800); do
    if curl -fsS "$url" >/dev/null 2>&1; then return; fi
    running "$dir" "$name" >/dev/null || break
    sleep 0.1
  done
  tail -n 5 "$dir/$name.log" >&2
  die "$name does not start, see $dir/$name.log"
}

start() {
  local dir=$1 prometheus=${PROMETHEUS_PORT:-19090} alertmanager=${ALERTMANAGER_PORT:-19093}
  install
  [ -z "${OWNER_PID:-}" ] || "$here/watch.sh" "$OWNER_PID" "$0" "$dir"
  launch "$dir" alertmanager "http://127.0.0.1:$alertmanager/-/ready" prometheus-alertmanager --config.file="$dir/alertmanager.yml" \
    --storage.path="$dir/alertmanager" --web.listen-address="127.0.0.1:$alertmanager" --cluster.listen-address=
  [ -e "$dir/prometheus.yml" ] || return 0
  launch "$dir" prometheus "http://127.0.0.1:$prometheus/-/ready" prometheus --config.file="$dir/prometheus.yml" \
    --storage.tsdb.path="$dir/prometheus" --web.listen-address="127.0.0.1:$prometheus"
}

stop() {
  local name pid
  for name in prometheus alertmanager; do
    if ! pid=$(running "$1" "$name"); then continue; fi
    kill -TERM "$pid"
    for _ in $(seq 100); do
      running "$1" "$name" >/dev/null || break
      sleep 0.1
    done
    if running "$1" "$name" >/dev/null; then kill -KILL "$pid"; fi
    rm -f "$1/$name.pid"
  done
}

verb=${1:-} dir=$(realpath -m "${2:-.}")
case $verb:$# in
  install:1) install ;;
  start:2) start "$dir" ;;
  stop:2) stop "$dir" ;;
  *)
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
