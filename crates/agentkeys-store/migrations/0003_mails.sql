-- Mails that wait to leave.

CREATE TABLE mails (
    -- Never used again, so that a late word about one mail is not taken for another.
    id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    recipient       TEXT    NOT NULL,
    -- Sealed by the broker.
    content         BLOB    NOT NULL,
    written_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX mails_by_next_attempt ON mails (next_attempt_at);
CREATE INDEX mails_by_expiry ON mails (expires_at);
