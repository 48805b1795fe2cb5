-- Sessions are bound to a device key, and their tokens renewed.

ALTER TABLE sessions ADD COLUMN key_thumbprint BLOB;
ALTER TABLE sessions ADD COLUMN source BLOB;
ALTER TABLE sessions ADD COLUMN last_used_at INTEGER;
-- The `iat` of the one token that counts, once it was renewed: those issued before do not.
ALTER TABLE sessions ADD COLUMN renewed_at INTEGER;
-- The `iat` of the token that it replaced, and when it did.
ALTER TABLE sessions ADD COLUMN renewed_from INTEGER;
ALTER TABLE sessions ADD COLUMN renewal_asked_at INTEGER;

ALTER TABLE email_sign_ins ADD COLUMN key_thumbprint BLOB;
