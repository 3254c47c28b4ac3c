#!/usr/bin/env bash
# Brings back what backup.sh has.
#
#   restore.sh database DATA [DIR]   the latest base backup into DATA, which must be empty, and the log of DIR (that of backup.sh wal; without one, that of the backup). TO: only up to that time
#   restore.sh mlflow DIR            MLflow's databases and artifacts into DIR
#   restore.sh logical FILE          the latest dump, for pg_restore
#   restore.sh kafka DIR             Kafka's layout into DIR: topics, acls, ids and offsets.csv, to read and to change
#   restore.sh topics DIR            makes the topics and rights of DIR in the cluster at KAFKA_BROKERS; those that are there stay as they are
#   restore.sh offsets DIR GROUP     sets GROUP, in which nobody may be, to where it was; only in topics that are those of the backup still
#
# The database ends its recovery by itself when Postgres is started on DATA. Read from the environment: RESTIC_REPOSITORY, RESTIC_PASSWORD_FILE, as restic does; TO, such as "2026-11-26 02:00:00+00";
# OWNER, to whom DATA shall belong (postgres); for topics and offsets KAFKA_BROKERS, KAFKA_ADMIN_CONFIG and KAFKA_BIN, as backup.sh does.
set -euo pipefail
umask 077

die() {
  echo "restore.sh: $*" >&2
  exit 1
}

case ${1:-} in
  topics | offsets) ;;
  *) : "${RESTIC_REPOSITORY:?where are the backups?}" "${RESTIC_PASSWORD_FILE:?what opens them?}" ;;
esac
scratch=
trap '[ -z "$scratch" ] || rm -rf "$scratch"' EXIT

# latest PART [TAG]: of the latest backup of TAG (base); every byte is compared with its checksum
latest() {
  scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/restore.XXXXXX")
  restic restore latest --host mlmonitor --tag "${2:-base}" --verify --quiet --target "$scratch" --include "/$1" >&2
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

# tool NAME ARG...: one of Kafka's
tool() {
  local name=$1 admin=()
  shift
  [ -z "${KAFKA_ADMIN_CONFIG:-}" ] || admin=(--command-config "$KAFKA_ADMIN_CONFIG")
  "${KAFKA_BIN:+$KAFKA_BIN/}$name.sh" --bootstrap-server "${KAFKA_BROKERS:?where is Kafka?}" "${admin[@]}" "$@" </dev/null
}

# each FILE NAME ARG...: the tool for every line of FILE, four at a time, since it takes longer to start than to work
each() {
  local file=$1
  shift
  xargs -L 1 -P 4 bash -c 'set -euo pipefail; tool "$@"' tool "$@" <"$file"
}

topics() {
  [ -s "$1/topics" ] || die "$1/topics is missing: restore.sh kafka $1"
  export -f tool
  each "$1/topics" kafka-topics --create --if-not-exists
  [ ! -s "$1/acls" ] || each "$1/acls" kafka-acls --add >/dev/null
}

offsets() {
  local dir=$1 group=$2 topic
  scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/restore.XXXXXX")
  # The tool reads a file of one group without the group's name.
  awk -v group="$group," 'index($0, group) == 1 { print substr($0, length(group) + 1) }' "$dir/offsets.csv" >"$scratch/offsets.csv"
  [ -s "$scratch/offsets.csv" ] || die "$dir/offsets.csv has nothing of group $group"
  tool kafka-topics --describe --exclude-internal | awk '/^Topic: / { print $2, $4 }' >"$scratch/ids"
  awk 'FILENAME == ARGV[1] { same[$0]; next } $0 in same { print $1 }' "$dir/ids" "$scratch/ids" >"$scratch/same"
  while IFS=, read -r topic _; do
    grep -qxF "$topic" "$scratch/same" ||
      die "topic $topic is not there, or was made anew since: its records are not those that these offsets are of, and some would be passed over"
  done <"$scratch/offsets.csv"
  # The tool ends well also where it did nothing.
  tool kafka-consumer-groups --reset-offsets --group "$group" --from-file "$scratch/offsets.csv" --execute | tee "$scratch/set"
  ! grep -q '^Error' "$scratch/set" || die "group $group was not set, see above"
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
  kafka:2)
    [ ! -e "$2/topics" ] || die "$2/topics is there: move it away first"
    latest kafka kafka
    mkdir -p "$2"
    cp -r "$scratch/kafka/." "$2/"
    ;;
  topics:2) topics "$2" ;;
  offsets:3) offsets "$2" "$3" ;;
  *)
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
