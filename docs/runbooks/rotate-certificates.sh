#!/usr/bin/env bash
# Rehearses rotate-certificates.md: new certificates of the same authority without a restart, then a new authority by rolling restarts.
. "$(dirname "$0")/lib.sh"

# authority NAME: a certificate authority in $work/pki.
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
    -keyout "$work/pki/$1.key" -out "$work/pki/$1.crt" 2>/dev/null
}

# issue AUTHORITY FILE: a certificate for server, client and peer. The new files take the place of the old ones in one step each.
issue() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN=member' \
    -keyout "$work/pki/new.key" -out "$work/pki/new.csr" 2>/dev/null
  printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n' >"$work/pki/new.ext"
  openssl x509 -req -in "$work/pki/new.csr" -CA "$work/pki/$1.crt" -CAkey "$work/pki/$1.key" -CAcreateserial -days 2 \
    -extfile "$work/pki/new.ext" -out "$work/pki/new.crt" 2>/dev/null
  mv "$work/pki/new.key" "$work/pki/$2.key"
  mv "$work/pki/new.crt" "$work/pki/$2.crt"
}

# serial NAME: of the certificate that a member shows now.
serial() {
  openssl s_client -connect "${client[$1]#https://}" -CAfile "$work/pki/ca.crt" -cert "$work/pki/client.crt" -key "$work/pki/client.key" \
    </dev/null 2>/dev/null | openssl x509 -noout -serial
}

rolling_restart() {
  local name
  for name in a b c; do
    stop "$name"
    start "$name" --initial-cluster "$(cluster a b c)" --initial-cluster-token rehearsal
    healthy "$name"
  done
}

step 'a cluster with TLS for clients and peers'
mkdir "$work/pki"
authority first
cp "$work/pki/first.crt" "$work/pki/ca.crt"
issue first member
issue first client
export ETCDCTL_CACERT=$work/pki/ca.crt ETCDCTL_CERT=$work/pki/client.crt ETCDCTL_KEY=$work/pki/client.key
scheme=https
common=(--client-cert-auth --trusted-ca-file "$work/pki/ca.crt" --cert-file "$work/pki/member.crt" --key-file "$work/pki/member.key"
  --peer-client-cert-auth --peer-trusted-ca-file "$work/pki/ca.crt" --peer-cert-file "$work/pki/member.crt"
  --peer-key-file "$work/pki/member.key")
place a b c
start_all a b c
etcdctl put before/rotation yes
before=$(serial a)

step 'the same authority: new files, no restart'
issue first member
changed() { [ "$(serial "$1")" != "$before" ]; }
for name in a b c; do retry "$name to show its new certificate" changed "$name"; done
etcdctl put during/rotation yes

step 'a new authority: first trust both …'
authority second
cat "$work/pki/first.crt" "$work/pki/second.crt" >"$work/pki/both.crt"
mv "$work/pki/both.crt" "$work/pki/ca.crt"
rolling_restart

step '… then change the certificates …'
issue second member
issue second client
for name in a b c; do healthy "$name"; done
etcdctl put new/authority yes

step '… then forget the old one'
cp "$work/pki/second.crt" "$work/pki/ca.next"
mv "$work/pki/ca.next" "$work/pki/ca.crt"
rolling_restart

step 'check'
want before/rotation yes
want new/authority yes
issue first stale
if ETCDCTL_CERT=$work/pki/stale.crt ETCDCTL_KEY=$work/pki/stale.key etcdctl get x --command-timeout 3s >/dev/null 2>&1; then
  fail 'a certificate of the old authority still opens the door'
fi
etcdctl endpoint health
echo 'rotated'
