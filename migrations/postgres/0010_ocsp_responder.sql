-- What replicas ask a holder of the CA's key for: a certificate for the OCSP responder's key they made (store::responders).
-- The key itself is in the replica's memory only.
CREATE TABLE ocsp_responder (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    issuer_id  TEXT COLLATE "C" NOT NULL,
    replica    TEXT COLLATE "C" NOT NULL,
    spki       BYTEA NOT NULL,
    proof      BYTEA NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    tbs        BYTEA,
    der        BYTEA,
    error      TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    version    BIGINT NOT NULL
);
