#!/usr/bin/env bash
# Brings back what backup.sh has.
#
#   restore.sh database DATA [DIR]   the latest base backup into DATA, which must be empty, and the log of DIR (that of backup.sh wal; without one, that of the backup). TO: only up to that time
#   restore.sh mlflow DIR            MLflow's database and artifacts into DIR
#   restore.sh logical FILE          the latest dump, for pg_restore
#
# The database ends its recovery by itself when Postgres is started on DATA. Read from the environment: RESTIC_REPOSITORY, RESTIC_PASSWORD_FILE, as restic does; TO, such as "2026-11-26 02:00:00+00";
# OWNER, to whom DATA shall belong (postgres).
set -euo pipefail
umask 077

die() {
  echo "restore.sh: $*" >&2
  exit 1
}

: "${RESTIC_REPOSITORY:?where are the backups?}" "${RESTIC_PASSWORD_FILE:?what opens them?}"
scratch=
trap '[ -z "$scratch" ] || rm -rf "$scratch"' EXIT

# latest PART: of the latest base backup; every byte is compared with its checksum
latest() {
  scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/restore.XXXXXX")
  restic restore latest --host mlmonitor --tag base --verify --quiet --target "$scratch" --include "/$1" >&2
  [ -d "$scratch/$1" ] || die "the latest backup has no $1"
}

database() {
  local data=$1 wal=${2:-} file
  [ ! -d "$data" ] || [ -z "$(ls -A "$data")" ] || die "$data is not empty: move it away first"
  latest base
  mkdir -p "$data"
  tar -xf "$scratch/base/base.tar" -C "$data"
  if [ -n "$wal" ]; then
    mkdir -p "$data/restored_wal"
    cp "$wal"/* "$data/restored_wal/"
    # The last piece was still being received: it holds what came until then.
    for file in "$data"/restored_wal/*.partial; do [ ! -e "$file" ] || mv "$file" "${file%.partial}"; done
    printf '\n%s\n' "restore_command = 'cp \"restored_wal/%f\" \"%p\"'" >>"$data/postgresql.auto.conf"
    [ -z "${TO:-}" ] || printf '%s\n' "recovery_target_time = '$TO'" "recovery_target_action = 'promote'" >>"$data/postgresql.auto.conf"
    : >"$data/recovery.signal"
  fi
  chmod 700 "$data"
  [ "$(id -u)" != 0 ] || chown -R "${OWNER:-postgres}:" "$data"
}

verb=${1:-}
case $verb:$# in
  database:2 | database:3) database "$2" "${3:-}" ;;
  mlflow:2)
    [ ! -e "$2/mlflow.db" ] || die "$2/mlflow.db is there: move it away first"
    latest mlflow
    mkdir -p "$2"
    cp -r "$scratch/mlflow/." "$2/"
    ;;
  logical:2) restic dump --quiet --host mlmonitor --tag logical latest audit.dump >"$2" ;;
  *)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
