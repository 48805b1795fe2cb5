use std::{
    fs::File,
    hint::black_box,
    io::Write,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey},
};
use rustix::time::{ClockId, clock_gettime};
use secp256k1::{Message, SECP256K1, SecretKey};

/// CPU time of the cryptography that requests cannot avoid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BareCrypto {
    pub(crate) secp256k1_sign: Duration,
    pub(crate) es256_sign: Duration,
    pub(crate) es256_verify: Duration,
}

impl BareCrypto {
    pub(crate) fn measure() -> anyhow::Result<Self> {
        let key = SecretKey::from_byte_array([7; 32])?;
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref())?;
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())?;
        let message = [1_u8; 400];
        let signature = pair.sign(&random, &message)?;
        Ok(Self {
            secp256k1_sign: cpu_time_of(|round| {
                let mut digest = [1; 32];
                digest[..8].copy_from_slice(&round.to_be_bytes());
                black_box(SECP256K1.sign_ecdsa_recoverable(Message::from_digest(digest), &key));
            }),
            es256_sign: cpu_time_of(|_| {
                black_box(pair.sign(&random, &message).is_ok());
            }),
            es256_verify: cpu_time_of(|_| {
                black_box(public.verify_sig(&message, signature.as_ref()).is_ok());
            }),
        })
    }
}

/// The median CPU time of one call, over nine batches.
fn cpu_time_of(mut call: impl FnMut(u64)) -> Duration {
    const BATCH: u32 = 2000;
    let mut batches: Vec<Duration> = (0..9)
        .map(|batch| {
            let before = thread_cpu_time();
            (0..BATCH).for_each(|round| call(u64::from(batch * BATCH + round)));
            thread_cpu_time().saturating_sub(before) / BATCH
        })
        .collect();
    batches.sort();
    batches[batches.len() / 2]
}

/// The CPU time of this thread so far.
pub(crate) fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The median time until four more KiB of a file are on disk.
pub(crate) fn disk_sync(folder: &std::path::Path) -> anyhow::Result<Duration> {
    let mut file = File::create(folder.join("sync"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[1; 4096])?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
}
