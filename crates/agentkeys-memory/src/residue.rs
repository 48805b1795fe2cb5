use std::hint::black_box;

/// How far below its caller [`clear_residue`] reaches.
///
/// The calls of one request go down to about 120 KiB in a debug build. What an optimized one needs is far less, and
/// stays within the second-level cache.
const DEPTH: usize = if cfg!(debug_assertions) { 256 * 1024 } else { 128 * 1024 };

/// Overwrites what earlier calls have left on the stack below, and in the vector registers.
///
/// For the moment at which a thread goes to sleep: `Builder::on_thread_park` of tokio. A thread that works soon
/// overwrites all of that by itself; one that sleeps would keep it for as long.
pub fn clear_residue() {
    clear_stack();
    registers::clear();
}

#[inline(never)]
#[expect(clippy::large_stack_arrays, reason = "the stack is what it is about")]
fn clear_stack() {
    black_box(&mut [0_u8; DEPTH]);
}

#[cfg(target_arch = "x86_64")]
mod registers {
    use std::arch::asm;

    pub(super) fn clear() {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: the processor has what the function needs.
            unsafe { clear_avx512() }
        }
        if is_x86_feature_detected!("avx") {
            // SAFETY: the processor has what the function needs.
            unsafe { clear_avx() }
        } else {
            clear_sse();
        }
    }

    /// Those that only AVX-512 knows.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn clear_avx512() {
        // SAFETY: it writes nothing but the registers that it says it writes.
        unsafe {
            asm!(
                "vpxord zmm16, zmm16, zmm16", "vpxord zmm17, zmm17, zmm17", "vpxord zmm18, zmm18, zmm18",
                "vpxord zmm19, zmm19, zmm19", "vpxord zmm20, zmm20, zmm20", "vpxord zmm21, zmm21, zmm21",
                "vpxord zmm22, zmm22, zmm22", "vpxord zmm23, zmm23, zmm23", "vpxord zmm24, zmm24, zmm24",
                "vpxord zmm25, zmm25, zmm25", "vpxord zmm26, zmm26, zmm26", "vpxord zmm27, zmm27, zmm27",
                "vpxord zmm28, zmm28, zmm28", "vpxord zmm29, zmm29, zmm29", "vpxord zmm30, zmm30, zmm30",
                "vpxord zmm31, zmm31, zmm31",
                "kxorq k0, k0, k0", "kxorq k1, k1, k1", "kxorq k2, k2, k2", "kxorq k3, k3, k3",
                "kxorq k4, k4, k4", "kxorq k5, k5, k5", "kxorq k6, k6, k6", "kxorq k7, k7, k7",
                out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _, out("zmm20") _, out("zmm21") _,
                out("zmm22") _, out("zmm23") _, out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _,
                out("zmm28") _, out("zmm29") _, out("zmm30") _, out("zmm31") _,
                out("k1") _, out("k2") _, out("k3") _, out("k4") _, out("k5") _, out("k6") _, out("k7") _,
                options(nomem, nostack, preserves_flags),
            );
        }
    }

    #[target_feature(enable = "avx")]
    fn clear_avx() {
        // SAFETY: it writes nothing but the registers that it says it writes.
        unsafe {
            asm!(
                "vzeroall",
                out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _, out("ymm5") _,
                out("ymm6") _, out("ymm7") _, out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
                out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
                options(nomem, nostack, preserves_flags),
            );
        }
    }

    fn clear_sse() {
        // SAFETY: it writes nothing but the registers that it says it writes.
        unsafe {
            asm!(
                "xorps xmm0, xmm0", "xorps xmm1, xmm1", "xorps xmm2, xmm2", "xorps xmm3, xmm3",
                "xorps xmm4, xmm4", "xorps xmm5, xmm5", "xorps xmm6, xmm6", "xorps xmm7, xmm7",
                "xorps xmm8, xmm8", "xorps xmm9, xmm9", "xorps xmm10, xmm10", "xorps xmm11, xmm11",
                "xorps xmm12, xmm12", "xorps xmm13, xmm13", "xorps xmm14, xmm14", "xorps xmm15, xmm15",
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
                out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                options(nomem, nostack, preserves_flags),
            );
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod registers {
    use std::arch::asm;

    /// Of the registers that a function must give back, the compiler restores the lower eight bytes.
    pub(super) fn clear() {
        // SAFETY: it writes nothing but the registers that it says it writes.
        unsafe {
            asm!(
                "movi v0.2d, #0", "movi v1.2d, #0", "movi v2.2d, #0", "movi v3.2d, #0", "movi v4.2d, #0",
                "movi v5.2d, #0", "movi v6.2d, #0", "movi v7.2d, #0", "movi v8.2d, #0", "movi v9.2d, #0",
                "movi v10.2d, #0", "movi v11.2d, #0", "movi v12.2d, #0", "movi v13.2d, #0", "movi v14.2d, #0",
                "movi v15.2d, #0", "movi v16.2d, #0", "movi v17.2d, #0", "movi v18.2d, #0", "movi v19.2d, #0",
                "movi v20.2d, #0", "movi v21.2d, #0", "movi v22.2d, #0", "movi v23.2d, #0", "movi v24.2d, #0",
                "movi v25.2d, #0", "movi v26.2d, #0", "movi v27.2d, #0", "movi v28.2d, #0", "movi v29.2d, #0",
                "movi v30.2d, #0", "movi v31.2d, #0",
                out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _,
                out("v7") _, out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _,
                out("v14") _, out("v15") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _,
                out("v21") _, out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                options(nomem, nostack, preserves_flags),
            );
        }
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod registers {
    pub(super) fn clear() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn leave_behind() -> usize {
        let mut secret = [0xA5_u8; 4096];
        black_box(&mut secret).as_ptr() as usize
    }

    #[test]
    fn nothing_is_left_on_the_stack_below() {
        let place = leave_behind();

        clear_residue();

        // SAFETY: the place is on this thread's stack, which is mapped, and any byte of it may be read.
        let left = unsafe { std::ptr::read_volatile(place as *const [u8; 4096]) };
        // One such byte alone may be part of an address that a call since then has left there.
        assert!(left.windows(16).all(|window| window != [0xA5; 16]));
    }
}
