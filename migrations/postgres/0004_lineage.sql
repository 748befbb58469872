-- What an order replaces, as the client wrote it, and when that ends (store::orders); `replaces` is its id.
ALTER TABLE acme_order ADD COLUMN replaces_name TEXT COLLATE "C";
ALTER TABLE acme_order ADD COLUMN replaces_end BIGINT;
-- The successors of a certificate (store::certificates).
CREATE INDEX certificate_predecessor ON certificate (predecessor) WHERE predecessor IS NOT NULL;
-- Certificates of the key made before `replace_from` are to be replaced until `replace_until` (store::issuers).
ALTER TABLE issuer ADD COLUMN replace_from BIGINT;
ALTER TABLE issuer ADD COLUMN replace_until BIGINT;
-- The terms of service that were agreed to, by their URL (store::accounts).
ALTER TABLE account ADD COLUMN terms_agreed TEXT COLLATE "C";
