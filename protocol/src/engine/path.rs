//! Which request targets are the Engine.IO server's.

/// Where the Engine.IO server listens: a prefix of request targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPrefix(Box<str>);

impl PathPrefix {
    /// From the options `path` and `addTrailingSlash`: one trailing slash is taken off, and put back
    /// unless told otherwise.
    pub fn new(path: &str, add_trailing_slash: bool) -> Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        let slash = if add_trailing_slash { "/" } else { "" };
        Self(format!("{path}{slash}").into())
    }

    /// Whether a request target, as sent, is for this server. The reference compares the first
    /// characters and looks no further: `/socket.io/anything?…` matches, and without the trailing
    /// slash so does `/socket.ioXX`.
    pub fn matches(&self, target: &str) -> bool {
        target.starts_with(&*self.0)
    }

    /// The prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_a_prefix() {
        for path in ["/socket.io", "/socket.io/"] {
            let prefix = PathPrefix::new(path, true);
            assert_eq!(prefix.as_str(), "/socket.io/");
            for (target, expected) in [
                ("/socket.io/?EIO=4", true),
                ("/socket.io/anything?EIO=4", true),
                ("/socket.io?EIO=4", false),
                ("/socket.io", false),
                ("/Socket.io/", false),
                ("/app/socket.io/", false),
            ] {
                assert_eq!(prefix.matches(target), expected, "{target}");
            }
            let prefix = PathPrefix::new(path, false);
            for target in ["/socket.io", "/socket.io/", "/socket.ioXX", "/socket.io?EIO=4"] {
                assert!(prefix.matches(target), "{target}");
            }
        }
        assert!(PathPrefix::new("/", true).matches("/anything"));
    }
}
