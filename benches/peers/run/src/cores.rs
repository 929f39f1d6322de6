//! Which cores the server and the generator get.

/// The cores this process may use, in ascending order; never empty.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    allowed: Vec<usize>,
}

impl Cores {
    /// Those of this process.
    pub(crate) fn allowed() -> Result<Self, String> {
        let set = rustix::thread::sched_getaffinity(None)
            .map_err(|error| format!("cannot tell which cores may be used: {error}"))?;
        Self::of((0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
            .ok_or_else(|| "no core may be used".to_owned())
    }

    fn of(allowed: Vec<usize>) -> Option<Self> {
        (!allowed.is_empty()).then_some(Self { allowed })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.allowed.len()
    }

    /// The first `count` cores, for the server; `None` when there are not so many.
    pub(crate) fn server(&self, count: usize) -> Option<&[usize]> {
        self.allowed.get(..count)
    }

    /// The last core, for the generator.
    pub(crate) fn generator(&self) -> usize {
        self.allowed[self.allowed.len() - 1]
    }

    /// Whether a server with so many cores has the generator on one of them.
    pub(crate) fn shared(&self, count: usize) -> bool {
        self.allowed.len() <= count
    }
}

/// Cores as `taskset --cpu-list` reads them.
pub(crate) fn list(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_has_the_first_and_the_generator_the_last() {
        let cores = Cores::of(vec![2, 3, 5, 7]).unwrap();
        assert_eq!(cores.server(1).map(list).as_deref(), Some("2"));
        assert_eq!(cores.server(2).map(list).as_deref(), Some("2,3"));
        assert_eq!(cores.generator(), 7);
        assert!(!cores.shared(2));
    }

    #[test]
    fn on_two_cores_a_server_of_two_shares() {
        let cores = Cores::of(vec![0, 1]).unwrap();
        assert_eq!((cores.shared(1), cores.shared(2)), (false, true));
        assert_eq!(Cores::of(vec![0]).unwrap().server(2), None);
        assert!(Cores::of(Vec::new()).is_none());
    }

    #[test]
    fn this_process_may_use_some() {
        assert!(Cores::allowed().unwrap().server(1).is_some());
    }
}
