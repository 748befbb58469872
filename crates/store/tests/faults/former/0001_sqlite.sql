-- Times are Unix milliseconds. Identifiers are text; those of rows that come in masses begin with time, so that new
-- rows lie side by side. Serial numbers are random and never the clustering key.
-- `acme_order` and `acme_authorization` have a prefix because the bare words are reserved.
-- Small rows are clustered by their key (WITHOUT ROWID); wide ones are not, or they would spill into whole pages.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE site (
    id         TEXT NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO site (id, created_at) VALUES ('home', 0);

-- One issuing key, whatever certificates name it.
CREATE TABLE issuer (
    id          TEXT NOT NULL PRIMARY KEY,
    site_id     TEXT NOT NULL REFERENCES site (id),
    name        TEXT NOT NULL,
    key_id      TEXT NOT NULL,
    algorithm   TEXT NOT NULL,
    spki_sha256 BLOB NOT NULL UNIQUE,
    state       TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

-- A key may have several: cross-signed, or renewed.
CREATE TABLE issuer_certificate (
    id               TEXT NOT NULL PRIMARY KEY,
    issuer_id        TEXT NOT NULL REFERENCES issuer (id),
    parent_issuer_id TEXT REFERENCES issuer (id),
    der              BLOB NOT NULL,
    not_before       INTEGER NOT NULL,
    not_after        INTEGER NOT NULL,
    sha256           BLOB NOT NULL UNIQUE,
    created_at       INTEGER NOT NULL
) STRICT;

CREATE TABLE device (
    id           TEXT NOT NULL PRIMARY KEY,
    site_id      TEXT NOT NULL REFERENCES site (id),
    name         TEXT NOT NULL UNIQUE,
    profile      TEXT NOT NULL,
    state        TEXT NOT NULL,
    state_at     INTEGER,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER,
    version      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Names a device may have without challenge, in the order they were given.
CREATE TABLE device_name (
    device_id TEXT NOT NULL REFERENCES device (id),
    position  INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (device_id, position),
    UNIQUE (kind, value, device_id)
) STRICT, WITHOUT ROWID;

-- `sealed_secret` is erased when the key is bound.
CREATE TABLE eab_key (
    id            TEXT NOT NULL PRIMARY KEY,
    device_id     TEXT REFERENCES device (id),
    state         TEXT NOT NULL,
    state_at      INTEGER,
    sealed_secret BLOB,
    account_id    TEXT,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX eab_key_device ON eab_key (device_id) WHERE device_id IS NOT NULL;

CREATE TABLE account (
    id         TEXT NOT NULL PRIMARY KEY,
    site_id    TEXT NOT NULL REFERENCES site (id),
    thumbprint TEXT NOT NULL UNIQUE,
    jwk        TEXT NOT NULL,
    contacts   TEXT NOT NULL,
    status     TEXT NOT NULL,
    device_id  TEXT REFERENCES device (id),
    eab_key_id TEXT REFERENCES eab_key (id),
    created_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT;

CREATE INDEX account_device ON account (device_id) WHERE device_id IS NOT NULL;

CREATE TABLE acme_order (
    id             TEXT NOT NULL PRIMARY KEY,
    account_id     TEXT NOT NULL REFERENCES account (id),
    identifiers    TEXT NOT NULL,
    profile        TEXT NOT NULL,
    not_before     INTEGER,
    not_after      INTEGER,
    replaces       TEXT,
    state          TEXT NOT NULL,
    certificate_id TEXT,
    error          TEXT,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    version        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX acme_order_account ON acme_order (account_id, id);
CREATE INDEX acme_order_open ON acme_order (expires_at) WHERE state IN ('pending', 'ready');
CREATE INDEX acme_order_replaces ON acme_order (replaces) WHERE replaces IS NOT NULL;

-- `challenges` is one text: they are read and changed together, and three rows with indexes of their own were a third of
-- what an order takes.
CREATE TABLE acme_authorization (
    id         TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id),
    kind       TEXT NOT NULL,
    value      TEXT NOT NULL,
    status     TEXT NOT NULL,
    proof      TEXT NOT NULL,
    challenges TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX acme_authorization_valid ON acme_authorization (account_id, value) WHERE status = 'valid';

CREATE TABLE order_authorization (
    order_id         TEXT NOT NULL REFERENCES acme_order (id),
    position         INTEGER NOT NULL,
    authorization_id TEXT NOT NULL REFERENCES acme_authorization (id),
    PRIMARY KEY (order_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX order_authorization_authorization ON order_authorization (authorization_id);

-- From the plan to long after the end. `tbs` is erased when `der` is there. Issuer, site and order are not foreign
-- keys: every issuance would lock the one row of its issuer, and orders are pruned long before certificates.
CREATE TABLE certificate (
    id                TEXT NOT NULL PRIMARY KEY,
    issuer_id         TEXT NOT NULL,
    serial            TEXT NOT NULL,
    site_id           TEXT NOT NULL,
    device_id         TEXT REFERENCES device (id),
    account_id        TEXT REFERENCES account (id),
    order_id          TEXT,
    source            TEXT NOT NULL,
    profile           TEXT NOT NULL,
    policy_revision   TEXT NOT NULL,
    epoch             INTEGER NOT NULL,
    identifiers       TEXT NOT NULL,
    spki_sha256       BLOB NOT NULL,
    not_before        INTEGER NOT NULL,
    not_after         INTEGER NOT NULL,
    lineage_id        TEXT NOT NULL,
    generation        INTEGER NOT NULL,
    predecessor       TEXT,
    confirmed_at      INTEGER,
    shard             INTEGER NOT NULL,
    crl_urls          TEXT NOT NULL,
    state             TEXT NOT NULL,
    tbs               BLOB,
    der               BLOB,
    revoked_at        INTEGER,
    revocation_reason INTEGER,
    created_at        INTEGER NOT NULL,
    version           INTEGER NOT NULL,
    UNIQUE (issuer_id, serial)
) STRICT;

CREATE INDEX certificate_device ON certificate (device_id, id) WHERE device_id IS NOT NULL;
CREATE INDEX certificate_end ON certificate (not_after);
CREATE INDEX certificate_planned ON certificate (created_at) WHERE state = 'planned';
CREATE INDEX certificate_revoked ON certificate (issuer_id, not_after, shard) WHERE state = 'revoked';

-- What names are searched by: `=` and the name, and for DNS names `<` and the labels reversed, each with a dot
-- (`<test.site.gw-1.`), so that everything under a domain is one range.
CREATE TABLE certificate_name (
    token          TEXT NOT NULL,
    certificate_id TEXT NOT NULL REFERENCES certificate (id),
    PRIMARY KEY (token, certificate_id)
) STRICT, WITHOUT ROWID;

-- Work that survives a crash, written in the transaction that owes it.
CREATE TABLE job (
    id           TEXT NOT NULL PRIMARY KEY,
    kind         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    run_at       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    lease_owner  TEXT,
    leased_until INTEGER,
    created_at   INTEGER NOT NULL,
    last_error   TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX job_due ON job (run_at);
CREATE INDEX job_subject ON job (kind, subject);

-- `bytes` is the event; the columns beside it are what is searched by. `number` comes after the commit.
CREATE TABLE audit_event (
    id      TEXT NOT NULL PRIMARY KEY,
    number  INTEGER,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    bytes   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_event_subject ON audit_event (subject, id);

-- The newest list of each scope; shard -1 is the complete list.
CREATE TABLE crl (
    issuer_id   TEXT NOT NULL REFERENCES issuer (id),
    shard       INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    this_update INTEGER NOT NULL,
    next_update INTEGER NOT NULL,
    der         BLOB NOT NULL,
    PRIMARY KEY (issuer_id, shard)
) STRICT;

CREATE TABLE used_nonce (
    nonce      TEXT NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX used_nonce_end ON used_nonce (expires_at);
