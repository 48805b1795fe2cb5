//! Development parts: signer, mailbox and AWS stand-in. For development only.
