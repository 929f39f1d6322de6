//! What the operating system gives this process: descriptors, and a core.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::failure::Failure;

/// Descriptors besides connections: standard streams, epoll, files of `/proc`.
const DESCRIPTORS_OTHER: u64 = 16;

/// Raises the limit of open files to what is allowed, and checks that `connections` fit.
///
/// # Errors
/// Names the limit that is too low.
pub(crate) fn allow_connections(connections: usize) -> Result<(), Failure> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    setrlimit(Resource::Nofile, raised).map_err(Failure::local("raise the limit of open files"))?;
    let needed = connections as u64 + DESCRIPTORS_OTHER;
    match maximum {
        Some(limit) if limit < needed => Err(Failure::Descriptors { needed, limit }),
        _ => Ok(()),
    }
}

/// Stays on `core` from now on.
///
/// # Errors
/// If there is no such core for this process.
pub(crate) fn stay_on(core: usize) -> Result<(), Failure> {
    let unknown = || Failure::Options(format!("--core {core}: this process may not run there"));
    if core >= CpuSet::MAX_CPU {
        return Err(unknown());
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).map_err(|_| unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_connections_name_the_limit() {
        allow_connections(10).unwrap();
        let Some(limit) = getrlimit(Resource::Nofile).maximum else { return };
        let why = allow_connections(limit as usize).unwrap_err().to_string();
        assert!(why.contains(&format!("the limit is {limit}")), "{why}");
    }

    #[test]
    fn a_core_that_is_not_there_is_refused() {
        for core in [CpuSet::MAX_CPU - 1, CpuSet::MAX_CPU, usize::MAX] {
            assert!(stay_on(core).unwrap_err().to_string().contains("--core"));
        }
    }
}
