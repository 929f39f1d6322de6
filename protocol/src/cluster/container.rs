//! The elements of lists and the members of maps, one after the other.

use std::borrow::Cow;

use bytes::Bytes;

use crate::msgpack::token::{Token, Tokens};
use crate::socket::{escape, json};

use super::value::Value;

impl<'a> Value<'a> {
    /// The elements of a list.
    pub fn elements(&self) -> Option<Elements<'a>> {
        let inner = match *self {
            Self::Json { text, attachments } => {
                let bytes = text.as_bytes();
                if bytes.first() != Some(&b'[') {
                    return None;
                }
                Inner::Json { text, attachments, at: json::skip_space(bytes, 1) }
            }
            Self::Msgpack(bytes) => {
                let mut tokens = Tokens::new(bytes);
                match tokens.next().ok()? {
                    Token::Array(left) => Inner::Msgpack { tokens, left },
                    _ => return None,
                }
            }
        };
        Some(Elements(inner))
    }

    /// The members of a map, with the keys that are text.
    pub fn members(&self) -> Option<Members<'a>> {
        let inner = match *self {
            Self::Json { text, attachments } => {
                let bytes = text.as_bytes();
                if bytes.first() != Some(&b'{') {
                    return None;
                }
                Inner::Json { text, attachments, at: json::skip_space(bytes, 1) }
            }
            Self::Msgpack(bytes) => {
                let mut tokens = Tokens::new(bytes);
                match tokens.next().ok()? {
                    Token::Map(left) => Inner::Msgpack { tokens, left },
                    _ => return None,
                }
            }
        };
        Some(Members(inner))
    }
}

/// What is left of a container.
#[derive(Debug, Clone, Copy)]
enum Inner<'a> {
    Json { text: &'a str, attachments: &'a [Bytes], at: usize },
    Msgpack { tokens: Tokens<'a>, left: u32 },
}

/// The value that starts at `at`, and where it and what separates it from the next end.
fn json_value<'a>(
    text: &'a str,
    attachments: &'a [Bytes],
    at: usize,
) -> Option<(Value<'a>, usize)> {
    let bytes = text.as_bytes();
    if matches!(bytes.get(at), None | Some(b']' | b'}')) {
        return None;
    }
    let end = json::skip_value(bytes, at);
    let value = Value::Json { text: text.get(at..end)?, attachments };
    let next = json::skip_space(bytes, end);
    match bytes.get(next) {
        Some(b',') => Some((value, json::skip_space(bytes, next + 1))),
        _ => Some((value, next)),
    }
}

/// The elements of a list: see [`Value::elements`].
#[derive(Debug, Clone, Copy)]
pub struct Elements<'a>(Inner<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        match &mut self.0 {
            Inner::Json { text, attachments, at } => {
                let (value, next) = json_value(text, attachments, *at)?;
                *at = next;
                Some(value)
            }
            Inner::Msgpack { tokens, left } => {
                *left = left.checked_sub(1)?;
                tokens.skip().ok().map(Value::Msgpack)
            }
        }
    }
}

/// The members of a map: see [`Value::members`].
#[derive(Debug, Clone, Copy)]
pub struct Members<'a>(Inner<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Value<'a>);

    fn next(&mut self) -> Option<(Cow<'a, str>, Value<'a>)> {
        match &mut self.0 {
            Inner::Json { text, attachments, at } => {
                let bytes = text.as_bytes();
                if bytes.get(*at) != Some(&b'"') {
                    return None;
                }
                let end = json::skip_string(bytes, *at);
                let key = escape::unescape(text.get(*at + 1..end.checked_sub(1)?)?);
                let colon = json::skip_space(bytes, end);
                let (value, next) =
                    json_value(text, attachments, json::skip_space(bytes, colon + 1))?;
                *at = next;
                Some((key, value))
            }
            Inner::Msgpack { tokens, left } => loop {
                *left = left.checked_sub(1)?;
                let key = Value::Msgpack(tokens.skip().ok()?).text();
                let value = Value::Msgpack(tokens.skip().ok()?);
                if let Some(key) = key {
                    return Some((key, value));
                }
            },
        }
    }
}
