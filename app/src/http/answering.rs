//! Between the runtime's exchanges and the site: a head becomes a request, a response goes out.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ::http::uri::PathAndQuery;
use ::http::{Method, StatusCode, Uri, Version};
use bytes::Bytes;
use yamabiko_protocol::http::Head;
use yamabiko_runtime::{Departure, Exchange, HttpReply, ResponseBody, Shard};

use super::body::{Body, Pieces, Sending};
use super::dispatch::Dispatch;
use super::failure::Failure;
use super::origin::Origin;
use super::path::BadPath;
use super::{Request, Response};

/// Has the site answer a request, now or later.
pub(crate) fn take(shard: &Shard, site: &Rc<Dispatch>, head: &Head<'_>, exchange: Exchange) {
    match request(head, &exchange) {
        Ok(request) => {
            let (site, own) = (Rc::clone(site), shard.clone());
            shard.run(None, async move {
                let outcome = site.answer(request).await;
                send(own, exchange, outcome.unwrap_or_else(Failure::into_plain_response)).await;
            });
        }
        Err(BadPath) => {
            let bad = Failure::from(StatusCode::BAD_REQUEST).into_plain_response();
            shard.run(None, send(shard.clone(), exchange, bad));
        }
    }
}

fn request(head: &Head<'_>, exchange: &Exchange) -> Result<Request, BadPath> {
    let body = Body::incoming(exchange.body(), exchange.client());
    let mut request = Request::new(body);
    *request.method_mut() =
        Method::from_bytes(head.method().as_str().as_bytes()).map_err(|_| BadPath)?;
    *request.version_mut() = match head.is_http_1_0() {
        true => Version::HTTP_10,
        false => Version::HTTP_11,
    };
    let target = Bytes::copy_from_slice(head.target().as_bytes());
    let target = PathAndQuery::from_maybe_shared(target).map_err(|_| BadPath)?;
    *request.uri_mut() = Uri::from(target);
    for (name, value) in head.headers() {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            request.headers_mut().append(name, value);
        }
    }
    Origin::begin(&mut request, exchange.address())?;
    Ok(request)
}

async fn send(shard: Shard, exchange: Exchange, response: Response) {
    let (head, body) = response.into_parts();
    let mut reply = HttpReply { status: head.status, headers: head.headers, body: Bytes::new() };
    put_date(&mut reply.headers);
    match body.into_sending() {
        Sending::Whole(body) => exchange.answer(HttpReply { body, ..reply }),
        Sending::Pieces(pieces) => {
            let out = exchange.begin(reply, pieces.length);
            if let Err(failure) = pump(shard, pieces, out).await {
                tracing::warn!(%failure, "an answer broke off");
            }
        }
    }
}

/// What to do next with an answer in pieces.
enum Step {
    Piece(Option<Result<Bytes, Failure>>),
    /// Nothing came for a while.
    Pulse,
    /// Nobody wants more.
    Stop,
    /// It is complete as it is.
    End,
}

/// Moves pieces to the client as fast as it takes them. `out` breaks off where it is dropped.
async fn pump(shard: Shard, mut pieces: Pieces, mut out: ResponseBody) -> Result<(), Failure> {
    if out.is_bodiless() {
        return finish(out);
    }
    let client = out.client();
    let mut pulse = pieces.pulse.take().map(|(every, bytes)| Pulse::new(shard, every, bytes));
    loop {
        let step = poll_fn(|context| {
            match client.poll_departure(context) {
                Poll::Ready(Departure::Over) => return Poll::Ready(Step::Stop),
                // One that knows how much there is may have closed its side to say that it asks no more.
                Poll::Ready(Departure::PeerEnded) if pieces.length.is_none() => {
                    return Poll::Ready(Step::Stop);
                }
                Poll::Ready(Departure::ShuttingDown) if pieces.is_endless => {
                    return Poll::Ready(Step::End);
                }
                Poll::Ready(_) | Poll::Pending => {}
            }
            if let Poll::Ready(piece) = pieces.stream.as_mut().poll_next(context) {
                return Poll::Ready(Step::Piece(piece));
            }
            match &mut pulse {
                Some(pulse) => pulse.poll(context).map(|()| Step::Pulse),
                None => Poll::Pending,
            }
        })
        .await;
        let piece = match step {
            Step::Piece(Some(piece)) => piece?,
            Step::Pulse => pulse.as_ref().map(|pulse| pulse.bytes.clone()).unwrap_or_default(),
            Step::Piece(None) | Step::End => return finish(out),
            Step::Stop => return Ok(()),
        };
        if out.send(piece).await.is_err() {
            return Ok(());
        }
        if let Some(pulse) = &mut pulse {
            pulse.last = Instant::now();
        }
    }
}

fn finish(out: ResponseBody) -> Result<(), Failure> {
    use yamabiko_runtime::WriteError;
    match out.finish() {
        Err(error @ WriteError::WrongLength) => Err(Failure::of(error)),
        Ok(()) | Err(WriteError::Gone) => Ok(()),
    }
}

/// Tells when nothing was sent for a while. One timer runs at a time, whatever is sent meanwhile.
struct Pulse {
    shard: Shard,
    every: Duration,
    bytes: Bytes,
    last: Instant,
    timer: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Pulse {
    fn new(shard: Shard, every: Duration, bytes: Bytes) -> Self {
        Self { shard, every, bytes, last: Instant::now(), timer: None }
    }

    fn poll(&mut self, context: &mut std::task::Context<'_>) -> Poll<()> {
        loop {
            let (shard, left) = (&self.shard, self.every.saturating_sub(self.last.elapsed()));
            let timer = self.timer.get_or_insert_with(|| {
                let shard = shard.clone();
                Box::pin(async move { shard.sleep(left.max(Duration::from_millis(1))).await })
            });
            std::task::ready!(timer.as_mut().poll(context));
            self.timer = None;
            if self.last.elapsed() >= self.every {
                return Poll::Ready(());
            }
        }
    }
}

/// Adds `Date` (RFC 9110 section 6.6.1), made once a second.
fn put_date(headers: &mut HeaderMap) {
    thread_local! {
        static MADE: RefCell<(u64, HeaderValue)> =
            const { RefCell::new((0, HeaderValue::from_static(""))) };
    }
    let now = SystemTime::now();
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    MADE.with_borrow_mut(|(made_at, value)| {
        if *made_at != seconds
            && let Ok(fresh) = HeaderValue::try_from(httpdate::fmt_http_date(now))
        {
            (*made_at, *value) = (seconds, fresh);
        }
        headers.entry(header::DATE).or_insert_with(|| value.clone());
    });
}
