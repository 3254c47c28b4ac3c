#!/usr/bin/env bash
# Backs up what cannot be made again: the audit database, and MLflow's models. restic encrypts, checksums and keeps them, in a directory or an S3-compatible store.
#
#   backup.sh init         make the repository, once
#   backup.sh wal DIR      receive the database's log into DIR as it is written, for as long as it runs: a service, on another machine than the database's
#   backup.sh base [DIR]   a base backup of the database, with the log of DIR, and MLflow's: daily
#   backup.sh logical      a dump of the audit database, for another version of Postgres: weekly
#   backup.sh prune        forget what is older than is kept (KEEP), and check the repository: weekly
#
# Read from the environment: RESTIC_REPOSITORY, RESTIC_PASSWORD_FILE (and AWS_… for S3), as restic does; PGHOST, PGPORT, PGUSER … of who may replicate, as libpq does; PGDATABASE for the dump;
# MLFLOW_DIR, where MLflow has mlflow.db and artifacts/ (empty: it is elsewhere); KEEP.
set -euo pipefail
umask 077

die() {
  echo "backup.sh: $*" >&2
  exit 1
}

: "${RESTIC_REPOSITORY:?where do backups go?}" "${RESTIC_PASSWORD_FILE:?what encrypts them?}"
scratch=
trap '[ -z "$scratch" ] || rm -rf "$scratch"' EXIT

# room makes a place for what is put together; beside the database's data it would be lost with it.
room() {
  scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/backup.XXXXXX")
}

# keep TAG PATH...: into the repository, by names that do not depend on where they stood
keep() {
  local tag=$1
  shift
  restic backup --quiet --host mlmonitor --tag "$tag" "$@"
}

base() {
  local wal=${1:-}
  room
  mkdir "$scratch/base"
  # With the log that it needs (fetch), so that it holds also where DIR is lost.
  pg_basebackup --pgdata "$scratch/base" --format tar --wal-method fetch --checkpoint fast --no-password
  [ -z "$wal" ] || cp -r "$wal" "$scratch/wal"
  if [ -n "${MLFLOW_DIR:-}" ]; then
    mkdir "$scratch/mlflow"
    # A copy of a database that is written would be torn.
    [ ! -f "$MLFLOW_DIR/mlflow.db" ] || sqlite3 "$MLFLOW_DIR/mlflow.db" ".timeout 30000" ".backup '$scratch/mlflow/mlflow.db'"
    [ ! -d "$MLFLOW_DIR/artifacts" ] || cp -r "$MLFLOW_DIR/artifacts" "$scratch/mlflow/artifacts"
  fi
  (cd "$scratch" && keep base .)
}

verb=${1:-}
case $verb:$# in
  init:1) restic init ;;
  wal:2)
    mkdir -p "$2"
    pg_receivewal --directory "$2" --slot mlmonitor_backup --create-slot --if-not-exists --no-password
    exec pg_receivewal --directory "$2" --slot mlmonitor_backup --synchronous --no-password
    ;;
  base:1 | base:2) base "${2:-}" ;;
  logical:1)
    pg_dump --format custom --no-password | restic backup --quiet --host mlmonitor --tag logical --stdin --stdin-filename audit.dump
    # A dump that broke off must not pass for one.
    [ "${PIPESTATUS[0]}" = 0 ] || die "pg_dump failed"
    ;;
  prune:1)
    read -ra keep <<<"${KEEP:---keep-daily 7 --keep-weekly 5 --keep-monthly 12}"
    restic forget --quiet --prune --group-by host,tags "${keep[@]}"
    restic check --quiet --read-data-subset 10%
    ;;
  *)
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
