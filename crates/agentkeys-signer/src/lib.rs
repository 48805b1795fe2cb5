//! The signer's routes, gate and signing log, over any source of the master secret.
