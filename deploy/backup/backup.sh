#!/usr/bin/env bash
# Backs up what cannot be made again: the audit database, and MLflow's models. restic encrypts, checksums and keeps them, in a directory or an S3-compatible store.
#
#   backup.sh init         make the repository, once
#   backup.sh wal DIR      receive the database's log into DIR as it is written, for as long as it runs: a service, on another machine than the database's
#   backup.sh base [DIR]   a base backup of the database, with the log of DIR, and MLflow's: daily
#   backup.sh logical      a dump of the audit database, for another version of Postgres: weekly
#   backup.sh kafka        how Kafka is laid out, as text: topics with their settings, rights, and how far groups are: daily
#   backup.sh prune        forget what is older than is kept (KEEP), and check the repository: weekly
#
# Read from the environment: RESTIC_REPOSITORY, RESTIC_PASSWORD_FILE (and AWS_… for S3), as restic does; PGHOST, PGPORT, PGUSER … of who may replicate, as libpq does; PGDATABASE for the dump;
# MLFLOW_DIR, where MLflow has mlflow.db, users.db and artifacts/ (empty: it is elsewhere); KEEP; for kafka KAFKA_BROKERS, KAFKA_ADMIN_CONFIG, the properties of who may describe everything (empty: as nobody
# in particular), KAFKA_BIN, where Kafka's tools are (empty: on the PATH).
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
  local wal=${1:-} database
  room
  mkdir "$scratch/base"
  # With the log that it needs (fetch), so that it holds also where DIR is lost.
  pg_basebackup --pgdata "$scratch/base" --format tar --wal-method fetch --checkpoint fast --no-password
  [ -z "$wal" ] || cp -r "$wal" "$scratch/wal"
  if [ -n "${MLFLOW_DIR:-}" ]; then
    mkdir "$scratch/mlflow"
    # A copy of a database that is written would be torn.
    for database in mlflow.db users.db; do
      [ ! -f "$MLFLOW_DIR/$database" ] || sqlite3 "$MLFLOW_DIR/$database" ".timeout 30000" ".backup '$scratch/mlflow/$database'"
    done
    [ ! -d "$MLFLOW_DIR/artifacts" ] || cp -r "$MLFLOW_DIR/artifacts" "$scratch/mlflow/artifacts"
  fi
  (cd "$scratch" && keep base .)
}

# tool NAME ARG...: one of Kafka's
tool() {
  local name=$1 admin=()
  shift
  [ -z "${KAFKA_ADMIN_CONFIG:-}" ] || admin=(--command-config "$KAFKA_ADMIN_CONFIG")
  "${KAFKA_BIN:+$KAFKA_BIN/}$name.sh" --bootstrap-server "${KAFKA_BROKERS:?where is Kafka?}" "${admin[@]}" "$@"
}

# What kafka keeps is words for the tools again, a line each: somebody can read it, and change a name in it.
kafka() {
  room
  mkdir "$scratch/kafka"
  # In names of a certificate's owner there are commas and blanks: a backslash stands before what the shell would not take as part of a word.
  local word='function word(text) { gsub(/[^A-Za-z0-9_.:,=*@\/+-]/, "\\\\&", text); return text }'
  tool kafka-topics --describe --exclude-internal >"$scratch/topics"
  tool kafka-configs --describe --entity-type topics >"$scratch/configs"
  # Settings that the topic has of its own. The list of topics has those of the brokers among them, and separates by a comma, which may stand in a value.
  awk "$word"'
    FILENAME == ARGV[1] && /^Dynamic configs for topic / { topic = $5; next }
    FILENAME == ARGV[1] && / sensitive=/ { sub(/^ +/, ""); sub(/ sensitive=.*/, ""); own[topic] = own[topic] " --config " word($0); next }
    FILENAME == ARGV[2] && /^Topic: / { print "--topic " $2, "--partitions " $6, "--replication-factor " $8 own[$2] }
  ' "$scratch/configs" "$scratch/topics" | sort >"$scratch/kafka/topics"
  [ -s "$scratch/kafka/topics" ] || die "the cluster has no topics"
  # A topic that was made anew under its name has another id: offsets of before are not of its records.
  awk '/^Topic: / { print $2, $4 }' "$scratch/topics" | sort >"$scratch/kafka/ids"
  # A cluster without an authorizer has no rights to keep.
  if tool kafka-acls --list >"$scratch/acls" 2>"$scratch/error"; then
    awk "$word"'
      # cut gives what stands behind the last NAME= of rest, and takes it off
      function cut(name,  value) {
        value = rest
        sub(".*[ (]" name "=", "", value)
        rest = substr(rest, 1, length(rest) - length(value) - length(name) - 2)
        sub(/,$/, "", rest)
        return value
      }
      / resource .*resourceType=/ { rest = $0; sub(/\)[^)]*$/, "", rest)
        pattern = tolower(cut("patternType")); name = cut("name"); flag = tolower(cut("resourceType"))
        gsub("_", "-", flag)
        if (flag == "user") flag = "user-principal"
        what = flag == "cluster" ? "--cluster" : "--" flag " " word(name) " --resource-pattern-type " pattern }
      # listed as DESCRIBE_CONFIGS, taken as DescribeConfigs
      /\(principal=/ { rest = $0; sub(/\)[^)]*$/, "", rest)
        kind = tolower(cut("permissionType")); n = split(tolower(cut("operation")), words, "_"); host = cut("host"); operation = ""
        for (i = 1; i <= n; i++) operation = operation toupper(substr(words[i], 1, 1)) substr(words[i], 2)
        print "--" kind "-principal", word(cut("principal")), "--" kind "-host", host, "--operation", operation, what }
    ' "$scratch/acls" | sort >"$scratch/kafka/acls"
  elif grep -q SecurityDisabled "$scratch/error" "$scratch/acls"; then
    : >"$scratch/kafka/acls"
  else
    cat "$scratch/error" "$scratch/acls" >&2
    die "the rights cannot be listed"
  fi
  # As kafka-consumer-groups.sh --reset-offsets --from-file reads it, which itself does not export those of a group at work.
  tool kafka-consumer-groups --describe --all-groups --offsets >"$scratch/groups"
  awk '$3 ~ /^[0-9]+$/ && $4 ~ /^[0-9]+$/ { print $1 "," $2 "," $3 "," $4 }' "$scratch/groups" | sort >"$scratch/kafka/offsets.csv"
  (cd "$scratch" && keep kafka kafka)
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
  kafka:1) kafka ;;
  prune:1)
    read -ra keep <<<"${KEEP:---keep-daily 7 --keep-weekly 5 --keep-monthly 12}"
    restic forget --quiet --prune --group-by host,tags "${keep[@]}"
    restic check --quiet --read-data-subset 10%
    ;;
  *)
    sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
