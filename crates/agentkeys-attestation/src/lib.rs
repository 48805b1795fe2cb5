//! Verifies evidence of trusted execution against a policy. Opens no device.
