#!/usr/bin/env bash
# A real Keycloak on loopback, without TLS, with the realm of a file. Needs Java; Maven once.
#
#   keycloak.sh install      fetch it into the cache, once
#   keycloak.sh start DIR    start it with DIR/realm.json; returns when the realm answers
#   keycloak.sh stop DIR     end it
#
# Read from the environment: KEYCLOAK_PORT (18080), OWNER_PID (the server is stopped and DIR is removed when that process has ended).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
version=26.5.0
home=${XDG_CACHE_HOME:-$HOME/.cache}/mlmonitor/keycloak/$version

die() {
  echo "keycloak.sh: $*" >&2
  exit 1
}

install() {
  command -v java >/dev/null || die "java is missing: install Java 17 (Debian: openjdk-17-jre-headless)"
  [ ! -d "$home" ] || return 0
  command -v mvn >/dev/null || die "mvn is missing: install Maven (Debian: maven); it is needed once"
  local partial
  mkdir -p "${home%/*}"
  partial=$(mktemp -d "$home.XXXXXX")
  mvn -q -B --strict-checksums org.apache.maven.plugins:maven-dependency-plugin:3.9.0:unpack -Dartifact="org.keycloak:keycloak-quarkus-dist:$version:zip" \
    -DoutputDirectory="$partial" </dev/null >&2 || { rm -rf "$partial"; die "Keycloak $version could not be fetched, see above"; }
  # Only whole downloads get the name. Another install may have been faster.
  mv -T "$partial/keycloak-$version" "$home" 2>/dev/null || true
  rm -rf "$partial"
}

# running DIR: the pid of the server, which leads a process group; false when it does not run
running() {
  local pid
  pid=$(cat "$1/keycloak.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && echo "$pid"
}

start() {
  local dir=$1 port=${KEYCLOAK_PORT:-18080} realm
  install
  [ -f "$dir/realm.json" ] || die "$dir/realm.json is missing"
  realm=$(sed -n 's/^ *"realm": *"\([a-z]*\)".*/\1/p' "$dir/realm.json" | head -n 1)
  [ -z "${OWNER_PID:-}" ] || "$here/watch.sh" "$OWNER_PID" "$0" "$dir"
  if running "$dir" >/dev/null; then return; fi
  # It writes into its own folder.
  cp -r "$home" "$dir/keycloak"
  mkdir -p "$dir/keycloak/data/import"
  cp "$dir/realm.json" "$dir/keycloak/data/import/"
  chmod +x "$dir/keycloak/bin/kc.sh"
  JAVA_OPTS_KC_HEAP='-Xms128m -Xmx512m' setsid "$dir/keycloak/bin/kc.sh" start-dev --import-realm --http-host 127.0.0.1 --http-port "$port" --hostname "http://127.0.0.1:$port" \
    --cache local >"$dir/log" 2>&1 </dev/null &
  echo $! >"$dir/keycloak.pid"
  for _ in $(seq 1800); do
    if curl -fsS "http://127.0.0.1:$port/realms/$realm/.well-known/openid-configuration" >/dev/null 2>&1; then return; fi
    running "$dir" >/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$dir/log" >&2
  die "Keycloak does not start, see $dir/log"
}

stop() {
  local pid
  if ! pid=$(running "$1"); then return; fi
  kill -TERM -- "-$pid" 2>/dev/null || true
  for _ in $(seq 200); do
    kill -0 -- "-$pid" 2>/dev/null || break
    sleep 0.05
  done
  kill -KILL -- "-$pid" 2>/dev/null || true
  rm -f "$1/keycloak.pid"
}

verb=${1:-} dir=$(realpath -m "${2:-.}")
case $verb:$# in
  install:1) install ;;
  start:2) start "$dir" ;;
  stop:2) stop "$dir" ;;
  *)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
