//! The whole of what the system shows of a process, looked through for secrets.

use std::{
    fmt,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    core_dump::CoreDump,
    needles::{Needles, Piece},
};

/// What of a process nobody else can read: the kernel's own pages, and memory that even the kernel has no map of.
const UNREADABLE: [&str; 5] = ["[vvar]", "[vvar_vclock]", "[vsyscall]", "/secretmem", "[vdso]"];

/// What a scan came to.
pub(crate) struct Scan {
    what: String,
    bytes: usize,
    took: Duration,
    pub(crate) finds: Vec<Find>,
}

/// Where something was found.
pub(crate) struct Find {
    pub(crate) place: String,
    pub(crate) piece: Piece,
    /// What stands before it.
    before: String,
}

/// A mapping of a process: a line of `/proc/PID/maps`.
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    access: String,
    pub(crate) name: String,
}

impl Scan {
    /// Looks through the memory of a running process, its environment and its arguments.
    pub(crate) fn memory(process: u32, needles: &Needles) -> Self {
        let mut scan = Self::new("memory");
        for (mapping, bytes) in readable(process) {
            scan.look_through(&mapping.to_string(), &bytes, needles);
        }
        for file in ["environ", "cmdline"] {
            scan.look_through(file, &fs::read(format!("/proc/{process}/{file}")).unwrap(), needles);
        }
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let swapped = status.lines().find(|line| line.starts_with("VmSwap:"));
        assert!(swapped.is_none_or(|line| line.contains(" 0 kB")), "swap is not looked through: {swapped:?}");
        scan
    }

    /// Looks through the memory of a running process for what lies there as the lowest byte of one number of 32 bits
    /// after the other: bytes that a generator of such numbers gave.
    pub(crate) fn numbers(process: u32, needles: &Needles) -> Self {
        let mut scan = Self::new("memory, numbers");
        for (mapping, bytes) in readable(process) {
            let lowest: Vec<u8> = bytes.chunks_exact(4).map(|number| number[0]).collect();
            scan.look_through(&mapping.to_string(), &lowest, needles);
        }
        scan
    }

    /// Looks through a core, the registers of every thread included.
    pub(crate) fn core(core: &CoreDump, needles: &Needles) -> Self {
        let mut scan = Self::new(&format!("core, {} threads", core.threads()));
        for (part, bytes) in core.parts() {
            scan.look_through(&part, bytes, needles);
        }
        scan
    }

    /// Looks through every file below a folder.
    pub(crate) fn files(folder: &Path, needles: &Needles) -> Self {
        let mut scan = Self::new("files");
        scan.look_through_folder(folder, needles);
        scan
    }

    /// Looks through something else that a process has let out.
    pub(crate) fn bytes(what: &str, bytes: &[u8], needles: &Needles) -> Self {
        let mut scan = Self::new(what);
        scan.look_through(what, bytes, needles);
        scan
    }

    /// How many windows were found.
    pub(crate) fn windows(&self) -> usize {
        self.finds.iter().map(|find| find.piece.windows()).sum()
    }

    fn new(what: &str) -> Self {
        Self { what: what.to_owned(), bytes: 0, took: Duration::ZERO, finds: Vec::new() }
    }

    fn look_through_folder(&mut self, folder: &Path, needles: &Needles) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.look_through_folder(&path, needles);
            } else {
                self.look_through(&path.display().to_string(), &fs::read(&path).unwrap(), needles);
            }
        }
    }

    fn look_through(&mut self, place: &str, bytes: &[u8], needles: &Needles) {
        let started = Instant::now();
        for piece in needles.find(bytes) {
            let before = bytes[piece.at.saturating_sub(48)..piece.at].escape_ascii().to_string();
            self.finds.push(Find { place: format!("{place} +{:#x}", piece.at), piece, before });
        }
        self.bytes += bytes.len();
        self.took += started.elapsed();
    }
}

impl fmt::Display for Scan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mebibytes, took) = (self.bytes >> 20, self.took.as_millis());
        write!(formatter, "{}: {} windows in {mebibytes} MiB, {took} ms", self.what, self.windows())?;
        for Find { place, piece, before } in &self.finds {
            let (windows, secret, from) = (piece.windows(), &piece.secret, piece.from);
            write!(formatter, "\n    {windows} in {place}: {secret} from byte {from}, behind {before:?}")?;
        }
        Ok(())
    }
}

impl Mapping {
    fn parse(line: &str) -> Self {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next().unwrap().split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let access = fields.next().unwrap().to_owned();
        let name = fields.nth(3).unwrap_or_default().to_owned();
        Self { start: address(start), end: address(end), access, name }
    }

    fn read(&self, memory: &File) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.end - self.start).unwrap()];
        memory.read_exact_at(&mut bytes, self.start)?;
        Ok(bytes)
    }

    fn is_closed(&self) -> bool {
        UNREADABLE.contains(&self.name.as_str())
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}-{:x} {}", self.start, self.end, self.name)
    }
}

/// What can be read of a process's memory, mapping by mapping.
fn readable(process: u32) -> impl Iterator<Item = (Mapping, Vec<u8>)> {
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let open = mappings(process).into_iter().filter(|mapping| mapping.access.starts_with('r'));
    open.filter_map(move |mapping| match mapping.read(&memory) {
        Ok(bytes) => Some((mapping, bytes)),
        Err(error) => {
            assert!(mapping.is_closed(), "{mapping}: {error}");
            None
        }
    })
}

/// All mappings of a process.
pub(crate) fn mappings(process: u32) -> Vec<Mapping> {
    fs::read_to_string(format!("/proc/{process}/maps")).unwrap().lines().map(Mapping::parse).collect()
}
