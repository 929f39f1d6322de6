//! Start-up checks that say what is missing and how to get it, before anything listens.

use std::fmt;
use std::io;

use io_uring::{IoUring, Probe, opcode};

/// The oldest kernel with everything the loop needs: `DEFER_TASKRUN` came with Linux 6.1.
pub(crate) const KERNEL_MIN: (u32, u32) = (6, 1);

/// Descriptors the table is grown to at start, at most.
const TABLE_GROWN_TO: u64 = 262_144;
/// Bytes of locked memory one shard's executor asks for.
const MEMLOCK_PER_SHARD: u64 = 512 * 1024;

/// Why the server cannot run on this machine. The text names the cure.
#[derive(Debug)]
pub enum Unfit {
    /// The kernel is older than [`KERNEL_MIN`].
    OldKernel(String),
    /// `io_uring_setup` is refused.
    NoIoUring(io::Error),
    /// The kernel lacks an operation that the loop needs.
    MissingOperation(&'static str),
    /// The limit on locked memory is too small for so many shards: bytes allowed, bytes needed.
    LockedMemory(u64, u64),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::OldKernel(release) => write!(
                f,
                "this kernel is {release}; Linux {}.{} or newer is needed (io_uring with \
                 DEFER_TASKRUN). Upgrade the kernel, for example to the one of Debian 12.",
                KERNEL_MIN.0, KERNEL_MIN.1
            ),
            Unfit::NoIoUring(error) => write!(
                f,
                "io_uring is not available here ({error}). Check `sysctl kernel.io_uring_disabled` \
                 (it must be 0); in a container, its seccomp profile must allow io_uring_setup, \
                 io_uring_enter and io_uring_register (Docker: --security-opt seccomp=PROFILE)."
            ),
            Unfit::MissingOperation(name) => write!(
                f,
                "this kernel's io_uring lacks the operation {name}; Linux {}.{} or newer has it.",
                KERNEL_MIN.0, KERNEL_MIN.1
            ),
            Unfit::LockedMemory(allowed, needed) => write!(
                f,
                "the limit on locked memory is {allowed} bytes, and {needed} are needed for these \
                 shards. Raise it (`ulimit -l`, LimitMEMLOCK= in the systemd unit) or run fewer \
                 shards."
            ),
        }
    }
}

impl std::error::Error for Unfit {}

/// Checks kernel, io_uring and locked memory for `shards` shards.
pub(crate) fn check(shards: usize) -> Result<(), Unfit> {
    let release = kernel_release();
    if parse_release(&release).is_some_and(|version| version < KERNEL_MIN) {
        return Err(Unfit::OldKernel(release));
    }
    let uring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(8)
        .map_err(Unfit::NoIoUring)?;
    let mut probe = Probe::new();
    uring.submitter().register_probe(&mut probe).map_err(Unfit::NoIoUring)?;
    let needed = [
        ("accept", opcode::AcceptMulti::CODE),
        ("recv", opcode::RecvMulti::CODE),
        ("send", opcode::Send::CODE),
        ("sendmsg", opcode::SendMsg::CODE),
        ("async cancel", opcode::AsyncCancel::CODE),
    ];
    for (name, code) in needed {
        if !probe.is_supported(code) {
            return Err(Unfit::MissingOperation(name));
        }
    }
    check_locked_memory(shards)
}

fn check_locked_memory(shards: usize) -> Result<(), Unfit> {
    let allowed = limit(libc::RLIMIT_MEMLOCK).0;
    let needed = MEMLOCK_PER_SHARD * shards as u64;
    // SAFETY: geteuid has no preconditions. Root is not bound by the limit.
    #[allow(unsafe_code)]
    let root = unsafe { libc::geteuid() } == 0;
    match root || allowed >= needed {
        true => Ok(()),
        false => Err(Unfit::LockedMemory(allowed, needed)),
    }
}

/// Raises the limit on descriptors to the hard limit; returns what holds now.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let (soft, hard) = limit(libc::RLIMIT_NOFILE);
    if soft < hard {
        let wanted = libc::rlimit { rlim_cur: hard, rlim_max: hard };
        // SAFETY: a valid pointer to a whole rlimit, read during the call only.
        #[allow(unsafe_code)]
        unsafe {
            libc::setrlimit(libc::RLIMIT_NOFILE, &wanted)
        };
    }
    limit(libc::RLIMIT_NOFILE).0
}

/// Grows the process's descriptor table once, while it is quiet. Growing it later, at 256, 512, 1024, …
/// descriptors, stops a threaded process for 10 to 30 ms each time.
pub(crate) fn grow_descriptor_table() {
    let highest = limit(libc::RLIMIT_NOFILE).0.min(TABLE_GROWN_TO).saturating_sub(1);
    // SAFETY: duplicates standard error to a free high number, which is closed at once.
    #[allow(unsafe_code)]
    unsafe {
        let high = libc::fcntl(libc::STDERR_FILENO, libc::F_DUPFD_CLOEXEC, highest as libc::c_int);
        if high >= 0 {
            libc::close(high);
        }
    }
}

/// Gives back what starting up has left behind in the heap, such as what it took to compress files: up to
/// 10 MiB that would count as ours for ever.
pub(crate) fn give_back_memory() {
    // SAFETY: no preconditions; it only returns pages that nobody uses.
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0)
    };
}

fn limit(resource: libc::__rlimit_resource_t) -> (u64, u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid pointer to a whole rlimit.
    #[allow(unsafe_code)]
    unsafe {
        libc::getrlimit(resource, &mut limit)
    };
    (limit.rlim_cur, limit.rlim_max)
}

/// What `uname -r` prints; empty where that cannot be had.
pub(crate) fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|release| release.trim().to_owned())
        .unwrap_or_default()
}

/// The two numbers that a kernel's release starts with.
pub(crate) fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_as_distributions_write_them() {
        assert_eq!(parse_release("6.1.0-28-amd64"), Some((6, 1)));
        assert_eq!(parse_release("5.15.167.4-microsoft-standard-WSL2"), Some((5, 15)));
        assert_eq!(parse_release("6.12-rc3"), Some((6, 12)));
        assert_eq!(parse_release(""), None);
    }

    #[test]
    fn each_refusal_names_its_cure() {
        let refused = Unfit::NoIoUring(io::Error::from_raw_os_error(libc::EPERM)).to_string();
        assert!(refused.contains("kernel.io_uring_disabled") && refused.contains("seccomp"));
        assert!(Unfit::OldKernel("5.10.0".into()).to_string().contains("6.1"));
        assert!(Unfit::LockedMemory(1, 2).to_string().contains("LimitMEMLOCK"));
    }

    #[test]
    fn this_machine_is_fit() {
        check(1).expect("the tests need what the server needs");
    }
}
