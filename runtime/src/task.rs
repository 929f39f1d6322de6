//! Futures of the application: they become tasks only when they have to wait, and a panic in one ends at
//! most the socket it is for.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::application::SocketKey;
use crate::shard::Shard;

impl Shard {
    /// Runs a future of the application: polled at once, and only if it has to wait does it become a
    /// task. A panic in it ends `socket`, if given, and nothing else.
    pub fn run(&self, socket: Option<SocketKey>, future: impl Future<Output = ()> + 'static) {
        let mut future = Box::pin(Caught(future));
        // Whatever this first look registers a waker with is looked at again by the task.
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(Panicked)) => self.handler_panicked(socket),
            Poll::Pending => {
                let shard = self.clone();
                self.0.metrics.tasks.add(1);
                glommio::spawn_local(async move {
                    if future.await.is_err() {
                        shard.handler_panicked(socket);
                    }
                    shard.0.metrics.tasks.sub(1);
                    shard.nudge();
                })
                .detach();
            }
        }
    }

    /// Waits for `time` on this shard.
    pub async fn sleep(&self, time: Duration) {
        glommio::timer::sleep(time).await;
    }
}

/// A future whose panics are caught.
struct Caught<F>(F);

struct Panicked;

impl<F: Future<Output = ()>> Future for Caught<F> {
    type Output = Result<(), Panicked>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the inner future is pinned with the outer one and never moved out of it.
        #[allow(unsafe_code)]
        let future = unsafe { self.map_unchecked_mut(|caught| &mut caught.0) };
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}
