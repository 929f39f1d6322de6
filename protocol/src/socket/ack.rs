//! Ids under which acknowledgements are awaited.

/// The ids that one namespace gives to events it sends: 0, 1, 2, …
///
/// One counter serves a namespace's sockets and broadcasts alike, so that one encoded packet serves all
/// its recipients; an id need only be unique for each of them.
#[derive(Debug, Clone, Default)]
pub struct AckIds {
    next: u64,
}

impl AckIds {
    /// One more than the largest id: JavaScript counts exactly to 2⁵³ − 1. After that comes 0 again;
    /// nothing waits that long.
    const END: u64 = 1 << 53;

    /// A counter at 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// An id that was not given before.
    pub fn take(&mut self) -> u64 {
        let id = self.next;
        self.next = (id + 1) % Self::END;
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_from_zero_and_stay_javascript_integers() {
        let mut ids = AckIds::new();
        assert_eq!([ids.take(), ids.take(), ids.take()], [0, 1, 2]);
        ids.next = AckIds::END - 1;
        assert_eq!([ids.take(), ids.take()], [(1 << 53) - 1, 0]);
    }
}
