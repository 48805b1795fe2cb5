-- People sign in with a browser, link further identities, and take them away.

-- Set for an anchor that was taken away: nobody signs in with it, and only its own account may link it again.
ALTER TABLE identity_links ADD COLUMN retired_at INTEGER;
-- The address that a provider has for the person, to be shown.
ALTER TABLE identity_links ADD COLUMN email TEXT;

-- What the code does: it opens a session, proves an address to a browser, or links one to the account of a session.
ALTER TABLE email_sign_ins ADD COLUMN purpose TEXT NOT NULL DEFAULT 'session';
ALTER TABLE email_sign_ins ADD COLUMN session BLOB;
ALTER TABLE email_sign_ins ADD COLUMN account BLOB;

CREATE TABLE grants (
    secret         BLOB    NOT NULL PRIMARY KEY,
    -- code, device or link
    kind           TEXT    NOT NULL,
    client_name    TEXT,
    key_thumbprint BLOB,
    source         BLOB    NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    -- waiting, approved, or for good one of refused, used and expired
    state          TEXT    NOT NULL DEFAULT 'waiting',
    -- of a code
    redirect_uri   TEXT,
    client_state   TEXT,
    challenge      BLOB,
    -- of a device
    user_code      BLOB,
    -- of a link
    session        BLOB,
    account        BLOB,
    way            TEXT,
    -- how often a client may ask
    wait           INTEGER NOT NULL,
    asked_at       INTEGER,
    -- whether it asked too soon when it asked last
    too_soon       INTEGER NOT NULL DEFAULT 0,
    -- what was approved
    identity_type  TEXT,
    identity_value TEXT,
    email          TEXT,
    -- the session that it opened
    opened         BLOB
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX grants_by_user_code ON grants (user_code) WHERE user_code IS NOT NULL;
CREATE INDEX grants_by_expiry ON grants (expires_at);

CREATE TABLE browser_sign_ins (
    request        BLOB    NOT NULL PRIMARY KEY,
    browser        BLOB    NOT NULL,
    grant_secret   BLOB    NOT NULL,
    way            TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    -- waiting, answered, proved, or for good decided or over
    state          TEXT    NOT NULL DEFAULT 'waiting',
    identity_type  TEXT,
    identity_value TEXT,
    email          TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX browser_sign_ins_by_expiry ON browser_sign_ins (expires_at);
