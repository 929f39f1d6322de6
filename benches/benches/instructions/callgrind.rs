//! Counting: a process under callgrind that runs one path, and the number that comes of it.

use std::env;
use std::hint::black_box;
use std::process::Command;

use crate::paths::PATHS;

/// The option of the child process, before a path's name.
pub(crate) const CHILD: &str = "--run-one";

/// Runs before counting starts, so that buffers have grown and what is looked up once is known.
const WARM_RUNS: u32 = 3;
/// Runs that are counted.
const COUNTED_RUNS: u32 = 100;

/// Counts one run of a path, as the mean of many.
pub(crate) fn count(name: &str) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect=*{}*", stringify!(counted_part)))
        .arg(program)
        .args([CHILD, name])
        // The size of the environment moves the stack, and alignment costs instructions.
        .env_clear()
        .output()
        .map_err(|error| format!("valgrind is needed (Debian package valgrind): {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind ended with {}:\n{said}", output.status));
    }
    let collected = collected(&said).filter(|&count| count > 0);
    let count = collected.ok_or_else(|| format!("callgrind counted nothing:\n{said}"))?;
    Ok(count.div_ceil(u64::from(COUNTED_RUNS)))
}

/// The number in callgrind's line `==123== Collected : 4567`.
fn collected(said: &str) -> Option<u64> {
    let (_, number) = said.lines().find_map(|line| line.split_once("Collected :"))?;
    number.trim().parse().ok()
}

/// What the child does.
pub(crate) fn run_child(name: &str) -> Result<(), String> {
    let path = PATHS.iter().find(|path| path.name == name);
    let path = path.ok_or_else(|| format!("there is no path '{name}'"))?;
    let mut run = (path.prepare)();
    for _ in 0..WARM_RUNS {
        run();
    }
    counted_part(&mut *run);
    Ok(())
}

/// Callgrind counts while this function runs; it finds it by its name.
#[inline(never)]
fn counted_part(run: &mut dyn FnMut()) {
    for _ in 0..COUNTED_RUNS {
        black_box(&mut *run)();
    }
}
