-- What is and was on revocation lists: one row a certificate, at the number of its last change (store::revocations).
-- `serial` has 20 octets, zeros in front, so that it sorts as the number does, which is how lists are made.
CREATE TABLE revocation (
    issuer_id      TEXT COLLATE "C" NOT NULL,
    serial         BYTEA NOT NULL,
    shard          BIGINT NOT NULL,
    certificate_id TEXT COLLATE "C" NOT NULL,
    number         BIGINT NOT NULL,
    state          TEXT COLLATE "C" NOT NULL,
    revoked_at     BIGINT NOT NULL,
    reason         BIGINT,
    not_after      BIGINT NOT NULL,
    first_crl      BIGINT,
    first_crl_at   BIGINT,
    PRIMARY KEY (issuer_id, serial)
);

CREATE UNIQUE INDEX revocation_number ON revocation (number);

-- Whatever else is refused, in the same numbering.
CREATE TABLE denial (
    kind       TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    number     BIGINT NOT NULL,
    denied     BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);

CREATE UNIQUE INDEX denial_number ON denial (number);

-- The last number. Whoever makes a change holds this one row, so that numbers are seen in their order and without gaps.
CREATE TABLE revocation_head (
    id     BIGINT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
);

INSERT INTO revocation (issuer_id, serial, shard, certificate_id, number, state, revoked_at, reason, not_after)
SELECT issuer_id, decode(lpad(serial, 40, '0'), 'hex'), shard, id,
    ROW_NUMBER() OVER (ORDER BY revoked_at, id), 'revoked', revoked_at, revocation_reason, not_after
FROM certificate WHERE state = 'revoked';

INSERT INTO denial (kind, subject, number, denied, changed_at)
SELECT kind, subject, (SELECT COUNT(*) FROM revocation) + ROW_NUMBER() OVER (ORDER BY changed_at, subject), 1, changed_at
FROM (
    SELECT 'account' AS kind, id AS subject, created_at AS changed_at FROM account WHERE status <> 'valid'
    UNION ALL
    SELECT 'device', id, COALESCE(state_at, created_at) FROM device WHERE state IN ('retired', 'compromised')
) AS gone;

INSERT INTO revocation_head (id, number)
SELECT 0, (SELECT COUNT(*) FROM revocation) + (SELECT COUNT(*) FROM denial);

DROP INDEX certificate_revoked;
