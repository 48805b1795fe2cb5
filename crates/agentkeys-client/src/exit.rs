/// How a command ends, as a number that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// It failed in a way that has no number of its own.
    Other = 1,
    /// It was called wrongly, or a setting is wrong.
    Usage = 2,
    /// A person must sign in first.
    SignInNeeded = 3,
    /// It is not allowed.
    Denied = 4,
    /// There is no such thing.
    NotFound = 5,
    /// A server cannot be reached: trying again may help.
    Unreachable = 6,
    /// It waited for a person in vain.
    TimedOut = 7,
    /// The session store is locked or absent.
    StoreUnavailable = 8,
    /// It was interrupted.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}
