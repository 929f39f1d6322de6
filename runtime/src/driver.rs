//! The task that is a shard: it turns the loop, sleeps when a turn found nothing, and ends when the
//! shard has drained.
//!
//! It sleeps in one of two ways. While no task of the application is alive it blocks in its own ring: one
//! system call. Else the executor sleeps, so that it can run tasks and their timers: nine calls, a memory
//! barrier over all cores among them (glommio 0.9).

use crate::application::Application;
use crate::heart::Heart;
use crate::ring::{Doorbell, Signal, Sleep};
use crate::shard::{Place, Shard};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc::Sender;

/// Runs one shard on the current executor until it has drained or died.
pub(crate) async fn run<F>(
    place: Place,
    factory: F,
    ready: Sender<Result<(), String>>,
    heart: Heart,
) where
    F: Fn(Shard) -> Rc<dyn Application>,
{
    let id = place.id;
    let doorbell = place.doorbell.clone();
    let started = Shard::start(place, factory)
        .and_then(|shard| Ok((shard, Signal::new(&doorbell).map_err(|error| error.to_string())?)));
    let (shard, signal) = match started {
        Ok(started) => started,
        Err(message) => {
            let _ = ready.send(Err(message));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    glommio::spawn_local(feel_heart(shard.clone(), heart.clone())).detach();
    loop {
        // A panic here is a mistake of ours, not of a handler: those are caught where they are called.
        // What this shard holds is given up, and the supervisor starts it again.
        let turn = || {
            let busy = shard.turn()?;
            shard.tick_if_due(&heart);
            io::Result::Ok(busy)
        };
        let busy = match catch_unwind(AssertUnwindSafe(turn)) {
            Ok(Ok(busy)) => busy,
            Ok(Err(error)) => {
                tracing::error!(shard = id, %error, "the ring failed");
                break;
            }
            Err(_) => {
                tracing::error!(shard = id, "the shard panicked");
                break;
            }
        };
        if shard.has_drained() {
            break;
        }
        if !busy && let Err(error) = sleep(&shard, &doorbell, &signal).await {
            tracing::error!(shard = id, %error, "the ring failed");
            break;
        }
        glommio::executor().yield_task_queue_now().await;
    }
    shard.end();
}

/// Sleeps until there may be something to do.
async fn sleep(shard: &Shard, doorbell: &Doorbell, signal: &Signal) -> io::Result<()> {
    let place = shard.place_to_sleep();
    doorbell.fall_asleep(place);
    let slept = match place {
        _ if !shard.may_sleep() => Ok(()),
        Sleep::InRing => shard.sleep_in_ring(),
        Sleep::InExecutor => match shard.signal() {
            Ok(true) => {
                signal.wait().await;
                Ok(())
            }
            result => result.map(|_| ()),
        },
    };
    doorbell.wake_up();
    slept
}

/// Goes on when the supervisor has woken this executor because its ticks had stopped.
async fn feel_heart(shard: Shard, heart: Heart) {
    while !shard.has_ended() {
        heart.feel().await;
        shard.metrics().pulses.add(1);
        shard.nudge();
    }
}
