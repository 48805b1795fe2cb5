//! Keeps secrets out of what others can read of a process, and wipes what they leave behind.
//!
//! A [`Secret`] lives where the kernel shows it to this process alone, once [`keep_secrets_apart`] was called;
//! [`protection`] says how far that goes here. What a secret leaves behind elsewhere is wiped: freed memory by the
//! [`WipingAllocator`], dead stack and registers by [`clear_residue`], the environment by [`take_variable`].
//! [`close_process`] shuts out debuggers and core dumps, [`keep_descriptors_apart`] keeps open files from child
//! processes. This is the only crate with unsafe code.

mod allocator;
mod descriptors;
mod environment;
#[cfg(unix)]
mod pages;
mod process;
mod protection;
mod residue;
mod secret;

pub use allocator::WipingAllocator;
pub use descriptors::keep_descriptors_apart;
pub use environment::take_variable;
pub use process::close_process;
pub use protection::{Protection, protection};
pub use residue::clear_residue;
pub use secret::{Secret, keep_secrets_apart};
