//! What a client would rather have: `Accept-Encoding` (RFC 9110 section 12.5.3) and `If-None-Match`
//! (section 13.1.2).

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `br`
    Brotli,
    /// `gzip`
    Gzip,
    /// `deflate`
    Deflate,
    /// None at all.
    Identity,
}

impl Encoding {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Identity => "identity",
        }
    }
}

/// The first of `offered`, in the server's order, that the client accepts; identity if none.
pub fn accepted_encoding(accept: Option<&str>, offered: &[Encoding]) -> Encoding {
    let accept = accept.unwrap_or("");
    let is_accepted = |name: &str| {
        let quality = |wanted: &str| {
            accept.split(',').find_map(|item| {
                let mut parts = item.split(';').map(str::trim);
                let is_it = parts.next()?.eq_ignore_ascii_case(wanted);
                is_it.then(|| {
                    parts.find_map(|it| it.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0_f32)
                })
            })
        };
        quality(name).or_else(|| quality("*")).is_some_and(|quality| quality > 0.0)
    };
    offered.iter().copied().find(|it| is_accepted(it.name())).unwrap_or(Encoding::Identity)
}

/// The one of `offered` that the client likes best, if it accepts any: the highest quality counts, then what
/// was named before `*`, then the client's order, then the server's. This is how Node's `accepts` chooses.
pub fn preferred_encoding(accept: &str, offered: &[Encoding]) -> Option<Encoding> {
    // Its quality, and its place in the list.
    let wanted = |name: &str| {
        accept.split(',').enumerate().find_map(|(place, item)| {
            let mut parts = item.split(';').map(str::trim);
            parts.next().filter(|it| it.eq_ignore_ascii_case(name))?;
            let quality = parts.find_map(|it| it.strip_prefix("q=")?.parse().ok());
            Some((quality.unwrap_or(1.0_f32), place))
        })
    };
    let any = wanted("*");
    let mut best: Option<(f32, bool, usize, Encoding)> = None;
    for &encoding in offered {
        let named = wanted(encoding.name());
        let Some((quality, place)) = named.or(any).filter(|(quality, _)| *quality > 0.0) else {
            continue;
        };
        let is_named = named.is_some();
        let is_better = best.is_none_or(|(other, other_named, other_place, _)| {
            let by_quality = quality.total_cmp(&other);
            let by_name = is_named.cmp(&other_named);
            by_quality.then(by_name).then(other_place.cmp(&place)).is_gt()
        });
        if is_better {
            best = Some((quality, is_named, place, encoding));
        }
    }
    best.map(|(.., encoding)| encoding)
}

/// Whether `If-None-Match` names this entity tag (quoted), strongly or weakly.
pub fn is_not_modified(if_none_match: Option<&str>, etag: &str) -> bool {
    if_none_match.is_some_and(|tags| {
        tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Encoding::*;

    #[test]
    fn the_server_prefers_among_what_is_accepted() {
        let offered = [Brotli, Gzip, Deflate];
        for (accept, encoding) in [
            (Some("gzip, deflate, br"), Brotli),
            (Some("gzip, deflate"), Gzip),
            (Some("br;q=0, deflate;q=0.5"), Deflate),
            (Some("*"), Brotli),
            (Some("*;q=0"), Identity),
            (Some("br;q=0, *"), Gzip),
            (Some(""), Identity),
            (None, Identity),
        ] {
            assert_eq!(accepted_encoding(accept, &offered), encoding, "{accept:?}");
        }
    }

    #[test]
    fn the_client_prefers_among_what_is_offered() {
        for (accept, encoding) in [
            ("gzip, deflate, br", Some(Gzip)),
            ("deflate, gzip", Some(Deflate)),
            ("br, DEFLATE ; q=0.5,gzip;q=0.25", Some(Deflate)),
            ("gzip;q=0, deflate;q=0.1", Some(Deflate)),
            ("*", Some(Gzip)),
            ("*, deflate", Some(Deflate)),
            ("gzip;q=0, *;q=0.5", Some(Deflate)),
            ("*;q=0", None),
            ("br, identity", None),
            ("", None),
        ] {
            assert_eq!(preferred_encoding(accept, &[Gzip, Deflate]), encoding, "{accept:?}");
        }
    }

    #[test]
    fn tags_match_weakly() {
        for tags in ["\"4.8.3\"", "W/\"4.8.3\"", "\"a\", W/\"4.8.3\"", "*"] {
            assert!(is_not_modified(Some(tags), "\"4.8.3\""), "{tags}");
        }
        assert!(!is_not_modified(Some("\"4.8.2\""), "\"4.8.3\""));
        assert!(!is_not_modified(None, "\"4.8.3\""));
    }
}
