//! A part of a file as a body: read a piece at a time, on threads where that blocks nobody, and only when
//! the client has taken what came before.

use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

use super::body::Body;
use super::failure::Failure;
use crate::blocking;

/// What is read at once.
const PIECE_BYTES: u64 = 64 * 1024;

type Reading = Pin<Box<dyn Future<Output = io::Result<Vec<u8>>>>>;

/// Bytes of a file.
pub(crate) struct FileStream {
    file: Arc<File>,
    rest: Range<u64>,
    reading: Option<Reading>,
}

impl FileStream {
    pub(crate) fn new(file: File, part: Range<u64>) -> Self {
        Self { file: Arc::new(file), rest: part, reading: None }
    }

    pub(crate) fn into_body(self) -> Body {
        let length = self.rest.end - self.rest.start;
        Body::of_pieces(Box::pin(self), Some(length))
    }
}

impl Stream for FileStream {
    type Item = Result<Bytes, Failure>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        let this = &mut *self;
        if this.reading.is_none() && this.rest.is_empty() {
            return Poll::Ready(None);
        }
        let reading = this.reading.get_or_insert_with(|| {
            let (file, at) = (Arc::clone(&this.file), this.rest.start);
            let len = PIECE_BYTES.min(this.rest.end - at);
            Box::pin(blocking(move || read(&file, at, len as usize)))
        });
        let piece = ready!(reading.as_mut().poll(context));
        this.reading = None;
        if let Ok(piece) = &piece {
            this.rest.start += piece.len() as u64;
        }
        Poll::Ready(Some(piece.map(Bytes::from).map_err(Failure::from)))
    }
}

/// As much as there is of `len` bytes; none at all is an error, as somebody has cut the file short.
fn read(file: &File, at: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; len];
    loop {
        match file.read_at(&mut piece, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(got) => {
                piece.truncate(got);
                return Ok(piece);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
