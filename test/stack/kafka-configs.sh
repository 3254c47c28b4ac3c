#!/usr/bin/env bash
# Kafka's kafka-configs.sh, from the jars of kafka.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")
exec java -cp "${XDG_CACHE_HOME:-$HOME/.cache}/mlmonitor/kafka/$version/*" -XX:TieredStopAtLevel=1 -Xmx128m kafka.admin.ConfigCommand "$@"
