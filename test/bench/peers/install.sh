#!/usr/bin/env bash
# Installs what PEERS=all adds to make bench-pipeline and make bench-latency:  install.sh DIR  makes the programs DIR/streams and DIR/python.
# Needs Java 17 with javac, Maven and Python 3.11; as root it installs what is missing of libgomp1 and javac. Both programs take their place from the
# environment, as mlmonitor score does, start at the earliest offset, and end with 0 after SIGTERM.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
stack=$here/../../stack
dir=$(realpath -m "$1")
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$stack/pom.xml") # of the broker
rm -rf "$dir"
mkdir -p "$dir"

command -v javac >/dev/null || "$stack/apt.sh" openjdk-17-jdk-headless
mvn -q -B --strict-checksums -f "$here/streams/pom.xml" "-Dkafka.version=$version" \
  dependency:copy-dependencies "-DoutputDirectory=$dir/jars" </dev/null >&2
javac -Xlint:all -cp "$dir/jars/*" -d "$dir/classes" "$here/streams/Pass.java"
cat >"$dir/streams" <<END
#!/usr/bin/env bash
exec java -Xmx1g -XX:+UseG1GC -cp "$dir/classes:$dir/jars/*" Pass
END

"$stack/apt.sh" libgomp1 # LightGBM needs it
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check -r "$here/python/requirements.txt"
mkdir "$dir/pipeline"
cp "$here/python/"*.py "$dir/pipeline"
cat >"$dir/python" <<END
#!/usr/bin/env bash
exec "$dir/venv/bin/python" "$dir/pipeline/pipeline.py"
END

chmod 755 "$dir/streams" "$dir/python"
