//! What the unit tests of this folder share: futures that never wait, and streams of what is given.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::Request;
use super::body::Body;

/// The outcome of a future that does not have to wait.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("it waits"),
    }
}

/// A stream of what is given.
pub(crate) struct Iter<T>(VecDeque<T>);

impl<T> Iter<T> {
    pub(crate) fn of<const N: usize>(items: [T; N]) -> Self {
        Self(items.into())
    }
}

impl<T> Unpin for Iter<T> {}

impl<T> Stream for Iter<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(self.0.pop_front())
    }
}

/// A request without a client.
pub(crate) fn request(method: &str, target: &str) -> Request {
    let request = ::http::Request::builder().method(method).uri(target);
    let mut request = request.body(Body::empty()).unwrap();
    super::origin::Origin::begin(&mut request, ([127, 0, 0, 1], 0).into()).unwrap();
    request
}
