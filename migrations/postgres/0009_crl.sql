-- What is known of the newest list of each scope, apart from its bytes: this is read every second, and behind a list of
-- fifty megabytes nothing is read quickly (store::crls). Shard -1 is the complete list.
CREATE TABLE crl_scope (
    issuer_id        TEXT COLLATE "C" NOT NULL,
    shard            BIGINT NOT NULL,
    number           BIGINT NOT NULL,
    this_update      BIGINT NOT NULL,
    next_update      BIGINT NOT NULL,
    entries          BIGINT NOT NULL,
    covers           BIGINT NOT NULL,
    urls             TEXT COLLATE "C" NOT NULL,
    scheduled_number BIGINT NOT NULL,
    scheduled_at     BIGINT NOT NULL,
    scheduled_covers BIGINT NOT NULL,
    PRIMARY KEY (issuer_id, shard)
);

-- Lists that were made before they were numbered by revocations count as due.
INSERT INTO crl_scope (issuer_id, shard, number, this_update, next_update, entries, covers, urls, scheduled_number, scheduled_at,
    scheduled_covers)
SELECT issuer_id, shard, number, this_update, next_update, 0, 0, '[]', 0, 0, 0 FROM crl;

-- The delta to the last scheduled list of a scope, under the number of its newest list.
CREATE TABLE crl_delta (
    issuer_id TEXT COLLATE "C" NOT NULL,
    shard     BIGINT NOT NULL,
    number    BIGINT NOT NULL,
    der       BYTEA NOT NULL,
    PRIMARY KEY (issuer_id, shard)
);
