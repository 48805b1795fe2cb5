//! Somebody on the wires between a client and its TPM.

use std::{
    io::{self, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    thread::{self, JoinHandle},
};

use agentkeys_testing::Swtpm;
use tempfile::TempDir;

/// Passes on what goes over the wires of one client, and keeps it.
pub(crate) struct Interposer {
    folder: TempDir,
    heard: JoinHandle<Vec<u8>>,
}

impl Interposer {
    /// One that changes nothing.
    pub(crate) fn listening(swtpm: &Swtpm) -> Self {
        Self::with(swtpm, |_, _| {})
    }

    /// One that flips a bit, at this place in the answers to a command.
    pub(crate) fn flipping(swtpm: &Swtpm, command: u32, at: usize) -> Self {
        Self::with(swtpm, move |asked, answer| {
            if asked[6..10] == command.to_be_bytes() {
                answer[at] ^= 1;
            }
        })
    }

    /// One that answers with an error to each command of this code in which these bytes are.
    pub(crate) fn refusing(swtpm: &Swtpm, command: u32, about: Vec<u8>) -> Self {
        Self::with(swtpm, move |asked, answer| {
            if asked[6..10] == command.to_be_bytes() && asked.windows(about.len()).any(|part| part == about) {
                answer[9] ^= 1;
            }
        })
    }

    fn with(swtpm: &Swtpm, change: impl Fn(&[u8], &mut [u8]) + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("tpm.sock")).unwrap();
        let mut tpm = connect(swtpm);
        let heard = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            while let Ok(asked) = message(&mut client) {
                tpm.write_all(&asked).unwrap();
                let mut answer = message(&mut tpm).unwrap();
                heard.extend([&*asked, &*answer].concat());
                change(&asked, &mut answer);
                if client.write_all(&answer).is_err() {
                    break;
                }
            }
            heard
        });
        Self { folder, heard }
    }

    /// Where it listens.
    pub(crate) fn path(&self) -> String {
        format!("unix:{}", self.folder.path().join("tpm.sock").display())
    }

    /// All that was said, once the client has gone.
    pub(crate) fn heard(self) -> Vec<u8> {
        self.heard.join().unwrap()
    }
}

/// A client that makes three storage keys, as many as there is room for, and goes.
pub(crate) fn leave_three_keys_loaded(swtpm: &Swtpm) {
    let make_key = "8002 00000043 00000131 40000001 00000009 40000009 0000 00 0000 0004 0000 0000 \
                    001a 0023 000b 00030472 0000 0006 0080 0043 0010 0003 0010 0000 0000 0000 00000000";
    let make_key = hex::decode(make_key.replace(' ', "")).unwrap();
    let mut tpm = connect(swtpm);
    for _ in 0..3 {
        tpm.write_all(&make_key).unwrap();
        assert_eq!(message(&mut tpm).unwrap()[6..10], [0; 4]);
    }
    tpm.write_all(&make_key).unwrap();
    assert_eq!(message(&mut tpm).unwrap()[6..10], 0x902_u32.to_be_bytes(), "no room for another");
}

/// A client that owns the machine and deletes an index.
pub(crate) fn delete_index(swtpm: &Swtpm, index: u32) {
    let delete = format!("8002 0000001f 00000122 40000001 {index:08x} 00000009 40000009 0000 00 0000");
    assert_eq!(code_of_answer(swtpm, &delete), 0);
}

/// A client that gives the empty password of `entity` to write 32 bytes at an index; gives what the TPM says.
pub(crate) fn write_index(swtpm: &Swtpm, entity: u32, index: u32, content: &[u8; 32]) -> u32 {
    let content = hex::encode(content);
    let write =
        format!("8002 00000043 00000137 {entity:08x} {index:08x} 00000009 40000009 0000 00 0000 0020 {content} 0000");
    code_of_answer(swtpm, &write)
}

fn code_of_answer(swtpm: &Swtpm, command: &str) -> u32 {
    let mut tpm = connect(swtpm);
    tpm.write_all(&hex::decode(command.replace(' ', "")).unwrap()).unwrap();
    u32::from_be_bytes(message(&mut tpm).unwrap()[6..10].try_into().unwrap())
}

fn connect(swtpm: &Swtpm) -> UnixStream {
    UnixStream::connect(swtpm.path().strip_prefix("unix:").unwrap()).unwrap()
}

/// A command or an answer: both say at the third byte how long they are.
fn message(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 6];
    stream.read_exact(&mut message)?;
    let length = u32::from_be_bytes([message[2], message[3], message[4], message[5]]);
    message.resize(length.try_into().unwrap(), 0);
    stream.read_exact(&mut message[6..])?;
    Ok(message)
}
