#!/usr/bin/env bash
# Has a server present the certificate that was put where it reads one, without a restart. Returns when it does; connections that are there go on.
#   certificates.sh postgres CERT HOST:PORT                          the server's ssl_cert_file and ssl_key_file were replaced
#   certificates.sh kafka CERT LISTENER KEYSTORE NODE=HOST:PORT...   the PEM that the brokers know as KEYSTORE was replaced on each; LISTENER as in `listeners`, HOST:PORT where the node has it
# CERT is the new certificate. psql connects as libpq's environment says, as somebody who may call pg_reload_conf(); for Kafka, KAFKA_BROKERS, KAFKA_ADMIN_CONFIG and KAFKA_CONFIGS are those of
# kafka.sh. A file that does not hold (another's key, another name) leaves the old certificate in force, and the script fails
# after WAIT seconds (20).
set -euo pipefail

usage() {
  sed -n '3,4s/^#   /usage: /p' "$0" >&2
  exit 2
}

serial() {
  openssl x509 -noout -serial 2>/dev/null
}

# presents ADDRESS [OPTION...]: waits until each of 20 connections in a row sees it there. A broker's network threads (3 unless set) take it one after the other: in between, old and new ones take turns.
presents() {
  local address=$1 found='' other='' row=0 until=$((SECONDS + ${WAIT:-20}))
  shift
  while [ "$row" -lt 20 ]; do
    if [ "$SECONDS" -ge "$until" ]; then
      echo "certificates.sh: $address presents ${other:-none}, not always $wanted: the server's log says why" >&2
      exit 1
    fi
    # A server that takes connections and says nothing must not hold this up.
    found=$(timeout 5 openssl s_client -connect "$address" -servername "${address%:*}" "$@" </dev/null 2>/dev/null | serial) || true
    if [ "$found" = "$wanted" ]; then
      row=$((row + 1))
    else
      row=0 other=$found
      sleep 0.2
    fi
  done
  echo "$address presents $cert"
}

verb=${1:-} cert=${2:-}
case $verb:$# in
  postgres:3 | kafka:[5-9] | kafka:[1-9][0-9]) ;;
  *) usage ;;
esac
wanted=$(serial <"$cert") || { echo "certificates.sh: $cert holds no certificate" >&2; exit 1; }
shift 2

if [ "$verb" = postgres ]; then
  psql -qXAt -v ON_ERROR_STOP=1 -c 'SELECT pg_reload_conf()' >/dev/null
  presents "$1" -starttls postgres
  exit
fi
listener=${1,,} keystore=$2
shift 2
admin=()
[ -z "${KAFKA_ADMIN_CONFIG:-}" ] || admin=(--command-config "$KAFKA_ADMIN_CONFIG")
# One after the other: what the first refuses, no other is asked to take.
for node; do
  # A setting that stays as it was has the broker read its files again all the same.
  "${KAFKA_CONFIGS:-kafka-configs.sh}" --bootstrap-server "${KAFKA_BROKERS:?}" "${admin[@]}" --alter --entity-type brokers --entity-name "${node%%=*}" \
    --add-config "listener.name.$listener.ssl.keystore.location=$keystore"
  presents "${node#*=}"
done
