-- All certificates of a key, not only the compromised ones: who revokes one for its key is told of the others
-- (store::certificates::selected). It serves what the narrower index did.
CREATE INDEX certificate_key ON certificate (spki_sha256);

DROP INDEX certificate_compromised;
