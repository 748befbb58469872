-- What replicas ask a holder of the CA's key for: a certificate for the OCSP responder's key they made (store::responders).
-- The key itself is in the replica's memory only.
CREATE TABLE ocsp_responder (
    id         TEXT NOT NULL PRIMARY KEY,
    issuer_id  TEXT NOT NULL,
    replica    TEXT NOT NULL,
    spki       BLOB NOT NULL,
    proof      BLOB NOT NULL,
    state      TEXT NOT NULL,
    tbs        BLOB,
    der        BLOB,
    error      TEXT,
    created_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
