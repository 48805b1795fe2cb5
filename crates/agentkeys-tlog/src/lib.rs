//! Transparency logs: trees of RFC 6962, kept and served as C2SP tlog-tiles, under signed checkpoints.
//!
//! [`Tree`] grows leaf by leaf. A [`Checkpoint`] is what the log says of itself, signed as C2SP signed-note; its
//! [`SignerKey`] and [`VerifierKey`] are Ed25519. A client asks [`tiles_for_inclusion`] and [`tiles_for_consistency`]
//! which tiles it needs, fetches them however it likes into [`Tiles`], and has [`Checkpoint::verify_included`] and
//! [`Checkpoint::verify_consistent`] decide. Nothing here reads a file or a socket.

mod bundle;
mod checkpoint;
mod hash;
mod note;
mod proof;
mod tile;
mod tree;

pub use bundle::{leaves, push_leaf};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use hash::Hash;
pub use note::{NoteError, SignerKey, VerifierKey};
pub use proof::{
    ProofError, prove_consistency, prove_inclusion, tiles_for_consistency, tiles_for_inclusion, verify_consistency,
    verify_inclusion,
};
pub use tile::{TILE_WIDTH, Tile, TileId, Tiles, entries_path};
pub use tree::Tree;
