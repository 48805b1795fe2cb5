//! Headers of our own, in lower case as HTTP/2 has them.

/// The worker's answers: how many changes the devices of the caller's account have seen.
pub const DEVICE_REVISION: &str = "agentkeys-device-revision";
/// The worker's signatures: a signed checkpoint of its log (C2SP tlog-checkpoint), in base64.
pub const LOG_CHECKPOINT: &str = "agentkeys-log-checkpoint";
/// The worker's signatures: the index of the signing's entry in its log, a space, and the entry in base64.
pub const LOG_ENTRY: &str = "agentkeys-log-entry";
