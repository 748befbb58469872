#!/usr/bin/env bash
# Makes the committed inputs in corpus/ anew, with the openssl command line (3.0 or later) and our own code. Run it to
# add to them; what a fuzzer found is added by hand, under a name that says what it was.
set -euo pipefail
cd "$(dirname "$0")"
data=../crates/pki-core/testdata
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p corpus/{jws,csr,names,problem,policy,token,config,certificate,crl,ocsp,pem}

cp "$data"/csr/*.der corpus/csr/
cp "$data"/ca/*.der corpus/certificate/
cp ../policies/*.yaml corpus/policy/

# Leaves: what a gateway has, and everything that a foreign one may have.
leaf() { # name, extension lines
    printf 'basicConstraints=critical,CA:FALSE\n%b\n' "$2" > "$work/ext"
    openssl x509 -req -in "$data/csr/names.der" -inform DER -CA "$data/ca/limited.der" -CAkey "$data/keys/p256.pk8" \
        -set_serial "0x4$(printf '%031x' 7)" -days 90 -extfile "$work/ext" -outform DER \
        -out "corpus/certificate/$1.der" 2>/dev/null
}
leaf leaf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:gw-1.site.test,IP:192.0.2.1\nauthorityKeyIdentifier=keyid\ncrlDistributionPoints=URI:http://ca.site.test/crl/1/1.crl'
leaf leaf-names 'subjectAltName=DNS:*.site.test,IP:2001:db8::1,email:a@b.test,URI:http://x.test/,dirName:d\n[d]\nCN=x'
leaf leaf-bare ''

# CRLs: empty, with entries, with reasons.
mkdir -p "$work/ca"
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index\ncrlnumber=%s/number\ndefault_md=sha256\n[ext]\nauthorityKeyIdentifier=keyid\n[sharded]\nauthorityKeyIdentifier=keyid\nissuingDistributionPoint=critical,@idp\n[idp]\nfullname=URI:http://ca.site.test/crl/1/1.crl\nonlyuser=TRUE\n[ca-only]\nissuingDistributionPoint=critical,@idp-ca\n[idp-ca]\nonlyCA=TRUE\n' \
    "$work/ca" "$work/ca" > "$work/ca/config"
openssl x509 -in "$data/ca/limited.der" -inform DER -out "$work/ca/cert.pem"
openssl pkey -in "$data/keys/p256.pk8" -inform DER -out "$work/ca/key.pem"
crl() { # name, extensions, further arguments...
    name=$1; shift; extensions=$1; shift
    echo 1001 > "$work/ca/number"
    openssl ca -config "$work/ca/config" -gencrl -cert "$work/ca/cert.pem" -keyfile "$work/ca/key.pem" \
        -crl_lastupdate 260101000000Z -crl_nextupdate 260131000000Z -out "$work/ca/crl.pem" "$@" \
        -crlexts "$extensions" 2>/dev/null
    openssl crl -in "$work/ca/crl.pem" -outform DER -out "corpus/crl/$name.der"
}
: > "$work/ca/index"
crl empty ext
crl ca-only ca-only
printf 'R\t270101000000Z\t260101000000Z,keyCompromise\t0A\tunknown\t/CN=a\nR\t270101000000Z\t260102000000Z\t40FF\tunknown\t/CN=b\nR\t270101000000Z\t260103000000Z,superseded\t4000000000000000000000000000000000\tunknown\t/CN=c\n' > "$work/ca/index"
crl entries ext
crl shard sharded

# OCSP requests: as openssl writes them, each also as the path of a GET.
ask() { # name, arguments...
    name=$1; shift
    openssl ocsp -issuer "$work/ca/cert.pem" "$@" -reqout "corpus/ocsp/$name.der"
    openssl base64 -A -in "corpus/ocsp/$name.der" > "corpus/ocsp/$name.path"
}
ask nonce -serial 0x40ff
ask plain -serial 0x40ff -no_nonce
ask sha256 -sha256 -serial 0x7f000000000000000000000000000001 -no_nonce
ask two -serial 1 -sha256 -serial 2
ask ten $(for n in 1 2 3 4 5 6 7 8 9 10; do echo -serial "$n"; done)
ask signed -serial 3 -signer "$work/ca/cert.pem" -signkey "$work/ca/key.pem"
sed 's/+/-/g; s#/#_#g; s/=//g' corpus/ocsp/nonce.path > corpus/ocsp/url-safe.path
sed 's/+/%2B/g; s#/#%2f#g; s/=/%3D/g; s#^#//#' corpus/ocsp/nonce.path > corpus/ocsp/percent.path

# PEM: one block of each label, a bundle, line ends, and what must be refused.
openssl x509 -in "$data/ca/plain.der" -inform DER -out corpus/pem/certificate
openssl req -in "$data/csr/p256-sha256.der" -inform DER -out corpus/pem/request
openssl pkey -pubin -in "$data/keys/p256.spki" -inform DER -out corpus/pem/public-key
cp "$work/ca/crl.pem" corpus/pem/crl
{ cat corpus/pem/certificate; echo; openssl x509 -in "$data/ca/limited.der" -inform DER; } > corpus/pem/bundle
sed 's/$/\r/' corpus/pem/certificate > corpus/pem/crlf
{ echo 'Subject: x'; cat corpus/pem/certificate; } > corpus/pem/text-before
tr -d '\n' < corpus/pem/certificate > corpus/pem/one-line
cat corpus/pem/certificate corpus/pem/public-key > corpus/pem/two-labels

# Policies that differ in what a reader of YAML has to get right.
cat > corpus/policy/flow <<'YAML'
{apiVersion: pilotlight.dev/v1, kind: Profile, metadata: {name: flow}, spec: {identifiers: {dns: [{exact: a.test}, {suffix: b.test}], wildcards: true, ip: []}, keys: {ecdsa: false, ed25519: false, rsaMinBits: 2048}, usage: {extendedKeyUsage: [serverAuth]}, lifetime: 60s, backdate: 6s, renewal: {at: 5e-1, grace: 0s}, requires: {binding: none, challenges: [http-01, dns-01]}}}
YAML
sed 's/lifetime: 60s/lifetime: 90/' corpus/policy/flow > corpus/policy/no-unit
sed 's/kind: Profile/kind: Profile, kind: Profile/' corpus/policy/flow > corpus/policy/twice
sed 's/name: flow/name: \&a flow, description: *a/' corpus/policy/flow > corpus/policy/anchor
sed 's/binding: none/binding: device/' corpus/policy/flow > corpus/policy/contradiction
sed 's/wildcards: true/wildcards: yes/; s/at: 5e-1/at: .nan/' corpus/policy/flow > corpus/policy/words
printf 'a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d]\n' > corpus/policy/growth
printf '%0200d' 0 | tr 0 '[' > corpus/policy/depth

cargo run --quiet --manifest-path ../Cargo.toml -p fuzz-targets --example seeds
du -sb --apparent-size corpus
