-- Agents: the programs that a person's account lets have web-identity JWTs in their own names.

CREATE TABLE agents (
    account    BLOB    NOT NULL,
    name       TEXT    NOT NULL,
    -- in order, with a space between them
    audiences  TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX agents_by_expiry ON agents (expires_at) WHERE expires_at IS NOT NULL;
