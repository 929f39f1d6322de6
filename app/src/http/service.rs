//! A `tower::Service` as a part of the site: an `axum::Router`, for one (feature `tower`).
//!
//! Such services want requests they could send to another thread, which ours cannot be. So they get a body
//! of their own, [`ServiceBody`], which is filled while the service runs and while its answer is sent.
//!
//! They run on the core's own executor, not on tokio. What only computes and answers, as extractors and
//! most handlers do, runs as it is; what needs tokio's timers or sockets has to be spawned on a runtime of
//! tokio's that the process has beside it:
//!
//! ```
//! use axum::routing::get;
//! use yamabiko::App;
//!
//! let api = axum::Router::new().route("/hello/{name}", get(
//!     async |axum::extract::Path(name): axum::extract::Path<String>| format!("hello, {name}"),
//! ));
//! App::new().service("/api", api);
//! ```

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use flume::r#async::RecvStream;
use futures_core::Stream;
use http_body::{Frame, SizeHint};
use tower_service::Service;

use super::Request;
use super::body::{Body, Sending};
use super::failure::Failure;
use super::handler::Handler;

/// Pieces that may wait for the service before the client is held back.
const WAITING_MAX: usize = 1;

type SendError = Box<dyn Error + Send + Sync>;
type Pump = Option<Pin<Box<dyn Future<Output = ()>>>>;

/// The body of a request to a service.
pub struct ServiceBody {
    content: Content,
    length: Option<u64>,
}

enum Content {
    Whole(Bytes),
    Pieces(RecvStream<'static, Result<Bytes, SendError>>),
}

/// Calls a clone of the service for each request.
pub(crate) fn handler<S, B>(service: S) -> Handler
where
    S: Service<::http::Request<ServiceBody>, Response = ::http::Response<B>> + Clone + 'static,
    S::Error: Into<Box<dyn Error>>,
    B: http_body::Body<Error: Into<Box<dyn Error>>> + 'static,
{
    Rc::new(move |request| {
        let mut service = service.clone();
        Box::pin(async move {
            let (request, mut pump) = split(request);
            let ready = poll_fn(|context| service.poll_ready(context)).await;
            ready.map_err(Failure::of)?;
            let mut call = pin!(service.call(request));
            let response = poll_fn(|context| {
                run(&mut pump, context);
                call.as_mut().poll(context)
            });
            let response = response.await.map_err(Failure::of)?;
            Ok(response.map(|body| answer(body, pump)))
        })
    })
}

/// The request as a service takes it, and what moves its body there.
fn split(request: Request) -> (::http::Request<ServiceBody>, Pump) {
    let (head, body) = request.into_parts();
    let length = body.length();
    let (content, pump): (_, Pump) = match body.into_sending() {
        Sending::Whole(bytes) => (Content::Whole(bytes), None),
        Sending::Pieces(mut pieces) => {
            let (sender, receiver) = flume::bounded(WAITING_MAX);
            let pump = async move {
                while let Some(piece) =
                    poll_fn(|context| pieces.stream.as_mut().poll_next(context)).await
                {
                    let piece = piece.map_err(|failure| SendError::from(failure.to_string()));
                    if sender.send_async(piece).await.is_err() {
                        return;
                    }
                }
            };
            (Content::Pieces(receiver.into_stream()), Some(Box::pin(pump)))
        }
    };
    (::http::Request::from_parts(head, ServiceBody { content, length }), pump)
}

fn run(pump: &mut Pump, context: &mut Context<'_>) {
    if let Some(future) = pump
        && future.as_mut().poll(context).is_ready()
    {
        *pump = None;
    }
}

fn answer<B>(body: B, pump: Pump) -> Body
where
    B: http_body::Body<Error: Into<Box<dyn Error>>> + 'static,
{
    let length = body.size_hint().exact();
    match length {
        Some(0) => Body::empty(),
        _ => Body::of_pieces(Box::pin(Answer { body: Box::pin(body), pump }), length),
    }
}

/// A service's answer; the request's body goes on being read while it is sent.
struct Answer<B> {
    body: Pin<Box<B>>,
    pump: Pump,
}

impl<B> Stream for Answer<B>
where
    B: http_body::Body<Error: Into<Box<dyn Error>>>,
{
    type Item = Result<Bytes, Failure>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        run(&mut self.pump, context);
        loop {
            return Poll::Ready(match std::task::ready!(self.body.as_mut().poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(mut data) => Some(Ok(data.copy_to_bytes(data.remaining()))),
                    // Trailers; few clients read them.
                    Err(_) => continue,
                },
                Some(Err(error)) => Some(Err(Failure::of(error))),
                None => None,
            });
        }
    }
}

impl http_body::Body for ServiceBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        match &mut self.content {
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Content::Pieces(pieces) => Pin::new(pieces)
                .poll_next(context)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.content, self.length) {
            (Content::Whole(bytes), _) => SizeHint::with_exact(bytes.len() as u64),
            // Right at the beginning, which is when it is asked for.
            (Content::Pieces(_), Some(length)) => SizeHint::with_exact(length),
            (Content::Pieces(_), None) => SizeHint::default(),
        }
    }
}
