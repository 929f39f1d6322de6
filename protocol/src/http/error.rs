//! What is refused in a request. Unless a variant says otherwise it is the peer's fault.

use std::fmt;

/// Why a request is refused. The connection closes after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpError {
    /// The head is not HTTP: request line, header names or values, line ends, folding.
    BadHead,
    /// `Host` is missing in HTTP/1.1, there are several, or it is no host.
    BadHost,
    /// The target is not a path, a URL, or `*` for OPTIONS.
    BadTarget,
    /// `Content-Length` is not one plain number, or stands beside `Transfer-Encoding`.
    BadLength,
    /// Chunks do not follow the grammar.
    BadChunk,
    /// An expectation other than `100-continue`.
    UnknownExpectation,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// Not HTTP/1.0 or 1.1.
    UnknownVersion,
    /// Limit `target_bytes_max`.
    TargetTooLong,
    /// Limits `head_bytes_max`, `headers_max`, `trailer_bytes_max`.
    HeadTooLarge,
    /// Limit `body_bytes_max`.
    BodyTooLarge,
}

impl HttpError {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::BadHead | Self::BadHost | Self::BadTarget | Self::BadLength | Self::BadChunk => {
                400
            }
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::UnknownExpectation => 417,
            Self::HeadTooLarge => 431,
            Self::UnknownCoding => 501,
            Self::UnknownVersion => 505,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadHead => "malformed request head",
            Self::BadHost => "missing or malformed Host",
            Self::BadTarget => "malformed request target",
            Self::BadLength => "ambiguous or malformed body length",
            Self::BadChunk => "malformed chunk",
            Self::UnknownExpectation => "unknown expectation",
            Self::UnknownCoding => "unknown transfer coding",
            Self::UnknownVersion => "unknown HTTP version",
            Self::TargetTooLong => "request target too long (limit target_bytes_max)",
            Self::HeadTooLarge => "request head too large (limits head_bytes_max, headers_max)",
            Self::BodyTooLarge => "request body too large (limit body_bytes_max)",
        })
    }
}

impl std::error::Error for HttpError {}

/// The reason phrase of a status; empty for one that has none.
pub fn reason(status: u16) -> &'static str {
    ::http::StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason()).unwrap_or("")
}
