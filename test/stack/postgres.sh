#!/usr/bin/env bash
# A real PostgreSQL on loopback with TLS and the roles of deploy/postgres/roles.sql, from Debian's package, without a container engine.
#
#   postgres.sh install         install the package, once (as root)
#   postgres.sh start DIR       make or continue the server in DIR; returns when it answers
#   postgres.sh stop DIR        end it in an orderly way; open sessions are broken off
#   postgres.sh kill9 DIR       end it as a power cut would; returns when it is gone
#   postgres.sh restart DIR     start it when it is down, else stop it first; returns when it answers
#   postgres.sh pause|resume DIR   freeze and thaw it with all its sessions
#
# Read from the environment: PGPORT (15432) and TLS_DAYS (30), how long its certificate is good for, by the start that makes the server; OWNER_PID (the server is stopped and DIR is removed
# when that process has ended), by every start.
#
# DIR/env then has PG_OWNER_URL, PG_WRITER_URL and PG_READER_URL (database mlmonitor, TLS, verify-full), and PG_ADMIN_URL: the superuser, over
# a socket that only the server's own user and root can open. Started by root, the server runs as the user postgres.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
roles=$here/../../deploy/postgres/roles.sql
database=mlmonitor

die() {
  echo "postgres.sh: $*" >&2
  exit 1
}

# program NAME: Debian keeps the server's programs out of PATH
program() {
  local path found=
  for path in /usr/lib/postgresql/*/bin/"$1"; do [ ! -x "$path" ] || found=$path; done
  [ -n "$found" ] || found=$(command -v "$1") || die "$1 is missing: run postgres.sh install"
  echo "$found"
}

install() {
  if (program postgres && program psql) >/dev/null 2>&1 && command -v openssl >/dev/null; then return; fi
  # The package would make a server of its own on port 5432.
  local settings=/etc/postgresql-common/createcluster.conf
  if [ "$(id -u)" = 0 ] && ! grep -qsE '^create_main_cluster *= *false' "$settings"; then
    mkdir -p "${settings%/*}"
    echo 'create_main_cluster = false' >>"$settings"
  fi
  "$here/apt.sh" postgresql openssl
}

# server COMMAND...: as the user that the server runs as; it refuses to run as root
server() {
  if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else "$@"; fi
}

certificates() {
  local tls=$1
  mkdir -p "$tls"
  {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "${TLS_DAYS:-30}" -subj '/CN=PostgreSQL test CA' \
      -addext keyUsage=critical,keyCertSign -keyout "$tls/ca.key" -out "$tls/ca.crt"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=localhost' -keyout "$tls/server.key" -out "$tls/server.csr"
    openssl x509 -req -in "$tls/server.csr" -CA "$tls/ca.crt" -CAkey "$tls/ca.key" -CAcreateserial -days "${TLS_DAYS:-30}" -out "$tls/server.crt" \
      -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n')
  } 2>"$tls/openssl.log" || { cat "$tls/openssl.log" >&2; die "make certificates in $tls"; }
  chmod 600 "$tls"/*.key
}

# prepare DIR: certificates, passwords, an empty data directory with its settings
prepare() {
  local dir=$1 port=${PGPORT:-15432} role
  mkdir -p "$dir" "$dir/secrets"
  chmod 711 "$dir"
  certificates "$dir/tls"
  for role in owner audit reader; do openssl rand -hex 16 >"$dir/secrets/${role}_password"; done
  chmod 600 "$dir/secrets"/*
  if [ "$(id -u)" = 0 ]; then
    chown postgres:postgres "$dir" "$dir/tls" "$dir/tls"/*
    server test -x "$dir" || die "the user postgres cannot enter $dir: take a directory below one that everybody may enter"
  fi
  server "$(program initdb)" -D "$dir/data" -U postgres -E UTF8 --locale=C --auth-local=trust --auth-host=reject --no-sync \
    >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; die "make the data directory $dir/data"; }
  cat >>"$dir/data/postgresql.conf" <<CONF

listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$dir'
unix_socket_permissions = 0700
ssl = on
ssl_cert_file = '$dir/tls/server.crt'
ssl_key_file = '$dir/tls/server.key'
password_encryption = 'scram-sha-256'
max_connections = 200
CONF
  printf '%s\n' 'local all postgres trust' 'hostssl all all 127.0.0.1/32 scram-sha-256' >"$dir/data/pg_hba.conf"
  echo "$port" >"$dir/port"
}

# environment DIR: the roles, then DIR/env. What has one is whole.
environment() {
  local dir=$1 port
  port=$(cat "$dir/port")
  local psql=(server "$(program psql)" -qX -v ON_ERROR_STOP=1 -h "$dir" -p "$port" -U postgres)
  "${psql[@]}" -d postgres -c "CREATE DATABASE $database"
  # psql itself reads the passwords; root's are not for the user postgres to read
  if [ "$(id -u)" = 0 ]; then chown -R postgres:postgres "$dir/secrets"; fi
  SECRETS_DIR=$dir/secrets "${psql[@]}" -d "$database" <"$roles"
  url() {
    echo "postgres://$1:$(cat "$dir/secrets/$1_password")@localhost:$port/$database?sslmode=verify-full&sslrootcert=$dir/tls/ca.crt"
  }
  (
    umask 077
    cat >"$dir/env.partial" <<CONF
PG_OWNER_URL=$(url owner)
PG_WRITER_URL=$(url audit)
PG_READER_URL=$(url reader)
PG_ADMIN_URL=postgres:///$database?host=$dir&port=$port&user=postgres
CONF
  )
  mv "$dir/env.partial" "$dir/env"
}

# running DIR: the pid of the server; false when it does not run
running() {
  local pid
  pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && grep -qzxF "$1/data" "/proc/$pid/cmdline" 2>/dev/null && echo "$pid"
}

# processes DIR: the server and its sessions, each a process
processes() {
  local pid
  pid=$(running "$1") || die "the server of $1 does not run"
  echo "$pid $(cat "/proc/$pid/task/$pid/children")"
}

# signal NAME DIR: to all of them
signal() {
  local all
  all=$(processes "$2")
  read -ra all <<<"$all"
  kill "-$1" "${all[@]}" 2>/dev/null || true # a session may end meanwhile
}

# ended DIR: waits until it is, a minute at most
ended() {
  for _ in $(seq 1200); do
    running "$1" >/dev/null || return 0
    sleep 0.05
  done
  die "the server of $1 does not end"
}

launch() {
  local dir=$1
  if running "$dir" >/dev/null; then return; fi
  # After kill9 the dead server may stay on the process list until its parent looks, and would pass for one that runs.
  rm -f "$dir/data/postmaster.pid" "$dir"/.s.PGSQL.*
  server "$(program pg_ctl)" -D "$dir/data" -l "$dir/log" -s -w -t 240 start </dev/null ||
    { tail -n 10 "$dir/log" >&2; die "the server does not start, see $dir/log"; }
}

start() {
  local dir=$1
  install
  [ -d "$dir/data" ] || prepare "$dir"
  [ -z "${OWNER_PID:-}" ] || "$here/watch.sh" "$OWNER_PID" "$0" "$dir"
  launch "$dir"
  [ -f "$dir/env" ] || environment "$dir"
}

stop() {
  local dir=$1 pid
  if ! pid=$(running "$dir"); then return; fi
  signal CONT "$dir"
  kill -INT "$pid"
  ended "$dir"
}

usage() {
  sed -n '/^#   postgres.sh/s/^#   //p' "$0" >&2
  exit 2
}

verb=${1:-} dir=$(realpath -m "${2:-.}")
case $verb:$# in
  install:1) install ;;
  start:2) start "$dir" ;;
  stop:2) stop "$dir" ;;
  kill9:2)
    signal KILL "$dir"
    ended "$dir"
    ;;
  restart:2)
    stop "$dir"
    launch "$dir"
    ;;
  pause:2) signal STOP "$dir" ;;
  resume:2) signal CONT "$dir" ;;
  *) usage ;;
esac
