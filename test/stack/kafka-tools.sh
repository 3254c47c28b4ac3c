#!/usr/bin/env bash
# Kafka's own tools, from the jars of kafka.sh: which of them, says the name that a link to this file has.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")
case $(basename "$0") in
  kafka-configs.sh) class=kafka.admin.ConfigCommand ;;
  kafka-topics.sh) class=org.apache.kafka.tools.TopicCommand ;;
  kafka-acls.sh) class=org.apache.kafka.tools.AclCommand ;;
  kafka-consumer-groups.sh) class=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand ;;
  *) echo "no tool of Kafka has the name $(basename "$0")" >&2; exit 2 ;;
esac
exec java -cp "${XDG_CACHE_HOME:-$HOME/.cache}/mlmonitor/kafka/$version/*" -XX:TieredStopAtLevel=1 -Xmx128m "$class" "$@"
