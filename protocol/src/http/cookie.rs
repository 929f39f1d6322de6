//! The cookie that names a session, Socket.IO's option `cookie` (RFC 6265 section 4.1).

use std::fmt;

use super::field::is_token;

/// Attributes of the cookie that a polling handshake sets. Its value is the session's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    name: String,
    attributes: String,
}

/// When the browser sends the cookie along with requests from other sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// When the user follows a link.
    Lax,
    /// Always; browsers want `Secure` with it.
    None,
}

/// A part of the cookie has a character that could end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieError {
    /// The name is not a token.
    Name,
    /// The path has a control character or a semicolon.
    Path,
    /// The domain has other characters than letters, digits, dots and hyphens.
    Domain,
}

impl Default for Cookie {
    /// `cookie: true`: `io=<sid>; Path=/; HttpOnly; SameSite=Lax`.
    fn default() -> Self {
        Self { name: "io".into(), attributes: "; Path=/; HttpOnly; SameSite=Lax".into() }
    }
}

impl Cookie {
    /// A cookie with these attributes; a `path` of `None` leaves the attribute out.
    ///
    /// # Errors
    /// [`CookieError`] names the part that could inject something (CVE-2024-47764).
    pub fn new(
        name: &str,
        path: Option<&str>,
        domain: Option<&str>,
        max_age: Option<u64>,
        http_only: bool,
        secure: bool,
        same_site: Option<SameSite>,
    ) -> Result<Self, CookieError> {
        if !is_token(name.as_bytes()) {
            return Err(CookieError::Name);
        }
        let mut attributes = String::new();
        if let Some(seconds) = max_age {
            attributes += &format!("; Max-Age={seconds}");
        }
        if let Some(domain) = domain {
            let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            if domain.is_empty() || !domain.bytes().all(is_domain) {
                return Err(CookieError::Domain);
            }
            attributes += &format!("; Domain={domain}");
        }
        if let Some(path) = path {
            if !path.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';') {
                return Err(CookieError::Path);
            }
            attributes += &format!("; Path={path}");
        }
        if http_only {
            attributes += "; HttpOnly";
        }
        if secure {
            attributes += "; Secure";
        }
        attributes += match same_site {
            Some(SameSite::Strict) => "; SameSite=Strict",
            Some(SameSite::Lax) => "; SameSite=Lax",
            Some(SameSite::None) => "; SameSite=None",
            None => "",
        };
        Ok(Self { name: name.into(), attributes })
    }

    /// The value of `Set-Cookie` for a session.
    pub fn value(&self, sid: &str) -> String {
        format!("{}={sid}{}", self.name, self.attributes)
    }
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "cookie name has a character that no cookie name may have",
            Self::Path => "cookie path has a character that no cookie path may have",
            Self::Domain => "cookie domain has a character that no cookie domain may have",
        })
    }
}

impl std::error::Error for CookieError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_stand_in_the_usual_order() {
        assert_eq!(Cookie::default().value("abc"), "io=abc; Path=/; HttpOnly; SameSite=Lax");
        let all = Cookie::new(
            "sid",
            Some("/a"),
            Some("example.org"),
            Some(60),
            true,
            true,
            Some(SameSite::None),
        );
        assert_eq!(
            all.unwrap().value("x"),
            "sid=x; Max-Age=60; Domain=example.org; Path=/a; HttpOnly; Secure; SameSite=None"
        );
    }

    /// CVE-2024-47764 of the npm package cookie: name, path and domain could add attributes.
    #[test]
    fn cve_2024_47764_nothing_can_be_injected() {
        let cookie = |name, path, domain| {
            Cookie::new(name, path, domain, None, false, false, None)
                .map(|cookie| cookie.value("x"))
        };
        for name in ["a=b", "a;b", "a b", "", "userName=<script>; Max-Age=2592000; a"] {
            assert_eq!(cookie(name, None, None), Err(CookieError::Name), "{name}");
        }
        for path in ["/; Secure", "/\r\nX: y", "/\u{7f}"] {
            assert_eq!(cookie("a", Some(path), None), Err(CookieError::Path), "{path:?}");
        }
        for domain in ["a; Path=/b", "a b", "", "a\r\n"] {
            assert_eq!(cookie("a", None, Some(domain)), Err(CookieError::Domain), "{domain:?}");
        }
    }
}
