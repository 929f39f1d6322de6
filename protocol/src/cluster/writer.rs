//! A message's members in either form, so that each message has one encoder.

use rmp::encode;

use crate::msgpack::serialize::{write_str, write_uint};

use super::dialect::Dialect;
use super::malformed::Unwritable;
use super::text::write_string;
use super::value::Value;

/// The form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON without a place for binary data.
    Json,
    /// MessagePack.
    Msgpack(Dialect),
}

/// Why writing to a `Vec` needs no error.
const ROOM: &str = "a Vec takes all that is written";

/// Appends one value to a buffer. Containers are told their size in advance and are closed by hand.
pub(crate) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    form: Form,
    /// In JSON, whether something precedes in the innermost container.
    follows: bool,
}

impl<'o> Writer<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>, form: Form) -> Self {
        Self { out, form, follows: false }
    }

    /// Runs `write`, and takes back what it appended if it fails.
    pub(crate) fn write(
        out: &'o mut Vec<u8>,
        form: Form,
        write: impl FnOnce(&mut Self) -> Result<(), Unwritable>,
    ) -> Result<(), Unwritable> {
        let start = out.len();
        let mut writer = Self::new(out, form);
        write(&mut writer).inspect_err(|_| writer.out.truncate(start))
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    pub(crate) fn map(&mut self, len: u32) {
        match self.form {
            Form::Json => self.open(b'{'),
            Form::Msgpack(_) => {
                encode::write_map_len(self.out, len).expect(ROOM);
            }
        }
    }

    pub(crate) fn end_map(&mut self) {
        self.close(b'}');
    }

    pub(crate) fn list(&mut self, len: usize) {
        match self.form {
            Form::Json => self.open(b'['),
            Form::Msgpack(_) => {
                let len = u32::try_from(len).expect("less than 4 GiB");
                encode::write_array_len(self.out, len).expect(ROOM);
            }
        }
    }

    pub(crate) fn end_list(&mut self) {
        self.close(b']');
    }

    /// A member's key: plain text that needs no escape.
    pub(crate) fn key(&mut self, key: &str) {
        self.str(key);
        if self.form == Form::Json {
            self.out.push(b':');
            self.follows = false;
        }
    }

    pub(crate) fn str(&mut self, text: &str) {
        self.comma();
        match self.form {
            Form::Json => write_string(self.out, text),
            Form::Msgpack(_) => write_str(self.out, text),
        }
    }

    pub(crate) fn uint(&mut self, number: u64) {
        self.comma();
        match self.form {
            Form::Json => {
                self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            Form::Msgpack(_) => write_uint(self.out, number),
        }
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.comma();
        match self.form {
            Form::Json => self.out.extend_from_slice(if value { b"true" } else { b"false" }),
            Form::Msgpack(_) => encode::write_bool(self.out, value).expect(ROOM),
        }
    }

    pub(crate) fn nil(&mut self) {
        self.comma();
        match self.form {
            Form::Json => self.out.extend_from_slice(b"null"),
            Form::Msgpack(_) => encode::write_nil(self.out).expect(ROOM),
        }
    }

    pub(crate) fn value(&mut self, value: &Value<'_>) -> Result<(), Unwritable> {
        self.comma();
        match self.form {
            Form::Json => value.write_plain_json(self.out),
            Form::Msgpack(dialect) => value.write_msgpack(self.out, dialect),
        }
    }

    fn comma(&mut self) {
        if self.form == Form::Json && std::mem::replace(&mut self.follows, true) {
            self.out.push(b',');
        }
    }

    fn open(&mut self, bracket: u8) {
        self.comma();
        self.out.push(bracket);
        self.follows = false;
    }

    fn close(&mut self, bracket: u8) {
        if self.form == Form::Json {
            self.out.push(bracket);
            self.follows = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Form) -> Vec<u8> {
        let mut out = b"before".to_vec();
        Writer::write(&mut out, form, |writer| {
            writer.map(3);
            writer.key("a");
            writer.list(3);
            writer.uint(1);
            writer.str("\"");
            writer.list(0);
            writer.end_list();
            writer.end_list();
            writer.key("b");
            writer.value(&Value::json("[1]"))?;
            writer.key("c");
            writer.map(1);
            writer.key("d");
            writer.bool(true);
            writer.end_map();
            writer.end_map();
            Ok(())
        })
        .unwrap();
        out.split_off(6)
    }

    #[test]
    fn one_description_two_forms() {
        assert_eq!(written(Form::Json), br#"{"a":[1,"\"",[]],"b":[1],"c":{"d":true}}"#);
        assert_eq!(
            written(Form::Msgpack(Dialect::Notepack)),
            b"\x83\xa1a\x93\x01\xa1\"\x90\xa1b\x91\x01\xa1c\x81\xa1d\xc3"
        );
    }

    #[test]
    fn what_fails_leaves_nothing() {
        let mut out = b"before".to_vec();
        let error = Writer::write(&mut out, Form::Json, |writer| {
            writer.map(1);
            writer.key("a");
            writer.value(&Value::Msgpack(b"\x81"))
        });
        assert_eq!((error, &*out), (Err(Unwritable::Unchecked), &b"before"[..]));
    }
}
