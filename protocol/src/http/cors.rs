//! Cross-origin headers, as the npm package `cors` writes them for Socket.IO. Without settings there are
//! none at all.

/// Which origins are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// `*`: any, without credentials.
    Any,
    /// `true`: any, by naming it.
    Reflect,
    /// One or more, compared whole; the request's is named if it is among them.
    List(Vec<String>),
}

/// Socket.IO's option `cors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Allowed origins.
    pub origins: Origins,
    /// Allowed methods, for preflights.
    pub methods: Vec<String>,
    /// Allowed headers, for preflights; by default those that are asked for.
    pub allowed_headers: Option<Vec<String>>,
    /// Headers that scripts may read.
    pub exposed_headers: Vec<String>,
    /// Whether cookies may come along.
    pub credentials: bool,
    /// How long a preflight's answer holds, in seconds.
    pub max_age: Option<u64>,
    /// Leave preflights to what follows instead of answering them.
    pub preflight_continue: bool,
    /// The status of a preflight's answer.
    pub options_success_status: u16,
}

impl Default for Cors {
    fn default() -> Self {
        let methods = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"];
        Self {
            origins: Origins::Any,
            methods: methods.map(String::from).to_vec(),
            allowed_headers: None,
            exposed_headers: Vec::new(),
            credentials: false,
            max_age: None,
            preflight_continue: false,
            options_success_status: 204,
        }
    }
}

impl Cors {
    /// Appends the header lines of an ordinary answer to a request with that `Origin`.
    pub fn write_headers(&self, origin: Option<&str>, out: &mut Vec<u8>) {
        self.write_origin(origin, out);
        if !self.exposed_headers.is_empty() {
            line(out, "Access-Control-Expose-Headers", &self.exposed_headers.join(","));
        }
    }

    /// Appends the header lines of the answer to a preflight that asks for `asked` headers. Returns its
    /// status, or `None` if preflights are left to others.
    pub fn write_preflight(
        &self,
        origin: Option<&str>,
        asked: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Option<u16> {
        if self.preflight_continue {
            return None;
        }
        self.write_origin(origin, out);
        line(out, "Access-Control-Allow-Methods", &self.methods.join(","));
        match (&self.allowed_headers, asked) {
            (Some(allowed), _) => line(out, "Access-Control-Allow-Headers", &allowed.join(",")),
            (None, asked) => {
                line(out, "Vary", "Access-Control-Request-Headers");
                if let Some(asked) = asked {
                    line(out, "Access-Control-Allow-Headers", asked);
                }
            }
        }
        if let Some(max_age) = self.max_age {
            line(out, "Access-Control-Max-Age", &max_age.to_string());
        }
        if !self.exposed_headers.is_empty() {
            line(out, "Access-Control-Expose-Headers", &self.exposed_headers.join(","));
        }
        Some(self.options_success_status)
    }

    fn write_origin(&self, origin: Option<&str>, out: &mut Vec<u8>) {
        // An origin is written in visible ASCII (RFC 6454 section 6.2); anything else is nobody's.
        let origin = origin.filter(|origin| origin.bytes().all(|byte| byte.is_ascii_graphic()));
        let named = match &self.origins {
            Origins::Any => {
                line(out, "Access-Control-Allow-Origin", "*");
                None
            }
            Origins::Reflect => Some(origin),
            Origins::List(list) => {
                Some(origin.filter(|origin| list.iter().any(|allowed| allowed == origin)))
            }
        };
        if let Some(named) = named {
            if let Some(origin) = named {
                line(out, "Access-Control-Allow-Origin", origin);
            }
            line(out, "Vary", "Origin");
        }
        if self.credentials {
            line(out, "Access-Control-Allow-Credentials", "true");
        }
    }
}

/// A header line; a value that could end its line is left out.
fn line(out: &mut Vec<u8>, name: &str, value: &str) {
    if super::field::is_field(name, value) {
        for part in [name, ": ", value, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cors: &Cors, origin: Option<&str>) -> String {
        let mut out = Vec::new();
        cors.write_headers(origin, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn origins_are_any_named_or_nobody() {
        let any = Cors::default();
        assert_eq!(headers(&any, Some("http://a")), "Access-Control-Allow-Origin: *\r\n");
        let list = Cors { origins: Origins::List(vec!["http://a".into()]), ..Cors::default() };
        assert_eq!(
            headers(&list, Some("http://a")),
            "Access-Control-Allow-Origin: http://a\r\nVary: Origin\r\n"
        );
        for other in [Some("http://b"), Some("http://a.b"), None] {
            assert_eq!(headers(&list, other), "Vary: Origin\r\n");
        }
        let all = Cors { origins: Origins::Reflect, credentials: true, ..Cors::default() };
        assert_eq!(
            headers(&all, Some("http://b")),
            "Access-Control-Allow-Origin: http://b\r\nVary: Origin\r\n\
             Access-Control-Allow-Credentials: true\r\n"
        );
    }

    #[test]
    fn a_preflight_names_methods_and_reflects_headers() {
        let mut out = Vec::new();
        let status = Cors::default().write_preflight(Some("http://a"), Some("x-a, x-b"), &mut out);
        assert_eq!(status, Some(204));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Access-Control-Allow-Origin: *\r\n\
             Access-Control-Allow-Methods: GET,HEAD,PUT,PATCH,POST,DELETE\r\n\
             Vary: Access-Control-Request-Headers\r\nAccess-Control-Allow-Headers: x-a, x-b\r\n"
        );
    }

    #[test]
    fn what_is_no_origin_is_not_reflected() {
        let all = Cors { origins: Origins::Reflect, ..Cors::default() };
        for origin in ["http://a\r\nSet-Cookie: b", "http://a b", "http://\u{e4}"] {
            assert_eq!(headers(&all, Some(origin)), "Vary: Origin\r\n");
        }
    }
}
