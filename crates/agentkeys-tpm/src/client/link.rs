use std::{
    fs::OpenOptions,
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use zeroize::Zeroizing;

/// As long as an answer may be.
const LONGEST: usize = 4096;
/// Tag, size and code.
const HEADER: usize = 10;
/// How long a TPM may think: some take a minute for a key of RSA.
const PATIENCE: Duration = Duration::from_mins(2);

pub(super) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// What commands and answers go over.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    shared: bool,
}

impl Link {
    pub(super) fn open(place: &str) -> Result<Self, super::TpmError> {
        let opened = if let Some(path) = place.strip_prefix("unix:") {
            unix(path).map(|stream| Self { stream, shared: false })
        } else if let Some(address) = place.strip_prefix("tcp:") {
            tcp(address).map(|stream| Self { stream, shared: false })
        } else {
            let device = OpenOptions::new().read(true).write(true).open(place);
            device.map(|device| Self { stream: Box::new(device), shared: true })
        };
        opened.map_err(|source| super::TpmError::Open { place: place.to_owned(), source })
    }

    /// Over this, to be the only client of.
    #[cfg(test)]
    pub(super) fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), shared: false }
    }

    /// Whether somebody in between keeps what this client loads apart from what others do.
    pub(super) fn is_shared(&self) -> bool {
        self.shared
    }

    /// Sends a command; gives the whole answer.
    pub(super) fn exchange(&mut self, command: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        self.stream.write_all(command)?;
        self.stream.flush()?;
        // A device gives an answer to one call only, so there must be room for all of it.
        let mut answer = Zeroizing::new(vec![0; LONGEST]);
        let mut have = 0;
        loop {
            let room = answer.get_mut(have..).filter(|room| !room.is_empty());
            let count = match self.stream.read(room.ok_or_else(too_long)?) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            have += count;
            let Some([_, _, a, b, c, d, ..]) = answer[..have].first_chunk::<HEADER>() else { continue };
            let size = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).map_err(|_| too_long())?;
            if !(HEADER..=LONGEST).contains(&size) || have > size {
                return Err(too_long());
            }
            if have == size {
                answer.truncate(have);
                return Ok(answer);
            }
        }
    }
}

#[cfg(unix)]
fn unix(path: &str) -> io::Result<Box<dyn Stream>> {
    let stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(Box::new(stream))
}

#[cfg(not(unix))]
fn unix(_path: &str) -> io::Result<Box<dyn Stream>> {
    Err(io::ErrorKind::Unsupported.into())
}

fn tcp(address: &str) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(Box::new(stream))
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer has not the length that it says")
}
