//! Whom something is for, and how it is sent: what all operators have in common.

use std::time::Duration;

use yamabiko_runtime::Target;

/// How long others may take to answer, unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sockets of a namespace, narrowed or widened step by step, and the flags of what is sent to them. It knows
/// neither the namespace nor the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Whom {
    pub(crate) target: Target,
    /// Rooms were asked for, even if it was an empty list of them.
    is_in_rooms: bool,
    /// How long to wait for what they answer.
    pub(crate) timeout: Duration,
}

impl Default for Whom {
    /// Everybody, without flags.
    fn default() -> Self {
        Self { target: Target::default(), is_in_rooms: false, timeout: TIMEOUT }
    }
}

impl Whom {
    pub(crate) fn to<R: Into<String>>(&mut self, rooms: impl IntoIterator<Item = R>) {
        self.is_in_rooms = true;
        self.target.rooms.extend(rooms.into_iter().map(Into::into));
    }

    pub(crate) fn except<R: Into<String>>(&mut self, rooms: impl IntoIterator<Item = R>) {
        self.target.except.extend(rooms.into_iter().map(Into::into));
    }

    /// Whether it was narrowed to members of rooms, of which there are none.
    pub(crate) fn is_nobody(&self) -> bool {
        self.is_in_rooms && self.target.rooms.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_of_rooms_is_nobody_and_none_is_everybody() {
        let mut whom = Whom::default();
        whom.except(["a"]);
        assert!(!whom.is_nobody());
        whom.to([""; 0]);
        assert!(whom.is_nobody());
        whom.to(["b"]);
        assert!(!whom.is_nobody());
    }

    #[test]
    fn without_flags_it_is_for_all_nodes_reliable_and_may_be_compressed() {
        let Target { volatile, compress, local, .. } = Whom::default().target;
        assert_eq!((volatile, compress, local), (false, true, false));
    }
}
