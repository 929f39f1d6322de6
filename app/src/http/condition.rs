//! Conditional requests (RFC 9110 section 13) for something with an entity tag and a date.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::http::header::{self, HeaderMap, HeaderName};

/// What tells one version of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// Quoted, with `W/` before it.
    pub(crate) etag: String,
    pub(crate) modified: Option<SystemTime>,
}

/// What the conditions of a request lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is to be sent.
    Send,
    /// The client has it: 304.
    NotModified,
    /// A condition does not hold: 412.
    Failed,
}

impl Version {
    /// Tag and date of a file, as Express makes them.
    pub(crate) fn new(len: u64, modified: Option<SystemTime>) -> Self {
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let ms = since.map_or(0, |since| since.as_millis());
        let modified = since.filter(is_writable).map(|since| {
            // The header tells whole seconds, and so must what is compared with it.
            UNIX_EPOCH + Duration::from_secs(since.as_secs())
        });
        Self { etag: format!("W/\"{len:x}-{ms:x}\""), modified }
    }

    /// What the request's conditions say of this version; for GET and HEAD.
    pub(crate) fn judge(&self, headers: &HeaderMap) -> Verdict {
        let field = |name| text(headers, name);
        match (field(header::IF_MATCH), field(header::IF_UNMODIFIED_SINCE)) {
            // A weak tag never matches strongly; the reference lets it, so that downloads can go on.
            (Some(tags), _) if !self.is_among(tags) => return Verdict::Failed,
            (None, Some(date)) if self.is_newer_than(date) == Some(true) => return Verdict::Failed,
            _ => {}
        }
        match (field(header::IF_NONE_MATCH), field(header::IF_MODIFIED_SINCE)) {
            (Some(tags), _) if self.is_among(tags) => Verdict::NotModified,
            (None, Some(date)) if self.is_newer_than(date) == Some(false) => Verdict::NotModified,
            _ => Verdict::Send,
        }
    }

    /// Whether `Range` may be answered with a part: not if the client has a part of another version.
    pub(crate) fn allows_range(&self, headers: &HeaderMap) -> bool {
        match text(headers, header::IF_RANGE) {
            None => true,
            Some(tag) if tag.contains('"') => self.is_among(tag) && tag != "*",
            Some(date) => self.is_newer_than(date) == Some(false),
        }
    }

    fn is_among(&self, tags: &str) -> bool {
        let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
        tags.trim() == "*" || tags.split(',').any(|tag| opaque(tag.trim()) == opaque(&self.etag))
    }

    fn is_newer_than(&self, date: &str) -> Option<bool> {
        Some(self.modified? > httpdate::parse_http_date(date).ok()?)
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Dates after the year 9999 cannot be written.
fn is_writable(since: &Duration) -> bool {
    since.as_secs() < 253_402_300_800
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn version() -> Version {
        let modified = httpdate::parse_http_date(DATE).unwrap() + Duration::from_millis(250);
        Version::new(16, Some(modified))
    }

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_version_is_known_by_length_and_time() {
        assert_eq!(version().etag, "W/\"10-c3a1d33822\"".replace("c3a1d33822", &ms()));
        assert_eq!(httpdate::fmt_http_date(version().modified.unwrap()), DATE);
        assert_eq!(Version::new(1, None).etag, "W/\"1-0\"");
        let before = UNIX_EPOCH.checked_sub(Duration::from_secs(1));
        assert_eq!(Version::new(1, before).modified, None);
        let far = UNIX_EPOCH.checked_add(Duration::from_secs(253_402_300_800));
        assert_eq!(Version::new(1, far).modified, None);
    }

    fn ms() -> String {
        let since = httpdate::parse_http_date(DATE).unwrap().duration_since(UNIX_EPOCH).unwrap();
        format!("{:x}", since.as_millis() + 250)
    }

    #[test]
    fn conditions_are_judged_in_their_order() {
        use Verdict::*;
        use header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
        let (version, tag) = (version(), version().etag);
        let strong = tag.trim_start_matches("W/").to_owned();
        let two = format!("\"other\" , {tag}");
        for (fields, verdict) in [
            (vec![], Send),
            (vec![(IF_NONE_MATCH, &*tag)], NotModified),
            (vec![(IF_NONE_MATCH, &*strong)], NotModified),
            (vec![(IF_NONE_MATCH, &*two)], NotModified),
            (vec![(IF_NONE_MATCH, "*")], NotModified),
            (vec![(IF_NONE_MATCH, "\"other\"")], Send),
            (vec![(IF_NONE_MATCH, "\"other\""), (IF_MODIFIED_SINCE, DATE)], Send),
            (vec![(IF_MODIFIED_SINCE, DATE)], NotModified),
            (vec![(IF_MODIFIED_SINCE, LATER)], NotModified),
            (vec![(IF_MODIFIED_SINCE, EARLIER)], Send),
            (vec![(IF_MODIFIED_SINCE, "yesterday")], Send),
            (vec![(IF_MATCH, &*tag)], Send),
            (vec![(IF_MATCH, "\"other\"")], Failed),
            (vec![(IF_MATCH, "*"), (IF_UNMODIFIED_SINCE, EARLIER)], Send),
            (vec![(IF_UNMODIFIED_SINCE, EARLIER)], Failed),
            (vec![(IF_UNMODIFIED_SINCE, DATE)], Send),
            (vec![(IF_UNMODIFIED_SINCE, "tomorrow")], Send),
        ] {
            assert_eq!(version.judge(&headers(&fields)), verdict, "{fields:?}");
        }
    }

    #[test]
    fn a_range_of_another_version_is_not_mixed_in() {
        use header::IF_RANGE;
        let (version, tag) = (version(), version().etag);
        let allows = |value: &str| version.allows_range(&headers(&[(IF_RANGE, value)]));
        assert!(version.allows_range(&HeaderMap::new()));
        assert!(allows(&tag) && allows(DATE) && allows(LATER));
        assert!(!allows("\"other\"") && !allows(EARLIER) && !allows("nonsense") && !allows("*"));
    }
}
