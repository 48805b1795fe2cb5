-- Times are seconds since 1970. Hashes, ids, accounts and addresses are raw bytes.

CREATE TABLE deployment (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE identity_links (
    identity_type  TEXT    NOT NULL,
    identity_value TEXT    NOT NULL,
    account        BLOB    NOT NULL,
    linked_at      INTEGER NOT NULL,
    PRIMARY KEY (identity_type, identity_value)
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_links_by_account ON identity_links (account);

CREATE TABLE sessions (
    id             BLOB    NOT NULL PRIMARY KEY,
    account        BLOB    NOT NULL,
    identity_type  TEXT    NOT NULL,
    identity_value TEXT    NOT NULL,
    client_name    TEXT,
    created_at     INTEGER NOT NULL,
    auth_time      INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    revoked_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_account ON sessions (account);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE email_sign_ins (
    request     BLOB    NOT NULL PRIMARY KEY,
    email       TEXT    NOT NULL,
    code_hash   BLOB    NOT NULL,
    client_name TEXT,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    wrong_codes INTEGER NOT NULL DEFAULT 0,
    -- waiting, or for good one of used, expired and tried_too_often
    state       TEXT    NOT NULL DEFAULT 'waiting'
) STRICT, WITHOUT ROWID;
CREATE INDEX email_sign_ins_by_expiry ON email_sign_ins (expires_at);

CREATE TABLE wallet_links (
    account   BLOB    NOT NULL,
    address   BLOB    NOT NULL,
    linked_at INTEGER NOT NULL,
    proved_at INTEGER,
    PRIMARY KEY (account, address)
) STRICT, WITHOUT ROWID;
-- A pending link blocks nobody; a proved one is unique.
CREATE UNIQUE INDEX proved_wallets ON wallet_links (address) WHERE proved_at IS NOT NULL;

CREATE TABLE challenges (
    request          BLOB    NOT NULL PRIMARY KEY,
    session          BLOB    NOT NULL,
    account          BLOB    NOT NULL,
    address          BLOB    NOT NULL,
    message          TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    wrong_signatures INTEGER NOT NULL DEFAULT 0,
    -- open, or for good used or expired
    state            TEXT    NOT NULL DEFAULT 'open'
) STRICT, WITHOUT ROWID;
CREATE INDEX challenges_by_expiry ON challenges (expires_at);

-- No index on closes_at: it would be written at every count, and only purging would read it.
CREATE TABLE limits (
    key       TEXT    NOT NULL PRIMARY KEY,
    closes_at INTEGER NOT NULL,
    count     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_entries (
    sequence INTEGER NOT NULL PRIMARY KEY CHECK (sequence > 0),
    at       INTEGER NOT NULL,
    action   TEXT    NOT NULL,
    outcome  TEXT    NOT NULL,
    account  BLOB,
    session  BLOB,
    subject  TEXT    NOT NULL,
    source   BLOB,
    hash     BLOB    NOT NULL
) STRICT;

-- One row, rewritten to see whether a write reaches the disk.
CREATE TABLE write_probe (
    id    INTEGER NOT NULL PRIMARY KEY,
    state INTEGER NOT NULL
) STRICT;
INSERT INTO write_probe (id, state) VALUES (1, 0);
