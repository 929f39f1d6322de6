//! How the supervisor wakes a shard that sleeps although it has something to do.
//!
//! glommio's executor goes to sleep with runnable tasks queued when its preempt timer has fired before the
//! first of them ran, as happens to a thread that a crowded machine has stopped for longer than that timer.
//! A pending timer ends such a sleep, but the task that was to set it may be among those queued. A wake
//! from another thread ends it, too; it may meet the same bad luck, so it is repeated until the shard's
//! ticks go on.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// A shard's heart. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heart(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    beat: Mutex<Beat>,
    rests: AtomicBool,
}

#[derive(Debug, Default)]
struct Beat {
    pending: bool,
    waker: Option<Waker>,
}

impl Heart {
    /// The shard says whether it has nobody to serve, and so ticks slowly.
    pub(crate) fn rest(&self, rests: bool) {
        self.0.rests.store(rests, Ordering::Relaxed);
    }

    /// Whether the shard ticks slowly.
    pub(crate) fn rests(&self) -> bool {
        self.0.rests.load(Ordering::Relaxed)
    }

    /// Wakes the shard, from any thread, however often it takes.
    pub(crate) fn beat(&self) {
        let mut beat = self.0.beat.lock().unwrap_or_else(PoisonError::into_inner);
        beat.pending = true;
        if let Some(waker) = &beat.waker {
            waker.wake_by_ref();
        }
    }

    /// Waits for a beat, on the shard.
    pub(crate) async fn feel(&self) {
        poll_fn(|context| {
            let mut beat = self.0.beat.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::take(&mut beat.pending) {
                return Poll::Ready(());
            }
            beat.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use glommio::{LocalExecutorBuilder, Placement};

    use super::*;

    /// A preempt timer far below what the machine can keep provokes the sleep on demand.
    #[test]
    fn an_executor_that_sleeps_with_runnable_tasks_is_woken_until_it_runs() {
        let heart = Heart::default();
        let shard_heart = heart.clone();
        let shard = LocalExecutorBuilder::new(Placement::Unbound)
            .preempt_timer(Duration::from_micros(200))
            .io_memory(64 * 1024)
            .ring_depth(256)
            .spawn(move || async move {
                for _ in 0..20 {
                    shard_heart.feel().await;
                }
            })
            .unwrap();
        let (ended, has_ended) = std::sync::mpsc::channel();
        thread::spawn(move || ended.send(shard.join().is_ok()));
        for _ in 0..20_000 {
            heart.beat();
            if let Ok(is_ok) = has_ended.recv_timeout(Duration::from_millis(1)) {
                assert!(is_ok);
                return;
            }
        }
        panic!("it slept on");
    }
}
