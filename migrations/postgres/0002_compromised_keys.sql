-- Keys that were compromised are looked for whenever a certificate is asked for.
CREATE INDEX certificate_compromised ON certificate (spki_sha256) WHERE revocation_reason = 1;
