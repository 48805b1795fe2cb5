use agentkeys_client::ClientError;

/// `prefix`, and something after it that nobody has seen before.
pub(crate) fn random_name(prefix: &str) -> Result<String, ClientError> {
    let mut bits = [0; 8];
    getrandom::fill(&mut bits).map_err(|_| ClientError::NoRandomness)?;
    Ok(format!("{prefix}{:016x}", u64::from_ne_bytes(bits)))
}
