#!/usr/bin/env bash
# Gives a SCRAM user of the Kafka cluster another password, while everything runs.
#   kafka.sh USER FILE
# FILE is what the processes read (KAFKA_SASL_PASSWORD_FILE). KAFKA_BROKERS says where the cluster is, KAFKA_ADMIN_CONFIG names the properties of who may alter users (empty: as nobody in
# particular), KAFKA_CONFIGS Kafka's own tool (kafka-configs.sh). Processes take the new password with their next connection; those that they have go on.
set -euo pipefail
umask 077
user=${1:?usage: kafka.sh USER FILE} file=${2:?usage: kafka.sh USER FILE}
[ -s "$file" ] || { echo "kafka.sh: $file is missing" >&2; exit 1; }
od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n' >"$file.new"
chmod --reference="$file" "$file.new"
chown --reference="$file" "$file.new"
# By a file: it stands in no list of processes.
change=$(mktemp)
trap 'rm -f "$change" "$file.new"' EXIT
printf 'SCRAM-SHA-512=password=%s\n' "$(cat "$file.new")" >"$change"
admin=()
[ -z "${KAFKA_ADMIN_CONFIG:-}" ] || admin=(--command-config "$KAFKA_ADMIN_CONFIG")
"${KAFKA_CONFIGS:-kafka-configs.sh}" --bootstrap-server "${KAFKA_BROKERS:?}" "${admin[@]}" --alter --entity-type users --entity-name "$user" --add-config-file "$change"
mv "$file.new" "$file"
echo "$user has another password"
