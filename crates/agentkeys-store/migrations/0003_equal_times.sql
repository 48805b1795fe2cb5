-- What is not there costs as much time as what is.

-- Answered in the place of a sign-in that nobody began: never rightly, never over, never purged.
INSERT INTO email_sign_ins (request, email, code_hash, client_name, created_at, expires_at)
VALUES (X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF',
        'nobody@unknown.invalid', zeroblob(32), 'nothing', 0, 253402300799);

-- A revoked session is missing here like one that never was.
CREATE UNIQUE INDEX sessions_not_revoked ON sessions (id) WHERE revoked_at IS NULL;
