use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    path::Path,
    thread::{self, JoinHandle},
};

use super::*;

/// The answer to what is loaded: nothing is.
const NOTHING_LOADED: &str = "80010000001300000000000000000100000000";

/// A TPM that answers two questions, which are asked when it is opened, and is gone at the third.
fn short_lived(socket: &Path) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut command = [0; 22];
        for _ in 0..2 {
            client.read_exact(&mut command).unwrap();
            client.write_all(&hex::decode(NOTHING_LOADED).unwrap()).unwrap();
        }
        let _ = client.read(&mut command);
    })
}

#[tokio::test]
async fn a_tpm_that_is_gone_is_noticed_by_the_first_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("tpm");
    let gone = short_lived(&socket);
    let tpm = SharedTpm::open(&format!("unix:{}", socket.display())).unwrap();
    assert!(!*tpm.0.is_broken.borrow());

    let first = tpm.ask(Tpm::random);

    assert!(matches!(first, Err(TpmError::Transport { .. })), "{first:?}");
    tpm.broken().await;
    assert!(matches!(tpm.ask(Tpm::random), Err(TpmError::Broken)));
    gone.join().unwrap();
}
