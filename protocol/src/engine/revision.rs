//! The revision of the Engine.IO protocol that a request speaks.

/// A revision of the Engine.IO protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Revision {
    /// `EIO=3`: Socket.IO 1.x and 2.x clients. The client pings.
    V3,
    /// `EIO=4`: Socket.IO 3.x and 4.x clients. The server pings.
    V4,
}

impl Revision {
    /// Reads the query parameter `EIO`. Only `4` is revision 4; every other value, and none, is
    /// revision 3, which a server accepts only if told to.
    pub fn from_query(eio: Option<&str>) -> Self {
        if eio == Some("4") { Self::V4 } else { Self::V3 }
    }

    /// The revision as a number.
    pub fn number(self) -> u8 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_4_is_revision_3() {
        assert_eq!(Revision::from_query(Some("4")), Revision::V4);
        for eio in [None, Some(""), Some("3"), Some("2"), Some("5"), Some("04"), Some("4 ")] {
            assert_eq!(Revision::from_query(eio).number(), 3, "{eio:?}");
        }
    }
}
