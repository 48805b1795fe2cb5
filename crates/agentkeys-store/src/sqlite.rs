/// The store in a file.
#[derive(Debug)]
pub struct SqliteStore;
