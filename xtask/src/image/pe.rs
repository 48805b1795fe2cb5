use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

/// Where a PE says where its headers are, and what stands in them (PE format, sections 2 to 4).
const HEADERS_AT: usize = 0x3c;
const FILE_HEADER: usize = 24;
const CHECKSUM: usize = 64;
const SIZE_OF_IMAGE: usize = 56;
const SIZE_OF_HEADERS: usize = 60;
const CERTIFICATES: usize = 112 + 4 * 8;
const SECTION_HEADER: usize = 40;
const PE32_PLUS: u16 = 0x20b;
/// Data, readable.
const INITIALIZED_DATA: u32 = 0x4000_0040;
/// Where a section starts in memory: at a page.
const PAGE: usize = 4096;

/// A program as UEFI loads it.
pub(super) struct Pe {
    bytes: Vec<u8>,
    headers: usize,
    sections: Vec<Section>,
}

/// A named part of it.
struct Section {
    name: String,
    virtual_size: usize,
    virtual_address: usize,
    raw_size: usize,
    raw_at: usize,
}

impl Pe {
    /// Reads its headers.
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self> {
        let headers = u32_at(&bytes, HEADERS_AT)?;
        ensure!(bytes.get(headers..headers + 4) == Some(b"PE\0\0"), "not a PE");
        ensure!(u16_at(&bytes, headers + FILE_HEADER)? == PE32_PLUS, "not a PE for 64 bits");
        let count = usize::from(u16_at(&bytes, headers + 6)?);
        let table = headers + FILE_HEADER + usize::from(u16_at(&bytes, headers + 20)?);
        let sections =
            (0..count).map(|index| Section::read(&bytes, table + index * SECTION_HEADER)).collect::<Result<_>>()?;
        Ok(Self { bytes, headers, sections })
    }

    /// The file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What a section holds, as the stub reads it.
    pub(super) fn section(&self, name: &str) -> Option<&[u8]> {
        let section = self.sections.iter().find(|section| section.name == name)?;
        self.bytes.get(section.raw_at..section.raw_at + section.virtual_size.min(section.raw_size))
    }

    /// The same with more sections, behind what is there.
    pub(super) fn with_sections(mut self, added: &[(&str, &[u8])]) -> Result<Self> {
        let optional = self.headers + FILE_HEADER;
        let alignment = u32_at(&self.bytes, optional + 36)?;
        let size_of_headers = u32_at(&self.bytes, optional + SIZE_OF_HEADERS)?;
        for (name, data) in added {
            let count = self.sections.len();
            let header = self.headers + FILE_HEADER + usize::from(u16_at(&self.bytes, self.headers + 20)?);
            let header = header + count * SECTION_HEADER;
            ensure!(header + SECTION_HEADER <= size_of_headers, "no room for the header of {name}");
            let raw_at = self.bytes.len().next_multiple_of(alignment);
            self.bytes.resize(raw_at, 0);
            self.bytes.extend_from_slice(data);
            self.bytes.resize(self.bytes.len().next_multiple_of(alignment), 0);
            let end = u32_at(&self.bytes, optional + SIZE_OF_IMAGE)?;
            let section = Section {
                name: (*name).to_owned(),
                virtual_size: data.len(),
                virtual_address: end.next_multiple_of(PAGE),
                raw_size: self.bytes.len() - raw_at,
                raw_at,
            };
            let image = section.virtual_address + section.virtual_size.next_multiple_of(PAGE);
            put(&mut self.bytes, header, &section.header()?)?;
            put(&mut self.bytes, optional + SIZE_OF_IMAGE, &u32::try_from(image)?.to_le_bytes())?;
            put(&mut self.bytes, self.headers + 6, &u16::try_from(count + 1)?.to_le_bytes())?;
            self.sections.push(section);
        }
        // Firmware does not read it, and it would not be true any more.
        put(&mut self.bytes, optional + CHECKSUM, &[0; 4])?;
        Ok(self)
    }

    /// The Authenticode digest, by which firmware measures it.
    pub(super) fn authenticode(&self) -> Result<[u8; 32]> {
        let optional = self.headers + FILE_HEADER;
        let (checksum, certificates) = (optional + CHECKSUM, optional + CERTIFICATES);
        let size_of_headers = u32_at(&self.bytes, optional + SIZE_OF_HEADERS)?;
        let slice = |from: usize, to: usize| self.bytes.get(from..to).context("a PE that ends too early");
        let mut digest = Sha256::new();
        digest.update(slice(0, checksum)?);
        digest.update(slice(checksum + 4, certificates)?);
        digest.update(slice(certificates + 8, size_of_headers)?);
        let mut in_file: Vec<&Section> = self.sections.iter().filter(|section| section.raw_size > 0).collect();
        in_file.sort_by_key(|section| section.raw_at);
        let mut hashed = size_of_headers;
        for section in in_file {
            digest.update(slice(section.raw_at, section.raw_at + section.raw_size)?);
            hashed += section.raw_size;
        }
        let signatures = u32_at(&self.bytes, certificates + 4)?;
        let end = self.bytes.len().checked_sub(signatures).context("a PE with more signatures than bytes")?;
        if hashed < end {
            digest.update(slice(hashed, end)?);
        }
        Ok(digest.finalize().into())
    }
}

impl Section {
    fn read(bytes: &[u8], at: usize) -> Result<Self> {
        let name = bytes.get(at..at + 8).context("a PE that ends in its headers")?;
        Ok(Self {
            name: String::from_utf8_lossy(name).trim_end_matches('\0').to_owned(),
            virtual_size: u32_at(bytes, at + 8)?,
            virtual_address: u32_at(bytes, at + 12)?,
            raw_size: u32_at(bytes, at + 16)?,
            raw_at: u32_at(bytes, at + 20)?,
        })
    }

    fn header(&self) -> Result<[u8; SECTION_HEADER]> {
        let mut header = [0; SECTION_HEADER];
        let name = header.get_mut(..self.name.len()).filter(|name| name.len() <= 8);
        name.context("the name of a section is too long")?.copy_from_slice(self.name.as_bytes());
        let fields = [self.virtual_size, self.virtual_address, self.raw_size, self.raw_at];
        for (index, field) in fields.into_iter().enumerate() {
            put(&mut header, 8 + 4 * index, &u32::try_from(field)?.to_le_bytes())?;
        }
        put(&mut header, 36, &INITIALIZED_DATA.to_le_bytes())?;
        Ok(header)
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) -> Result<()> {
    let place = bytes.get_mut(at..at + value.len()).context("a PE that ends in its headers")?;
    place.copy_from_slice(value);
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    let field = bytes.get(at..at + 2).context("a PE that ends in its headers")?;
    Ok(u16::from_le_bytes(field.try_into()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<usize> {
    let field = bytes.get(at..at + 4).context("a PE that ends in its headers")?;
    Ok(usize::try_from(u32::from_le_bytes(field.try_into()?))?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A PE with room for a few sections and none of its own.
    pub(crate) fn empty() -> Vec<u8> {
        let mut bytes = vec![0; 1024];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[HEADERS_AT] = 0x80;
        bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
        bytes[0x80 + 20] = 240;
        let optional = 0x80 + FILE_HEADER;
        bytes[optional..optional + 2].copy_from_slice(&PE32_PLUS.to_le_bytes());
        bytes[optional + 36..optional + 40].copy_from_slice(&512_u32.to_le_bytes());
        bytes[optional + SIZE_OF_IMAGE..optional + SIZE_OF_IMAGE + 4].copy_from_slice(&0x1234_u32.to_le_bytes());
        bytes[optional + SIZE_OF_HEADERS..optional + SIZE_OF_HEADERS + 4].copy_from_slice(&1024_u32.to_le_bytes());
        bytes
    }

    #[test]
    fn what_is_added_is_read_again_and_starts_at_a_page() {
        let pe = Pe::parse(empty()).unwrap().with_sections(&[(".osrel", b"ID=x"), (".linux", &[7; 700])]).unwrap();

        let again = Pe::parse(pe.bytes().to_vec()).unwrap();

        assert_eq!(again.section(".osrel"), Some(&b"ID=x"[..]));
        assert_eq!(again.section(".linux"), Some(&[7; 700][..]));
        assert_eq!(again.section(".initrd"), None);
        assert_eq!(again.bytes().len(), 1024 + 512 + 1024);
        assert_eq!(again.sections[0].virtual_address, 0x2000);
        assert_eq!(again.sections[1].virtual_address, 0x3000);
    }

    #[test]
    fn any_byte_but_the_checksum_changes_the_digest() {
        let pe = Pe::parse(empty()).unwrap().with_sections(&[(".initrd", b"worker")]).unwrap();
        let digest = pe.authenticode().unwrap();
        let with = |at: usize| {
            let mut bytes = pe.bytes().to_vec();
            bytes[at] ^= 1;
            Pe::parse(bytes).unwrap().authenticode().unwrap()
        };

        assert_eq!(with(0x80 + FILE_HEADER + CHECKSUM), digest);
        assert_ne!(with(1024), digest);
        assert_ne!(with(1024 + 511), digest);
        assert_ne!(with(0x40), digest);
    }

    #[test]
    fn a_table_without_room_takes_no_section() {
        let sections = [(".a", &b"x"[..]); 20];

        let full = Pe::parse(empty()).unwrap().with_sections(&sections);

        assert_eq!(full.err().unwrap().to_string(), "no room for the header of .a");
    }

    #[test]
    fn what_is_no_pe_is_refused() {
        for bytes in [Vec::new(), vec![0; 2048], b"MZ".to_vec()] {
            assert!(Pe::parse(bytes).is_err());
        }
    }
}
