//! A core as gdb writes it: an ELF file, with memory in segments and registers in notes.

use std::{ops::Range, path::Path, process::Command};

use crate::parts;

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
/// The notes that hold the registers of a thread, by their types in `elf.h`.
const REGISTERS: [(u32, &str); 3] = [(1, "NT_PRSTATUS"), (2, "NT_FPREGSET"), (0x202, "NT_X86_XSTATE")];

/// A process's memory and registers, at one moment.
pub(crate) struct CoreDump {
    bytes: Vec<u8>,
    segments: Vec<(u32, Range<usize>)>,
}

impl CoreDump {
    /// Takes one of a process, after gdb has done `first` to it.
    pub(crate) fn take(process: u32, first: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("core");
        // Everything: what the process has excluded, and what is in files.
        let all = ["set use-coredump-filter off", "set dump-excluded-mappings on"].map(str::to_owned);
        let take = [format!("generate-core-file {}", path.display()), "detach".to_owned()];
        let mut gdb = Command::new(parts::at("AGENTKEYS_TEST_GDB"));
        gdb.args(["--batch", "--nx", "--readnever", "-iex", "set auto-solib-add off", "-p", &process.to_string()]);
        gdb.args(all.iter().chain(first).chain(&take).flat_map(|command| ["-ex", command]));
        let output = gdb.output().unwrap();
        assert!(path.exists(), "{}", String::from_utf8_lossy(&output.stderr));
        Self::read(&path)
    }

    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes[..6], *b"\x7fELF\x02\x01", "a core of 64 bits, little-endian");
        let (table, entry, count) = (u64_at(&bytes, 32), u16_at(&bytes, 54), u16_at(&bytes, 56));
        let segment = |number: usize| {
            let header = &bytes[table + number * entry..];
            let start = u64_at(header, 8);
            (u32_at(header, 0), start..start + u64_at(header, 32))
        };
        let segments = (0..count).map(segment).collect();
        Self { bytes, segments }
    }

    /// Everything in it, each with what it is.
    pub(crate) fn parts(&self) -> Vec<(String, &[u8])> {
        let load = self.segments.iter().filter(|(kind, _)| *kind == PT_LOAD);
        let memory = load.map(|(_, range)| (format!("core {:x}", range.start), &self.bytes[range.clone()]));
        memory.chain(self.notes().into_iter().map(|(kind, note)| (note_name(kind), note))).collect()
    }

    /// How many threads' registers it holds.
    ///
    /// # Panics
    ///
    /// When it lacks some of the registers of a thread.
    pub(crate) fn threads(&self) -> usize {
        let notes = self.notes();
        let counts = REGISTERS.map(|(kind, _)| notes.iter().filter(|(found, _)| *found == kind).count());
        assert!(counts[0] > 0 && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
        counts[0]
    }

    fn notes(&self) -> Vec<(u32, &[u8])> {
        let mut notes = Vec::new();
        for (_, range) in self.segments.iter().filter(|(kind, _)| *kind == PT_NOTE) {
            let mut rest = &self.bytes[range.clone()];
            while rest.len() >= 12 {
                let (name, length, kind) = (u32_at(rest, 0), u32_at(rest, 4), u32_at(rest, 8));
                let start = 12 + padded(name);
                let end = start + usize::try_from(length).unwrap();
                notes.push((kind, &rest[start..end]));
                rest = rest.get(start + padded(length)..).unwrap_or_default();
            }
        }
        notes
    }
}

fn note_name(kind: u32) -> String {
    let name = REGISTERS.iter().find(|(registers, _)| *registers == kind).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("note {kind:#x}"))
}

/// Notes are padded to whole words of four bytes.
fn padded(length: u32) -> usize {
    usize::try_from(length.next_multiple_of(4)).unwrap()
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()).into()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()).try_into().unwrap()
}
