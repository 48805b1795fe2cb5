//! The contract of the store traits as a test suite, for any implementation to run.
