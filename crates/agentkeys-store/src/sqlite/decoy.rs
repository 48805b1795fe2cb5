use rusqlite::Connection;

/// Names the decoys: no digest and no random id is ever all ones. Written out where SQL needs a literal.
macro_rules! decoy_id {
    (request) => {
        "X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'"
    };
    (session) => {
        "X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'"
    };
}
pub(super) use decoy_id;

/// Rows that stand in for what is not there, so that a miss costs what a hit costs: one is read, decoded and, where
/// a code is answered, written. Nothing opens them, lists them or purges them.
const DECOYS: &str = concat!(
    "INSERT OR IGNORE INTO email_sign_ins (request, email, code_hash, client_name, created_at, expires_at) VALUES (",
    decoy_id!(request),
    ", 'nobody@decoy.invalid', zeroblob(32), 'nothing', 0, 253402300799); \
     INSERT OR IGNORE INTO sessions (id, account, identity_type, identity_value, client_name, created_at, auth_time, \
         expires_at, revoked_at) VALUES (",
    decoy_id!(session),
    ", zeroblob(32), 'email', 'nobody@decoy.invalid', 'nothing', 0, 0, 253402300799, 0);"
);

/// Sees to it that they are there.
pub(super) fn insert(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(DECOYS)
}
