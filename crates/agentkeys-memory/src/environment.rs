use std::{env, io};

use zeroize::Zeroizing;

use crate::Secret;

/// Takes a secret out of this process's environment, and on Linux wipes it where it stood.
///
/// The kernel shows the environment that a process began with for as long as it runs, and children inherit it. To be
/// called in `main`, before there are threads, since nothing guards the environment against them.
///
/// # Errors
///
/// Where the variable is there, and on Linux other threads are, too.
pub fn take_variable(name: &str) -> io::Result<Option<Secret>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "what is secret must not pass through clap, which keeps and prints it"
    )]
    let Some(value) = env::var_os(name) else { return Ok(None) };
    let value = Zeroizing::new(value.into_encoded_bytes());
    #[cfg(target_os = "linux")]
    {
        if std::fs::read_dir("/proc/self/task")?.count() != 1 {
            return Err(io::Error::other(format!("{name} can be taken only before there are threads")));
        }
        // SAFETY: there is no other thread.
        unsafe { wipe_variable(name) }?;
    }
    Ok(Some(Secret::apart(value)))
}

/// Overwrites a variable's value with zeros where it stands, and removes it.
///
/// # Safety
///
/// No other thread may read or change the environment meanwhile, and nothing may refer to the value.
#[cfg(target_os = "linux")]
unsafe fn wipe_variable(name: &str) -> io::Result<()> {
    let in_c = std::ffi::CString::new(name)?;
    // SAFETY: the name is a string of C, and the caller promises that nobody changes the environment.
    let value = unsafe { libc::getenv(in_c.as_ptr()) };
    if !value.is_null() {
        // SAFETY: the value is a string of C, which nobody changes.
        let length = unsafe { std::ffi::CStr::from_ptr(value) }.count_bytes();
        // SAFETY: the environment is writable, the value is that long, and nothing refers to it.
        unsafe { crate::allocator::wipe(value.cast(), length) };
    }
    // SAFETY: the caller promises just this.
    unsafe { env::remove_var(name) };
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "the environment is what is tested")]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_not_there_is_none() {
        assert!(take_variable("AGENTKEYS_NO_SUCH_VARIABLE").unwrap().is_none());
    }

    #[test]
    fn nothing_is_taken_while_there_are_threads() {
        let (held, waiting) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || waiting.recv().is_err());

        let refused = take_variable("PATH");

        assert!(refused.unwrap_err().to_string().contains("PATH"));
        assert!(env::var_os("PATH").is_some_and(|path| !path.is_empty()));
        drop(held);
        assert!(other.join().unwrap());
    }

    #[test]
    fn a_variable_is_wiped_where_it_stands() {
        // SAFETY: no other test changes the environment.
        unsafe { env::set_var("AGENTKEYS_TEST_VARIABLE", "sixteen bytes of") };
        // SAFETY: the name is a string of C.
        let place = unsafe { libc::getenv(c"AGENTKEYS_TEST_VARIABLE".as_ptr()) };

        // SAFETY: no other test changes the environment, and this one reads the value only afterwards.
        unsafe { wipe_variable("AGENTKEYS_TEST_VARIABLE") }.unwrap();

        // SAFETY: what `setenv` allocates, the C library never frees.
        let left = unsafe { std::ptr::read_volatile(place.cast::<[u8; 16]>()) };
        assert_eq!(left, [0; 16]);
        assert!(env::var_os("AGENTKEYS_TEST_VARIABLE").is_none());
    }
}
