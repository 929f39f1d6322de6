//! JSONP both ways: form posts of a page, and scripts for it.
//!
//! The input is a form post; it also serves as the payload of a script and as the page's `j`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets as _;
use yamabiko_protocol::engine::jsonp::{JsonpIndex, unwrap, wrap};

fuzz_target!(|input: &[u8]| {
    if let Some(payload) = unwrap(input) {
        assert!(payload.len() <= 3 * input.len());
    }
    let text = String::from_utf8_lossy(input);
    is_a_call(JsonpIndex::from_query(&text), &text);
    comes_back(&text);
});

/// The script calls one function with one string, which is the payload.
fn is_a_call(index: JsonpIndex, payload: &str) {
    let mut script = Vec::new();
    wrap(index, payload.as_bytes(), &mut script);
    let script = std::str::from_utf8(&script).expect("text stays text");
    let call = script.strip_prefix("___eio[").expect("a call");
    let (index, call) = call.split_once("](").expect("an index");
    assert!(index.len() <= JsonpIndex::DIGITS_MAX);
    assert!(index.bytes().all(|byte| byte.is_ascii_digit()));
    let argument = call.strip_suffix(");").expect("the call's end");
    // A string that is JSON, and has none of the line ends that only JSON allows, is JavaScript.
    assert!(!argument.contains(['\u{2028}', '\u{2029}']));
    let read: String = serde_json::from_str(argument).expect("a string");
    assert_eq!(read, payload);
}

/// A form post holds what was put into it, save that backslash and `n` has a meaning of its own.
fn comes_back(text: &str) {
    if text.contains("\\n") {
        return;
    }
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("j", text).append_pair("d", text);
    assert_eq!(unwrap(form.finish().as_bytes()).as_deref(), Some(text));
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("d", &text.replace('\n', "\\n"));
    let newline = text.contains('\\') && text.contains('\n');
    assert!(newline || unwrap(form.finish().as_bytes()).as_deref() == Some(text));
}
