//! Signs people in and mints the tokens that clouds trust.
