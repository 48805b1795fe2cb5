//! Transparency logs: trees of RFC 6962, kept and served as C2SP tlog-tiles, under signed checkpoints.
//!
//! [`Tree`] grows leaf by leaf. A [`Checkpoint`] is what the log says of itself, signed as C2SP signed-note; its
//! [`SignerKey`] and [`VerifierKey`] are Ed25519. A client asks [`tiles_for_inclusion`] and [`tiles_for_consistency`]
//! which tiles it needs, fetches them however it likes into [`Tiles`], and has [`Checkpoint::verify_included`] and
//! [`Checkpoint::verify_consistent`] decide.
//!
//! The folder of a log has the files of C2SP tlog-tiles and a journal of what they do not hold yet: [`Edge`] gives the
//! files, [`frame`] what goes into the journal, and [`audit`] checks all of it. Nothing else here reads a file.

mod audit;
mod bundle;
mod checkpoint;
mod edge;
mod hash;
mod journal;
mod note;
mod proof;
mod tile;
mod tree;

pub use audit::{AuditError, Audited, CHECKPOINT_FILE, JOURNAL_FILE, audit};
pub use bundle::{leaves, push_leaf};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use edge::{Edge, LogFile};
pub use hash::Hash;
pub use journal::frame;
pub use note::{NoteError, SignerKey, VerifierKey};
pub use proof::{
    ProofError, prove_consistency, prove_inclusion, tiles_for_consistency, tiles_for_inclusion, verify_consistency,
    verify_inclusion,
};
pub use tile::{TILE_WIDTH, Tile, TileId, Tiles, entries_path};
pub use tree::Tree;
