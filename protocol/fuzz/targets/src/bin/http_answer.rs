//! What a peer, or a careless setting, puts into an answer's headers never ends their lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets as _;
use yamabiko_protocol::http::{Cookie, Cors, Origins, SameSite, is_field};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (first, second) = text.split_once('|').unwrap_or((text, ""));
    if let Ok(cookie) = cookie(first, second) {
        let value = cookie.value("AAAAAAAAAAAAAAAAAAAA");
        assert!(is_field("Set-Cookie", &value), "{value:?}");
        assert_eq!(value.matches(';').count(), 5, "{value:?}");
    }
    for origins in [Origins::Any, Origins::Reflect, Origins::List(vec![first.to_owned()])] {
        let cors = Cors { origins, credentials: true, ..Cors::default() };
        let mut lines = Vec::new();
        cors.write_headers(Some(first), &mut lines);
        cors.write_preflight(Some(first), Some(second), &mut lines);
        are_cors(&lines);
        let (allowed_headers, methods) = (Some(vec![first.to_owned()]), vec![second.to_owned()]);
        let exposed_headers = vec![first.to_owned(), second.to_owned()];
        let careless = Cors { allowed_headers, methods, exposed_headers, ..cors };
        let mut lines = Vec::new();
        careless.write_preflight(None, Some(second), &mut lines);
        are_cors(&lines);
    }
});

fn cookie(name: &str, place: &str) -> Result<Cookie, yamabiko_protocol::http::CookieError> {
    let domain = Some("example.org");
    Cookie::new(name, Some(place), domain, Some(60), true, false, Some(SameSite::Strict))?;
    Cookie::new(name, Some(place), Some(place), None, true, true, None).ok();
    Cookie::new(name, Some(place), domain, Some(60), true, false, Some(SameSite::Strict))
}

/// Whole lines, none of them of a name that nobody wrote.
fn are_cors(lines: &[u8]) {
    let lines = std::str::from_utf8(lines).expect("made of strings");
    assert!(lines.is_empty() || lines.ends_with("\r\n"));
    for line in lines.split_terminator("\r\n") {
        let (name, value) = line.split_once(": ").expect("a header line");
        assert!(name == "Vary" || name.starts_with("Access-Control-"), "{line:?}");
        assert!(is_field(name, value), "{line:?}");
    }
}
