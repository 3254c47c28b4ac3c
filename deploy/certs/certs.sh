#!/usr/bin/env bash
# An authority of one's own, and a server's certificate by it: for trying out, and for networks that have no other.
#   certs.sh DIR [NAME...]      tls.crt and tls.key for localhost, 127.0.0.1 and the names, until DAYS from now; ca.crt is what clients trust. tls.pem is both, as Kafka reads them
# AUTHORITY (DIR) is where ca.crt and ca.key are. The first name is its common name. USAGE=serverAuth,clientAuth makes one that also says who its holder is, as brokers show each other. DAYS (90) is how long it is good for.
# The authority is made once and stays. The certificate is made anew when it is missing, when it ends within 21 days, or with RENEW=1: put it where it is read, and nobody is let go
# (nginx: reload; the API: by itself; Postgres and Kafka: deploy/rotate/certificates.sh). Whoever has an authority already puts its tls.crt and tls.key there instead.
set -euo pipefail
umask 077
dir=${1:?usage: certs.sh DIR [NAME...]} authority=${AUTHORITY:-$1}
shift
mkdir -p "$dir" "$authority"
names=DNS:localhost,IP:127.0.0.1 first=${1:-localhost}
for name; do names+=,DNS:$name; done

if [ -s "$dir/tls.crt" ] && [ -z "${RENEW:-}" ] && openssl x509 -in "$dir/tls.crt" -noout -checkend $((21 * 86400)) >/dev/null; then exit 0; fi
if [ -s "$authority/ca.crt" ] && [ ! -s "$authority/ca.key" ]; then # another authority would be trusted by nobody
  echo "certs.sh: $dir/tls.crt is to be made anew, and $authority/ca.key is not there: put it back, or make the certificate where it is" >&2
  exit 1
fi
if [ ! -s "$authority/ca.key" ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=ML-Monitor own authority' \
    -addext basicConstraints=critical,CA:true,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$authority/ca.key" -out "$authority/ca.crt" 2>/dev/null
  echo "made $authority/ca.crt"
fi
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$first" -keyout "$dir/tls.key.new" -out "$dir/tls.csr" 2>/dev/null
openssl x509 -req -in "$dir/tls.csr" -CA "$authority/ca.crt" -CAkey "$authority/ca.key" -set_serial "0x$(openssl rand -hex 16)" -days "${DAYS:-90}" -out "$dir/tls.crt.new" \
  -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=%s\nkeyUsage=critical,digitalSignature\n' "$names" "${USAGE:-serverAuth}") 2>/dev/null
rm "$dir/tls.csr"
cat "$dir/tls.key.new" "$dir/tls.crt.new" >"$dir/tls.pem.new"
mv "$dir/tls.pem.new" "$dir/tls.pem"
mv "$dir/tls.key.new" "$dir/tls.key"
mv "$dir/tls.crt.new" "$dir/tls.crt"
echo "made $dir/tls.crt"
