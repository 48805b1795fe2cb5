//! Transparency logs.
