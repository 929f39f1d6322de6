//! Smaller bodies for those who can read them (RFC 9110 section 8.4): a layer.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use ::http::header::{self, HeaderMap, HeaderValue};
use ::http::{Method, StatusCode};
use bytes::Bytes;
use flate2::Compression as Level;
use futures_core::Stream;
use yamabiko_protocol::http::{Encoding, accepted_encoding};

use super::body::{Body, PieceStream, Pieces, Sending};
use super::failure::Failure;
use super::layer::Next;
use super::{Request, Response};

/// Below this a body is sent as it is: what compression saves fits in the same packet.
const BYTES_MIN: usize = 1024;
/// What is compressed before the core does something else.
const PIECE_BYTES: usize = 32 * 1024;
/// In the server's order of preference.
const OFFERED: [Encoding; 3] = [Encoding::Brotli, Encoding::Gzip, Encoding::Deflate];
/// Brotli's level: as quick as gzip's default, and smaller.
const BROTLI_LEVEL: u32 = 4;
/// Brotli's window, as a power of two: 256 KiB, so that one body costs less than a megabyte.
const BROTLI_WINDOW: u32 = 18;

/// A layer that compresses bodies: Express's `compression`.
///
/// With brotli, gzip or deflate, as the client accepts. Left as they are: bodies below a kilobyte, types
/// that are compressed by themselves, what has a `Content-Encoding` already, parts (206), answers to HEAD,
/// [server-sent events](crate::Sse), and `Cache-Control: no-transform`. A body in pieces is compressed in pieces, each of which reaches the
/// client at once.
///
/// ```
/// use yamabiko::{App, Files, compression};
///
/// App::new().layer(compression()).files("/", Files::new("public"));
/// ```
pub fn compression() -> impl AsyncFn(Request, Next) -> Result<Response, Failure> + Clone + 'static {
    async |request: Request, next: Next| {
        let accept = request.headers().get(header::ACCEPT_ENCODING).cloned();
        let is_head = *request.method() == Method::HEAD;
        let mut response = next.run(request).await?;
        if !is_compressible(&response) {
            return Ok(response);
        }
        vary(response.headers_mut());
        let accept = accept.as_ref().and_then(|value| value.to_str().ok());
        match accepted_encoding(accept, &OFFERED) {
            Encoding::Identity => Ok(response),
            _ if is_head => Ok(response),
            encoding => {
                describe(encoding, response.headers_mut());
                let body = std::mem::take(response.body_mut());
                *response.body_mut() = compressed(encoding, body)?;
                Ok(response)
            }
        }
    }
}

fn is_compressible(response: &Response) -> bool {
    let headers = response.headers();
    let text = |name| headers.get(name).and_then(|it: &HeaderValue| it.to_str().ok()).unwrap_or("");
    let is_whole = !matches!(
        response.status(),
        StatusCode::PARTIAL_CONTENT | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    is_whole
        && !response.body().is_endless()
        && response.body().length().is_none_or(|length| length >= BYTES_MIN as u64)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
        && !text(header::CACHE_CONTROL).to_ascii_lowercase().contains("no-transform")
        && is_compressible_type(text(header::CONTENT_TYPE))
}

/// Types that are text, whatever they are called.
fn is_compressible_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || essence.ends_with("+text")
        || matches!(
            &*essence,
            "application/json"
                | "application/javascript"
                | "application/x-javascript"
                | "application/xml"
                | "application/x-ndjson"
                | "application/wasm"
                | "application/vnd.ms-fontobject"
                | "font/ttf"
                | "font/otf"
                | "image/bmp"
                | "image/x-icon"
                | "image/vnd.microsoft.icon"
        )
}

/// Whatever is sent, it could have been something else.
fn vary(headers: &mut HeaderMap) {
    let is_told = headers.get_all(header::VARY).iter().any(|value| {
        value.to_str().is_ok_and(|value| {
            value.split(',').any(|name| matches!(name.trim(), "*") || is_accept_encoding(name))
        })
    });
    if !is_told {
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

fn is_accept_encoding(name: &str) -> bool {
    name.trim().eq_ignore_ascii_case("accept-encoding")
}

fn describe(encoding: Encoding, headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
    headers.remove(header::ACCEPT_RANGES);
    // A strong tag promises the very same bytes.
    let weak = headers.get(header::ETAG).and_then(|tag| {
        let tag = tag.to_str().ok().filter(|tag| !tag.starts_with("W/"))?;
        HeaderValue::try_from(format!("W/{tag}")).ok()
    });
    if let Some(weak) = weak {
        headers.insert(header::ETAG, weak);
    }
}

fn compressed(encoding: Encoding, body: Body) -> Result<Body, Failure> {
    let mut encoder = Encoder::new(encoding);
    match body.into_sending() {
        Sending::Whole(bytes) if bytes.len() <= PIECE_BYTES => {
            encoder.write(&bytes)?;
            encoder.end()?;
            Ok(Body::from(encoder.take()))
        }
        Sending::Whole(bytes) => Ok(Body::of_pieces(
            Box::pin(Compressed { encoder: Some(encoder), rest: bytes, source: None, owes: false }),
            None,
        )),
        Sending::Pieces(Pieces { stream, .. }) => {
            let (rest, source) = (Bytes::new(), Some(stream));
            let stream = Compressed { encoder: Some(encoder), rest, source, owes: false };
            Ok(Body::of_pieces(Box::pin(stream), None))
        }
    }
}

/// A body on its way through an encoder.
struct Compressed {
    /// `None` behind the end.
    encoder: Option<Encoder>,
    /// What is here and not compressed yet.
    rest: Bytes,
    source: Option<PieceStream>,
    /// The encoder has something that the client does not have.
    owes: bool,
}

impl Stream for Compressed {
    type Item = Result<Bytes, Failure>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        let this = &mut *self;
        loop {
            let Some(encoder) = &mut this.encoder else { return Poll::Ready(None) };
            if !this.rest.is_empty() {
                let piece = this.rest.split_to(this.rest.len().min(PIECE_BYTES));
                if let Err(error) = encoder.write(&piece) {
                    return Poll::Ready(Some(Err(error.into())));
                }
                this.owes = true;
                let out = encoder.take();
                if !out.is_empty() {
                    return Poll::Ready(Some(Ok(out.into())));
                }
                continue;
            }
            let next = match &mut this.source {
                Some(source) => source.as_mut().poll_next(context),
                None => Poll::Ready(None),
            };
            match next {
                Poll::Ready(Some(Ok(piece))) => this.rest = piece,
                Poll::Ready(Some(Err(failure))) => return Poll::Ready(Some(Err(failure))),
                Poll::Ready(None) => {
                    let ended = encoder.end().map(|()| encoder.take());
                    this.encoder = None;
                    return Poll::Ready(Some(ended.map(Bytes::from).map_err(Failure::from)));
                }
                // Nothing more for now: what there is must not wait for it.
                Poll::Pending if this.owes => {
                    this.owes = false;
                    let flushed = encoder.flush().map(|()| encoder.take());
                    return Poll::Ready(Some(flushed.map(Bytes::from).map_err(Failure::from)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// One of the codings at work.
enum Encoder {
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    Deflate(Box<flate2::write::ZlibEncoder<Vec<u8>>>),
    Ended(Vec<u8>),
}

impl Encoder {
    fn new(encoding: Encoding) -> Self {
        let (out, level) = (Vec::new(), Level::default());
        match encoding {
            Encoding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(
                out,
                4096,
                BROTLI_LEVEL,
                BROTLI_WINDOW,
            ))),
            Encoding::Gzip => Self::Gzip(Box::new(flate2::write::GzEncoder::new(out, level))),
            Encoding::Deflate | Encoding::Identity => {
                Self::Deflate(Box::new(flate2::write::ZlibEncoder::new(out, level)))
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Brotli(encoder) => encoder.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Deflate(encoder) => encoder.write_all(bytes),
            Self::Ended(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Brotli(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Deflate(encoder) => encoder.flush(),
            Self::Ended(_) => Ok(()),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let out = match std::mem::replace(self, Self::Ended(Vec::new())) {
            Self::Brotli(encoder) => encoder.into_inner(),
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Deflate(encoder) => encoder.finish()?,
            Self::Ended(out) => out,
        };
        *self = Self::Ended(out);
        Ok(())
    }

    /// What has come out so far.
    fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Deflate(encoder) => encoder.get_mut(),
            Self::Ended(out) => out,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::http::into_response::{Html, IntoResponse, Json};
    use crate::http::router::Router;
    use crate::http::testing::{Iter, now, request};

    fn text() -> String {
        "one and the same line, again and again\n".repeat(5_000)
    }

    fn answer(accept: &str, response: impl IntoResponse + 'static) -> Response {
        let response = std::cell::RefCell::new(Some(response));
        let router = Router::new()
            .layer(compression())
            .get("/", async move |_| response.borrow_mut().take().unwrap().into_response());
        let mut request = request("GET", "/");
        request.headers_mut().insert("accept-encoding", accept.parse().unwrap());
        now(router.into_dispatch().answer(request)).unwrap()
    }

    fn plain(response: &mut Response) -> (Option<String>, String) {
        let bytes = now(response.body_mut().bytes()).unwrap();
        let encoding = response.headers().get("content-encoding");
        let encoding = encoding.map(|value| value.to_str().unwrap().to_owned());
        let mut text = String::new();
        match encoding.as_deref() {
            Some("br") => brotli::Decompressor::new(&bytes[..], 4096).read_to_string(&mut text),
            Some("gzip") => flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text),
            Some("deflate") => flate2::read::ZlibDecoder::new(&bytes[..]).read_to_string(&mut text),
            _ => (&bytes[..]).read_to_string(&mut text),
        }
        .unwrap();
        (encoding, text)
    }

    #[test]
    fn a_body_is_compressed_as_the_client_likes_and_is_the_same_afterwards() {
        for (accept, encoding) in
            [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("deflate, gzip;q=0", "deflate")]
        {
            for text in [text(), "x".repeat(2_000)] {
                let mut response = answer(accept, Html(text.clone()));
                assert_eq!(response.headers()["vary"], "Accept-Encoding");
                assert_eq!(plain(&mut response), (Some(encoding.into()), text), "{accept}");
            }
            let pieces = ["a".repeat(3_000), String::new(), "b".repeat(100_000), "c".into()];
            let all = pieces.concat();
            let body = Body::from_stream(Iter::of(pieces.map(Ok::<_, Failure>)));
            let mut response = answer(accept, ([("content-type", "text/css")], body));
            assert_eq!(plain(&mut response), (Some(encoding.into()), all), "{accept}");
        }
    }

    #[test]
    fn what_would_not_get_smaller_is_left_alone() {
        let untouched = |mut response: Response| plain(&mut response).0.is_none();
        assert!(untouched(answer("gzip", Html("short"))));
        assert!(untouched(answer("identity", Html(text()))));
        assert!(untouched(answer("gzip", ([("content-type", "image/png")], text()))));
        assert!(untouched(answer("gzip", ([("content-type", "application/zip")], text()))));
        assert!(untouched(answer("gzip", ([("cache-control", "no-transform")], text()))));
        assert!(untouched(answer("gzip", (StatusCode::PARTIAL_CONTENT, text()))));
        let encoded = answer("gzip", ([("content-encoding", "br")], text()));
        assert_eq!(encoded.headers()["content-encoding"], "br");
        assert!(!encoded.headers().contains_key("vary"));
    }

    #[test]
    fn headers_tell_what_was_done() {
        let headers = [("etag", "\"1\""), ("vary", "Origin"), ("accept-ranges", "bytes")];
        let response = answer("gzip", (headers, Json(vec![1; 2_000])));
        assert_eq!(response.headers()["etag"], "W/\"1\"");
        let vary: Vec<_> = response.headers().get_all("vary").iter().collect();
        assert_eq!(vary, ["Origin", "Accept-Encoding"]);
        assert!(!response.headers().contains_key("accept-ranges"));
        assert_eq!(response.body().length(), Some(response.body().length().unwrap()));
    }

    #[test]
    fn what_is_there_does_not_wait_for_what_comes() {
        struct Once(Option<Bytes>);
        impl Stream for Once {
            type Item = Result<Bytes, Failure>;
            fn poll_next(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Self::Item>> {
                self.0.take().map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(piece))))
            }
        }
        for accept in ["br", "gzip", "deflate"] {
            let body = Body::from_stream(Once(Some("data: 1\n\n".into())));
            let mut response = answer(accept, ([("content-type", "text/event-stream")], body));
            let mut came = Vec::new();
            let mut context = Context::from_waker(std::task::Waker::noop());
            while let Poll::Ready(Some(piece)) =
                Pin::new(response.body_mut()).poll_next(&mut context)
            {
                came.extend_from_slice(&piece.unwrap());
            }
            let mut text = [0; 9];
            match accept {
                "br" => brotli::Decompressor::new(&came[..], 4096).read_exact(&mut text),
                "gzip" => flate2::read::GzDecoder::new(&came[..]).read_exact(&mut text),
                _ => flate2::read::ZlibDecoder::new(&came[..]).read_exact(&mut text),
            }
            .unwrap();
            assert_eq!(&text, b"data: 1\n\n", "{accept}");
        }
    }
}
