#!/bin/sh
# Makes the test vectors in this folder with the openssl command line (3.0 or later). They are committed; run this
# only to add to them. The private keys in keys/ guard nothing.
set -eu
cd "$(dirname "$0")"
mkdir -p signatures keys csr ca refused-keys
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

key() { # name, genpkey arguments...
    name=$1; shift
    if [ ! -e "keys/$name.pk8" ]; then
        openssl genpkey -quiet -out "$work/key.pem" "$@"
        openssl pkcs8 -topk8 -nocrypt -in "$work/key.pem" -outform DER -out "keys/$name.pk8"
    fi
    openssl pkey -inform DER -in "keys/$name.pk8" -pubout -outform DER -out "keys/$name.spki"
}
key p256 -algorithm EC -pkeyopt ec_paramgen_curve:P-256
key p384 -algorithm EC -pkeyopt ec_paramgen_curve:P-384
key p521 -algorithm EC -pkeyopt ec_paramgen_curve:P-521
key rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048
key ed25519 -algorithm ED25519

refused() { # name, genpkey arguments...
    name=$1; shift
    openssl genpkey -quiet -out "$work/key.pem" "$@"
    openssl pkey -in "$work/key.pem" -pubout -outform DER -out "refused-keys/$name.spki"
}
refused secp256k1 -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1
refused p224 -algorithm EC -pkeyopt ec_paramgen_curve:P-224
refused brainpool -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1
refused explicit -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit
refused x25519 -algorithm X25519
refused ed448 -algorithm ED448
refused rsa-1024 -algorithm RSA -pkeyopt rsa_keygen_bits:1024
refused rsa-2044 -algorithm RSA -pkeyopt rsa_keygen_bits:2044
refused rsa-exponent-3 -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3
refused rsa-pss -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048
openssl pkey -inform DER -in keys/p256.pk8 -pubout -ec_conv_form compressed -outform DER \
    -out refused-keys/compressed.spki

# Signatures over the seven octets "message".
printf message > "$work/message"
for curve in p256 p384 p521; do
    for hash in sha1 sha256 sha384 sha512; do
        openssl dgst -$hash -sign keys/$curve.pk8 -keyform DER -out signatures/$curve-$hash.sig "$work/message"
    done
done
for hash in sha256 sha384 sha512; do
    openssl dgst -$hash -sign keys/rsa.pk8 -keyform DER -out signatures/rsa-pkcs1-$hash.sig "$work/message"
    openssl dgst -$hash -sign keys/rsa.pk8 -keyform DER -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest \
        -out signatures/rsa-pss-$hash.sig "$work/message"
done
openssl pkeyutl -sign -rawin -in "$work/message" -inkey keys/ed25519.pk8 -keyform DER -out signatures/ed25519.sig

# Requests. Everything but what a name says is plain: P-256 with SHA-256, no common name, one DNS name.
csr() { # name, key, subject, extension lines, further arguments...
    name=$1; key=$2; subject=$3; extensions=$4; shift 4
    printf '[req]\ndistinguished_name=dn\nprompt=no\nstring_mask=utf8only\n[dn]\n[ext]\n%b\n[san]\n' \
        "$extensions" > "$work/req.cnf"
    set -- -new -key "keys/$key.pk8" -keyform DER -subj "$subject" -config "$work/req.cnf" -outform DER \
        -out "csr/$name.der" "$@"
    if [ -n "$extensions" ]; then set -- "$@" -reqexts ext; fi
    openssl req "$@"
}
san='subjectAltName=DNS:gw-1.site.test'
for curve in p256 p384 p521; do
    for hash in sha256 sha384 sha512; do csr $curve-$hash $curve / $san -$hash; done
done
for hash in sha256 sha384 sha512; do
    csr rsa-pkcs1-$hash rsa / $san -$hash
    csr rsa-pss-$hash rsa / $san -$hash -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest
done
csr ed25519 ed25519 / $san
csr cn-only p256 /CN=gw-1.site.test ''
csr cn-ip p256 /CN=192.0.2.1 ''
csr cn-title "p256" '/O=Site/CN=Gateway One' $san
csr names p256 /CN=GW-1.Site.Test 'subjectAltName=DNS:GW-1.site.test,DNS:*.site.test,IP:192.0.2.1,IP:2001:db8::1'
csr no-names p256 /O=Site ''
csr extras p256 / "$san\ntlsfeature=status_request\nsubjectKeyIdentifier=hash\nkeyUsage=keyCertSign\n1.3.6.1.4.1.32473.1=ASN1:UTF8String:x\nbasicConstraints=CA:FALSE"
csr twice p256 / 'subjectAltName=DNS:gw-1.site.test,DNS:gw-1.site.test'
csr refused-sha1-ec p256 / $san -sha1
csr refused-sha1-rsa rsa / $san -sha1
csr refused-md5-rsa rsa / $san -md5
csr refused-salt rsa / $san -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20
csr refused-ca p256 / "$san\nbasicConstraints=critical,CA:TRUE"
csr email p256 / 'subjectAltName=DNS:gw-1.site.test,email:a@site.test'
csr uri p256 / 'subjectAltName=URI:https://site.test/'
csr refused-other p256 / 'subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:a@site.test'
csr refused-underscore p256 / 'subjectAltName=DNS:gw_1.site.test'
csr refused-dot p256 / 'subjectAltName=DNS:gw-1.site.test.'

# CAs as other software makes them: names and identifiers that must be copied, not written again.
ca() { # name, key, subject, extension lines, further arguments...
    name=$1; key=$2; subject=$3; extensions=$4; shift 4
    printf '[req]\ndistinguished_name=dn\nprompt=no\n[dn]\n[ext]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n%b\n' \
        "$extensions" > "$work/ca.cnf"
    openssl req -x509 -new -key "keys/$key.pk8" -keyform DER -subj "$subject" -multivalue-rdn -config "$work/ca.cnf" \
        -extensions ext -days 36500 -outform DER -out "ca/$name.der" "$@"
}
ca domain p256 '/DC=test/DC=corp/OU=Field/OU=Gateways/CN=Corp CA' 'subjectKeyIdentifier=hash'
ca multivalue p384 '/O=Site+OU=Field/CN=Site CA' 'subjectKeyIdentifier=01:02:03:04'
ca p521 p521 '/CN=Big CA' 'subjectKeyIdentifier=hash' -sha512
ca edwards ed25519 '/CN=Edwards CA' 'subjectKeyIdentifier=hash'
ca rsa-pss rsa '/C=XX/O=Site/CN=Padded CA' 'subjectKeyIdentifier=hash' -sha384 -sigopt rsa_padding_mode:pss \
    -sigopt rsa_pss_saltlen:digest
ca teletex p256 '/O=Site/CN=Old CA' 'subjectKeyIdentifier=hash\n[req]\nstring_mask=MASK:4'
ca limited p256 '/CN=Limited CA' 'subjectKeyIdentifier=hash\nnameConstraints=critical,permitted;DNS:.site.test,permitted;dirName:dn_limit,excluded;IP:0.0.0.0/0.0.0.0\n[dn_limit]\nO=Site'
ca plain p256 '/CN=No Identifier CA' 'subjectKeyIdentifier=none'
