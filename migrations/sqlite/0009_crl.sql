-- What is known of the newest list of each scope, apart from its bytes: this is read every second, and behind a list of
-- fifty megabytes nothing is read quickly (store::crls). Shard -1 is the complete list.
CREATE TABLE crl_scope (
    issuer_id        TEXT NOT NULL,
    shard            INTEGER NOT NULL,
    number           INTEGER NOT NULL,
    this_update      INTEGER NOT NULL,
    next_update      INTEGER NOT NULL,
    entries          INTEGER NOT NULL,
    covers           INTEGER NOT NULL,
    urls             TEXT NOT NULL,
    scheduled_number INTEGER NOT NULL,
    scheduled_at     INTEGER NOT NULL,
    scheduled_covers INTEGER NOT NULL,
    PRIMARY KEY (issuer_id, shard)
) STRICT, WITHOUT ROWID;

-- Lists that were made before they were numbered by revocations count as due.
INSERT INTO crl_scope (issuer_id, shard, number, this_update, next_update, entries, covers, urls, scheduled_number, scheduled_at,
    scheduled_covers)
SELECT issuer_id, shard, number, this_update, next_update, 0, 0, '[]', 0, 0, 0 FROM crl;

-- The delta to the last scheduled list of a scope, under the number of its newest list.
CREATE TABLE crl_delta (
    issuer_id TEXT NOT NULL,
    shard     INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    der       BLOB NOT NULL,
    PRIMARY KEY (issuer_id, shard)
) STRICT;
