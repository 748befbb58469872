-- Times are Unix milliseconds. Identifiers are text; those of rows that come in masses begin with time, so that new
-- rows lie side by side. Serial numbers are random and never the clustering key.
-- `acme_order` and `acme_authorization` have a prefix because the bare words are reserved.
-- Texts compare byte by byte (collation "C"), whatever the locale of the database: searches by prefix depend on it.

CREATE TABLE meta (
    key   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

CREATE TABLE site (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);

INSERT INTO site (id, created_at) VALUES ('home', 0);

-- One issuing key, whatever certificates name it.
CREATE TABLE issuer (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    site_id     TEXT COLLATE "C" NOT NULL REFERENCES site (id),
    name        TEXT COLLATE "C" NOT NULL,
    key_id      TEXT COLLATE "C" NOT NULL,
    algorithm   TEXT COLLATE "C" NOT NULL,
    spki_sha256 BYTEA NOT NULL UNIQUE,
    state       TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL
);

-- A key may have several: cross-signed, or renewed.
CREATE TABLE issuer_certificate (
    id               TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    issuer_id        TEXT COLLATE "C" NOT NULL REFERENCES issuer (id),
    parent_issuer_id TEXT COLLATE "C" REFERENCES issuer (id),
    der              BYTEA NOT NULL,
    not_before       BIGINT NOT NULL,
    not_after        BIGINT NOT NULL,
    sha256           BYTEA NOT NULL UNIQUE,
    created_at       BIGINT NOT NULL
);

CREATE TABLE device (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    site_id      TEXT COLLATE "C" NOT NULL REFERENCES site (id),
    name         TEXT COLLATE "C" NOT NULL UNIQUE,
    profile      TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    state_at     BIGINT,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT,
    version      BIGINT NOT NULL
);

-- Names a device may have without challenge, in the order they were given.
CREATE TABLE device_name (
    device_id TEXT COLLATE "C" NOT NULL REFERENCES device (id),
    position  BIGINT NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    value     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (device_id, position),
    UNIQUE (kind, value, device_id)
);

-- `sealed_secret` is erased when the key is bound.
CREATE TABLE eab_key (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    device_id     TEXT COLLATE "C" REFERENCES device (id),
    state         TEXT COLLATE "C" NOT NULL,
    state_at      BIGINT,
    sealed_secret BYTEA,
    account_id    TEXT COLLATE "C",
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT
);

CREATE INDEX eab_key_device ON eab_key (device_id) WHERE device_id IS NOT NULL;

CREATE TABLE account (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    site_id    TEXT COLLATE "C" NOT NULL REFERENCES site (id),
    thumbprint TEXT COLLATE "C" NOT NULL UNIQUE,
    jwk        TEXT COLLATE "C" NOT NULL,
    contacts   TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    device_id  TEXT COLLATE "C" REFERENCES device (id),
    eab_key_id TEXT COLLATE "C" REFERENCES eab_key (id),
    created_at BIGINT NOT NULL,
    version    BIGINT NOT NULL
);

CREATE INDEX account_device ON account (device_id) WHERE device_id IS NOT NULL;

CREATE TABLE acme_order (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id     TEXT COLLATE "C" NOT NULL REFERENCES account (id),
    identifiers    TEXT COLLATE "C" NOT NULL,
    profile        TEXT COLLATE "C" NOT NULL,
    not_before     BIGINT,
    not_after      BIGINT,
    replaces       TEXT COLLATE "C",
    state          TEXT COLLATE "C" NOT NULL,
    certificate_id TEXT COLLATE "C",
    error          TEXT COLLATE "C",
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    version        BIGINT NOT NULL
);

CREATE INDEX acme_order_account ON acme_order (account_id, id);
CREATE INDEX acme_order_open ON acme_order (expires_at) WHERE state IN ('pending', 'ready');
CREATE INDEX acme_order_replaces ON acme_order (replaces) WHERE replaces IS NOT NULL;

-- `challenges` is one text: they are read and changed together, and three rows with indexes of their own were a third of
-- what an order takes.
CREATE TABLE acme_authorization (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES account (id),
    kind       TEXT COLLATE "C" NOT NULL,
    value      TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    proof      TEXT COLLATE "C" NOT NULL,
    challenges TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    version    BIGINT NOT NULL
);

CREATE INDEX acme_authorization_valid ON acme_authorization (account_id, value) WHERE status = 'valid';

CREATE TABLE order_authorization (
    order_id         TEXT COLLATE "C" NOT NULL REFERENCES acme_order (id),
    position         BIGINT NOT NULL,
    authorization_id TEXT COLLATE "C" NOT NULL REFERENCES acme_authorization (id),
    PRIMARY KEY (order_id, position)
);

CREATE INDEX order_authorization_authorization ON order_authorization (authorization_id);

-- From the plan to long after the end. `tbs` is erased when `der` is there. Issuer, site and order are not foreign
-- keys: every issuance would lock the one row of its issuer, and orders are pruned long before certificates.
CREATE TABLE certificate (
    id                TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    issuer_id         TEXT COLLATE "C" NOT NULL,
    serial            TEXT COLLATE "C" NOT NULL,
    site_id           TEXT COLLATE "C" NOT NULL,
    device_id         TEXT COLLATE "C" REFERENCES device (id),
    account_id        TEXT COLLATE "C" REFERENCES account (id),
    order_id          TEXT COLLATE "C",
    source            TEXT COLLATE "C" NOT NULL,
    profile           TEXT COLLATE "C" NOT NULL,
    policy_revision   TEXT COLLATE "C" NOT NULL,
    epoch             BIGINT NOT NULL,
    identifiers       TEXT COLLATE "C" NOT NULL,
    spki_sha256       BYTEA NOT NULL,
    not_before        BIGINT NOT NULL,
    not_after         BIGINT NOT NULL,
    lineage_id        TEXT COLLATE "C" NOT NULL,
    generation        BIGINT NOT NULL,
    predecessor       TEXT COLLATE "C",
    confirmed_at      BIGINT,
    shard             BIGINT NOT NULL,
    crl_urls          TEXT COLLATE "C" NOT NULL,
    state             TEXT COLLATE "C" NOT NULL,
    tbs               BYTEA,
    der               BYTEA,
    revoked_at        BIGINT,
    revocation_reason BIGINT,
    created_at        BIGINT NOT NULL,
    version           BIGINT NOT NULL,
    UNIQUE (issuer_id, serial)
);

CREATE INDEX certificate_device ON certificate (device_id, id) WHERE device_id IS NOT NULL;
CREATE INDEX certificate_end ON certificate (not_after);
CREATE INDEX certificate_planned ON certificate (created_at) WHERE state = 'planned';
CREATE INDEX certificate_revoked ON certificate (issuer_id, not_after, shard) WHERE state = 'revoked';

-- What names are searched by: `=` and the name, and for DNS names `<` and the labels reversed, each with a dot
-- (`<test.site.gw-1.`), so that everything under a domain is one range.
CREATE TABLE certificate_name (
    token          TEXT COLLATE "C" NOT NULL,
    certificate_id TEXT COLLATE "C" NOT NULL REFERENCES certificate (id),
    PRIMARY KEY (token, certificate_id)
);

-- Work that survives a crash, written in the transaction that owes it.
CREATE TABLE job (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind         TEXT COLLATE "C" NOT NULL,
    subject      TEXT COLLATE "C" NOT NULL,
    run_at       BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    lease_owner  TEXT COLLATE "C",
    leased_until BIGINT,
    created_at   BIGINT NOT NULL,
    last_error   TEXT COLLATE "C"
);

CREATE INDEX job_due ON job (run_at);
CREATE INDEX job_subject ON job (kind, subject);

-- `bytes` is the event; the columns beside it are what is searched by. `number` comes after the commit.
CREATE TABLE audit_event (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    number  BIGINT,
    action  TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    bytes   BYTEA NOT NULL
);

CREATE INDEX audit_event_subject ON audit_event (subject, id);

-- The newest list of each scope; shard -1 is the complete list.
CREATE TABLE crl (
    issuer_id   TEXT COLLATE "C" NOT NULL REFERENCES issuer (id),
    shard       BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    this_update BIGINT NOT NULL,
    next_update BIGINT NOT NULL,
    der         BYTEA NOT NULL,
    PRIMARY KEY (issuer_id, shard)
);

CREATE TABLE used_nonce (
    nonce      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX used_nonce_end ON used_nonce (expires_at);
