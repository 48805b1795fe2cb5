//! One small storage trait per kind of record, its conformance suite, and SQLite behind it.
