//! Copies that a scan must find: one that finds nothing proves nothing otherwise.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    core_dump::CoreDump,
    needles::{Needles, WINDOW},
    scan::{Find, Scan, mappings},
};

/// Plants a window on the heap, on the stack of a thread and in a register, and finds all three.
///
/// The process is of no use afterwards.
pub(crate) fn plant_and_find(process: u32, needles: &Needles) {
    let pid = Pid::from_raw(process.try_into().unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let memory = File::options().write(true).open(format!("/proc/{process}/mem")).unwrap();
    let mappings = mappings(process);
    let heap = mappings.iter().find(|mapping| mapping.name == "[heap]").unwrap();
    let stack = stack_pointer(process);
    // The end of the heap is not in use yet, and what is below the stack pointer not any more.
    for place in [heap.end - 64, stack - 1024] {
        memory.write_all_at(&needles.piece(), place).unwrap();
    }

    let found = Scan::memory(process, needles);

    let has = |at: u64| {
        mappings.iter().any(|mapping| {
            let place = format!("{mapping} +{:#x}", at.wrapping_sub(mapping.start));
            found.finds.iter().any(|find| find.place == place && find.piece.windows() == 1)
        })
    };
    assert!(has(heap.end - 64) && has(stack - 1024) && found.windows() == 2, "{found}");

    let found = Scan::core(&CoreDump::take(process, &into_a_register(&needles.piece())), needles);

    let in_registers = |find: &&Find| find.place.starts_with("NT_X86_XSTATE");
    assert_eq!(found.finds.iter().filter(in_registers).count(), 1, "{found}");
    assert!(found.windows() > 2, "{found}");
    kill_process(pid, Signal::CONT).unwrap();
}

/// Where the stack of the process's newest thread ends, once that has stopped.
fn stack_pointer(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let newest = tasks.map(|task| task.unwrap().file_name().into_string().unwrap().parse::<u32>().unwrap()).max();
    let file = format!("/proc/{process}/task/{}/syscall", newest.unwrap());
    loop {
        let call = fs::read_to_string(&file).unwrap();
        // One word, `running`, until the signal has reached the thread.
        if let Some(pointer) = call.split_whitespace().rev().nth(1) {
            return u64::from_str_radix(pointer.trim_start_matches("0x"), 16).unwrap();
        }
    }
}

/// What makes gdb write a window into a vector register.
fn into_a_register(piece: &[u8; WINDOW]) -> Vec<String> {
    let halves = piece.chunks_exact(8).map(|half| u64::from_le_bytes(half.try_into().unwrap()));
    halves.enumerate().map(|(number, half)| format!("set var $xmm9.v2_int64[{number}] = {half}")).collect()
}
