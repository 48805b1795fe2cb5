//! Typed clients for broker, signer and STS, the eight-step flow, and session storage.
