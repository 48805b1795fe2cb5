use zeroize::Zeroizing;

/// A server's answer as it came, for whoever looks at the server itself.
#[derive(Clone, Debug)]
pub struct PlainAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Its header `Date`: what time it is there.
    pub date: Option<String>,
    /// Its header `Cache-Control`.
    pub cache_control: Option<String>,
    /// Its body.
    pub body: Zeroizing<Vec<u8>>,
}
