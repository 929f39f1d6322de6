//! Binary data inside typed arguments.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// Binary data anywhere inside an argument: an `ArrayBuffer`, a `Buffer` or a `Blob` to JavaScript, an
/// attachment on the wire.
///
/// Every type that serde knows as bytes is sent and received as an attachment (`bytes::Bytes`,
/// `serde_bytes`), and `Vec<u8>` receives one, too; but serde can only pass those as slices, so they are
/// copied. This one shares the attachment's memory in both directions. Like the others it also takes a
/// plain string, as its UTF-8, and an array of numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Binary(pub Bytes);

thread_local! {
    /// The attachment whose slice is being passed through serde right now, which has no other way for
    /// its owner. It is only believed for exactly that slice, so a stale one does no harm.
    static PASSING: Cell<Option<Bytes>> = const { Cell::new(None) };
}

/// Calls `through` with the slice of `bytes`, such that [`passed`] finds the owner at the other end.
pub(crate) fn pass<R>(bytes: &Bytes, through: impl FnOnce(&[u8]) -> R) -> R {
    PASSING.set(Some(bytes.clone()));
    let result = through(bytes);
    PASSING.set(None);
    result
}

/// The owner of a slice that came through serde, or a copy of the slice if it has none here.
pub(crate) fn passed(slice: &[u8]) -> Bytes {
    match PASSING.take() {
        Some(bytes) if std::ptr::eq(&*bytes, slice) => bytes,
        _ => Bytes::copy_from_slice(slice),
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        pass(&self.0, |slice| serializer.serialize_bytes(slice))
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BinaryVisitor;

        impl<'de> Visitor<'de> for BinaryVisitor {
            type Value = Binary;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("binary data")
            }

            fn visit_bytes<E: de::Error>(self, slice: &[u8]) -> Result<Binary, E> {
                Ok(Binary(passed(slice)))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Binary, E> {
                Ok(Binary(bytes.into()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Binary, E> {
                Ok(Binary(Bytes::copy_from_slice(text.as_bytes())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Binary, A::Error> {
                let mut bytes = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(4096));
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(Binary(bytes.into()))
            }
        }

        deserializer.deserialize_byte_buf(BinaryVisitor)
    }
}

impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Binary> for Bytes {
    fn from(binary: Binary) -> Self {
        binary.0
    }
}

impl Deref for Binary {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Binary {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_packets_it_is_bytes_to_serde() {
        let binary = Binary(Bytes::from_static(b"ab"));
        assert_eq!(serde_json::to_string(&binary).unwrap(), "[97,98]");
        assert_eq!(serde_json::from_str::<Binary>("[97,98]").unwrap(), binary);
        assert_eq!(serde_json::from_str::<Binary>("\"ab\"").unwrap(), binary);
        assert!(serde_json::from_str::<Binary>("{}").is_err());
    }

    #[test]
    fn only_the_slice_being_passed_has_an_owner() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        let shared = pass(&bytes, passed);
        assert_eq!(shared.as_ptr(), bytes.as_ptr());
        let copied = pass(&bytes, |slice| passed(&slice[..2]));
        assert_ne!(copied.as_ptr(), bytes.as_ptr());
        assert_eq!(copied, bytes.slice(..2));
        assert_ne!(passed(&bytes).as_ptr(), bytes.as_ptr());
    }
}
