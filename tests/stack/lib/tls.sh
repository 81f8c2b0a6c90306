# shellcheck shell=bash
#
# A certificate authority for this stack, and the PostgreSQL servers'
# certificate: valid for the name localhost and for no address, so that
# verify-full can be seen to accept the one and refuse the other.

ca_file() { printf '%s\n' "$stack_dir/ca.crt"; }

# create_certificates FOLDER: leaves server.crt and server.key in FOLDER.
create_certificates() (
  cd "$1" || exit
  cat >openssl.conf <<'CONF'
[req]
distinguished_name = name
prompt = no
[name]
CN = Rolecall local stack
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost
CONF
  quietly openssl req -config openssl.conf -x509 -extensions ca -subj '/CN=Rolecall local stack CA' \
    -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -keyout ca.key -out ca.crt
  quietly openssl req -config openssl.conf -new \
    -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr
  quietly openssl x509 -req -in server.csr -extfile openssl.conf -extensions server \
    -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out server.crt
  cp ca.crt "$(ca_file)"
  chmod 644 "$(ca_file)"
  # Nothing else is ever signed, so nobody needs the authority's key.
  rm -f ca.key ca.crt ca.srl server.csr openssl.conf
)

quietly() {
  local output
  output=$("$@" 2>&1) || die "failed: $*"$'\n'"$output"
}
