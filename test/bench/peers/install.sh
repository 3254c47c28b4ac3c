#!/usr/bin/env bash
# Installs what make bench-pipeline PEERS=all compares with:  install.sh DIR  makes the programs DIR/streams and DIR/python.
# Needs Java 17, Maven and Python 3.11; as root it installs libgomp1 when it is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(realpath -m "$1")
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/../../stack/pom.xml")
rm -rf "$dir"
mkdir -p "$dir/java"

mvn -q -B --strict-checksums -f "$here/streams/pom.xml" "-Dkafka.version=$version" "-Dout=$dir/java" \
  compile dependency:copy-dependencies "-DoutputDirectory=$dir/java/lib" </dev/null >&2
cat >"$dir/streams" <<END
#!/usr/bin/env bash
STATE_DIR=\$(mktemp -d -t mlmonitor-streams.XXXXXX)
export STATE_DIR
exec java -Xmx1g -XX:+UseG1GC -cp "$dir/java/lib/*:$dir/java/classes" Pass
END

"$here/../../stack/apt.sh" libgomp1 # LightGBM needs it
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check -r "$here/python/requirements.txt"
cat >"$dir/python" <<END
#!/usr/bin/env bash
exec "$dir/venv/bin/python" "$here/python/pipeline.py"
END
chmod 755 "$dir/streams" "$dir/python"
