//! TPM 2.0: structures, policies computed offline, and a small client of a device.
