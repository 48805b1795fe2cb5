use zeroize::Zeroizing;

/// Marshals what a TPM reads; wiped when dropped, as it may carry a secret.
#[derive(Debug, Default)]
pub(crate) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// With room from the start, so that no copy of a secret stays behind as it grows.
    pub(crate) fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(1024)))
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    pub(crate) fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// A `TPM2B`: a size and as many bytes.
    ///
    /// # Panics
    ///
    /// Over 65,535 bytes, which no structure of a TPM has: whoever takes bytes from outside bounds them first.
    pub(crate) fn sized(self, bytes: &[u8]) -> Self {
        let size = u16::try_from(bytes.len()).expect("structures of a TPM are short");
        self.u16(size).bytes(bytes)
    }

    /// An area with a size of 32 bits and as many bytes.
    pub(crate) fn long_sized(self, bytes: &[u8]) -> Self {
        let size = u32::try_from(bytes.len()).expect("structures of a TPM are short");
        self.u32(size).bytes(bytes)
    }

    /// How many bytes there are.
    pub(crate) fn length(&self) -> u32 {
        u32::try_from(self.0.len()).expect("structures of a TPM are short")
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}
