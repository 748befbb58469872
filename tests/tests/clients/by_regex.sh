#!/bin/bash
# An ACME client that reads as acme.sh does: patterns over the text of a body, in the order in which it was sent, and one
# header a line. Whatever a strict parser would forgive but these patterns would not is a failure here.
#   by_regex.sh register|issue TYPE|renew TYPE|revoke|deactivate     TYPE: http-01 or dns-01
# Variables: DIRECTORY ROOTS STATE EMAIL WEBROOT DNS_HOST DNS_PORT, NAME OTHER of a certificate, KID HMAC of an account.
set -eu
umask 077
cd "$STATE"

b64() { openssl base64 -e -A | tr '/+' '_-' | tr -d '= '; }
unb64() { local text; text=$(tr -- '-_' '+/'); while [ $((${#text} % 4)) != 0 ]; do text+='='; done
  printf %s "$text" | openssl base64 -d -A; }
unhex() { local hex; hex=$(cat); printf "%b" "$(printf %s "$hex" | sed 's/../\\x&/g')"; }
fail() { echo "$*" >&2; echo "$headers" >&2; echo "$response" >&2; exit 1; }
# What a member holds, wherever it stands first.
text() { printf %s "$response" | grep -Eo "\"$1\" *: *\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }
header() { printf '%s\n' "$headers" | grep -i "^$1 *:" | head -n 1 | cut -d : -f 2- | tr -d ' \r'; }

ask() { # method, address, body
  local more=()
  [ "$1" != HEAD ] || more=(-I)
  [ "$1" != POST ] || more=(-H "Content-Type: application/jose+json" --data "$3")
  response=$(curl --silent --show-error --cacert "$ROOTS" --user-agent by_regex -D "$STATE/headers" "${more[@]}" "$2" | tr -d '\r\n')
  headers=$(cat "$STATE/headers")
  code=$(printf '%s\n' "$headers" | grep ^HTTP | tail -n 1 | cut -d ' ' -f 2)
  nonce=$(header Replay-Nonce || true)
}

# An ECDSA signature in DER, as the two numbers of JWS.
signature() {
  openssl dgst -sha256 -sign "$STATE/account.key" | openssl asn1parse -inform DER |
    sed -n 's/.*INTEGER *://p' | while read -r number; do printf '%064s' "$number" | tr ' ' 0; done | unhex | b64
}

post() { # address, payload
  local tries=0 protected payload who
  payload=$(printf %s "$2" | b64)
  while :; do
    tries=$((tries + 1))
    [ -n "$nonce" ] || { ask HEAD "$(cat new_nonce)" ""; [ "$code" = 200 ] || fail "no nonce"; }
    if [ -s account_url ]; then who="\"kid\": \"$(cat account_url)\""; else who="\"jwk\": $(cat jwk)"; fi
    protected=$(printf %s "{\"nonce\": \"$nonce\", \"url\": \"$1\", \"alg\": \"ES256\", $who}" | b64)
    ask POST "$1" "{\"protected\": \"$protected\", \"payload\": \"$payload\", \"signature\": \"$(printf %s "$protected.$payload" | signature)\"}"
    # The text, and not the type, tells it to come again.
    printf %s "$response" | grep -q "JWS has an invalid anti-replay nonce" || return 0
    [ "$tries" -lt 20 ] || fail "refused too often"
  done
}

wait_as_told() {
  local seconds; seconds=$(header Retry-After || true)
  seconds=${seconds:-1}
  printf %s "$seconds" | grep -Eq '^[0-9]+$' || fail "Retry-After is no number of seconds: $seconds"
  [ "$seconds" -le 600 ] || fail "Retry-After is too long: $seconds"
  sleep "$seconds"
}

discover() {
  nonce=
  ask GET "$DIRECTORY" ""
  for name in newNonce newAccount newOrder revokeCert renewalInfo; do
    text "$name" > "$(printf %s "$name" | sed 's/[A-Z]/_\L&/')" || true
  done
  nonce=
}

register() {
  [ -s account.key ] || openssl ecparam -name prime256v1 -genkey -noout -out account.key
  local point; point=$(openssl ec -in account.key -pubout -outform DER 2>/dev/null | tail -c 64 | openssl base64 -A)
  local x y; x=$(printf %s "$point" | openssl base64 -d -A | head -c 32 | b64); y=$(printf %s "$point" | openssl base64 -d -A | tail -c 32 | b64)
  printf %s "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"$x\",\"y\":\"$y\"}" > jwk
  openssl dgst -sha256 -binary jwk | b64 > thumbprint
  local binding=
  if [ -n "${KID:-}" ]; then
    local protected payload mac
    protected=$(printf %s "{\"alg\":\"HS256\",\"kid\":\"$KID\",\"url\":\"$(cat new_account)\"}" | b64)
    payload=$(b64 < jwk)
    mac=$(printf %s "$protected.$payload" |
      openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(printf %s "$HMAC" | unb64 | od -An -v -tx1 | tr -d ' \n')" -binary | b64)
    binding=", \"externalAccountBinding\": {\"protected\": \"$protected\", \"payload\": \"$payload\", \"signature\": \"$mac\"}"
  fi
  post "$(cat new_account)" "{\"contact\": [\"mailto:$EMAIL\"], \"termsOfServiceAgreed\": true$binding}"
  [ "$code" = 200 ] || [ "$code" = 201 ] || fail "register: $code"
  header Location > account_url
  [ -s account_url ] || fail "no Location of the account"
}

answer() { # type, name, token
  local proof; proof="$3.$(cat thumbprint)"
  if [ "$1" = http-01 ]; then
    mkdir -p "$WEBROOT/.well-known/acme-challenge"
    printf %s "$proof" > "$WEBROOT/.well-known/acme-challenge/$3"
    chmod -R a+rX "$WEBROOT"
  else
    printf 'server %s %s\nupdate add _acme-challenge.%s 1 TXT "%s"\nsend\n' "$DNS_HOST" "$DNS_PORT" "$2" \
      "$(printf %s "$proof" | openssl dgst -sha256 -binary | b64)" | nsupdate
  fi
}

authorize() { # type, authorization
  post "$2" ""
  [ "$code" = 200 ] || fail "authorization: $code"
  # Every `status` of the body: a challenge that is valid makes the whole of it valid.
  if printf %s "$response" | grep -Eo '"status" *: *"[^"]*"' | grep -q '"valid"'; then return 0; fi
  local name entry url token
  name=$(printf %s "$response" | grep -Eo '"identifier" *: *\{[^}]*\}' | grep -Eo '"value" *: *"[^"]*"' | cut -d '"' -f 4)
  entry=$(printf %s "$response" | grep -Eo "[^{]*\"type\" *: *\"$1\"[^}]*" | head -n 1)
  [ -n "$entry" ] || fail "no $1"
  url=$(printf %s "$entry" | grep -Eo '"url" *: *"[^"]*"' | cut -d '"' -f 4)
  token=$(printf %s "$entry" | grep -Eo '"token" *: *"[^"]*"' | cut -d '"' -f 4)
  answer "$1" "$name" "$token"
  post "$url" "{}"
  [ "$code" = 200 ] || [ "$code" = 202 ] || fail "challenge: $code"
  local tries states
  for tries in $(seq 30); do
    wait_as_told
    post "$2" ""
    states=$(printf %s "$response" | grep -Eo '"status" *: *"[^"]*"' | cut -d '"' -f 4 | sort -u | tr '\n' ' ')
    case " $states" in
      *" invalid "*) fail "invalid: $name" ;;
      *" valid "*) return 0 ;;
      *" pending "* | *" processing "*) ;;
      *) fail "an unknown status: $states" ;;
    esac
  done
  fail "never decided: $name ($tries)"
}

order() { # type, further members
  local names="{\"type\":\"dns\",\"value\":\"$NAME\"}"
  [ -z "${OTHER:-}" ] || names+=",{\"type\":\"dns\",\"value\":\"$OTHER\"}"
  post "$(cat new_order)" "{\"identifiers\": [$names]$2}"
  if [ "$code" != 201 ] && [ -n "$2" ] && printf %s "$response" | grep -Eq 'malformed|alreadyReplaced'; then
    echo "without replaces"
    post "$(cat new_order)" "{\"identifiers\": [$names]}"
  fi
  [ "$code" = 201 ] || fail "order: $code"
  local link finalize all one
  link=$(header Location)
  [ -n "$link" ] || fail "no Location of the order"
  if [ -n "$2" ]; then text replaces || true; fi
  finalize=$(text finalize)
  all=$(printf %s "$response" | grep -Eo '"authorizations" *: *\[[^]]*\]' | cut -d '[' -f 2 | tr -d '"] ' | tr ',' '\n')
  for one in $all; do authorize "$1" "$one"; done

  # SHA-256 whatever the curve is.
  openssl ecparam -name secp384r1 -genkey -noout -out "$STATE/key.pem"
  openssl req -new -sha256 -key key.pem -subj "/CN=${NAME#\*.}" -addext "subjectAltName=DNS:$NAME${OTHER:+,DNS:$OTHER}" \
    -outform DER -out csr.der
  post "$finalize" "{\"csr\": \"$(b64 < csr.der)\"}"
  [ "$code" = 200 ] || fail "finalize: $code"
  [ "$(header Location)" = "$link" ] || fail "finalize has another Location: $(header Location)"
  until printf %s "$response" | grep -q '"status" *: *"valid"'; do
    printf %s "$response" | grep -q '"status" *: *"processing"' || fail "order"
    wait_as_told
    post "$link" ""
    [ "$code" = 200 ] || fail "poll: $code"
  done
  local certificate; certificate=$(text certificate)
  post "$certificate" ""
  [ "$code" = 200 ] || fail "certificate: $code"
  alternates=$(printf '%s\n' "$headers" | grep -i '^link:' | grep -i 'rel="alternate"' | cut -d '<' -f 2 | cut -d '>' -f 1 || true)
  fetch_lines "$certificate"
  for one in $alternates; do post "$one" ""; [ "$code" = 200 ] || fail "alternate: $code"; done
}

# A chain has lines, which `post` takes away: they are made again between the marks.
fetch_lines() {
  printf %s "$response" | sed 's/-----BEGIN CERTIFICATE-----/\n&\n/g; s/-----END CERTIFICATE-----/\n&\n/g' | sed '/^$/d' |
    fold -w 64 | sed 's/^ *//' > chain.pem
  grep -q 'BEGIN CERTIFICATE' chain.pem || fail "no certificate at $1"
}

certificate_id() {
  local key serial
  key=$(openssl x509 -in chain.pem -noout -ext authorityKeyIdentifier | tail -n 1 | sed 's/.*keyid://' | tr -d ' :' | tr 'A-F' 'a-f')
  serial=$(openssl x509 -in chain.pem -noout -serial | cut -d = -f 2)
  # openssl leaves the first zeros of the DER away, and so did acme.sh.
  printf '%s.%s' "$(printf %s "$key" | unhex | b64)" "$(printf %s "$serial" | unhex | b64)"
}

renew() {
  local id start; id=$(certificate_id)
  if [ -s renewal_info ]; then
    ask GET "$(cat renewal_info)/$id" ""
    [ "$code" = 200 ] || fail "renewalInfo: $code"
    start=$(printf %s "$response" | grep -Eo '"suggestedWindow" *: *\{[^}]*\}' | grep -Eo '"start" *: *"[^"]*"' | cut -d '"' -f 4)
    [ "$(date -u -d "$start" +%s)" -gt 0 ] || fail "no start of the window"
    echo "window from $start"
    nonce=
    order "$1" ", \"replaces\": \"$id\""
  else
    order "$1" ""
  fi
}

revoke() {
  post "$(cat revoke_cert)" "{\"certificate\": \"$(openssl x509 -in chain.pem -outform DER | b64)\", \"reason\": 0}"
  # Only a body without a byte is success.
  [ -z "$response" ] || fail "revoke: $code"
}

deactivate() {
  post "$(cat account_url)" '{"status": "deactivated"}'
  printf %s "$response" | grep -q '"deactivated"' || fail "deactivate: $code"
}

headers= response= code= nonce=
discover
case "$1" in
  register) register ;;
  issue) order "$2" "" ;;
  renew) renew "$2" ;;
  revoke) revoke ;;
  deactivate) deactivate ;;
esac
