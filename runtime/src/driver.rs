//! The task that is a shard: it turns the loop, sleeps when a turn found nothing, and ends when the
//! shard has drained. Beside it run a tick task, which moves the timers on, and one that can be woken from
//! outside.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use glommio::timer::Timer;

use crate::application::Application;
use crate::heart::Heart;
use crate::shard::{Place, Shard};
use crate::wheel::{RESTING_STEP_MS, STEP_MS};

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
        .and_then(|shard| Ok((shard, doorbell.sleeper().map_err(|error| error.to_string())?)));
    let (shard, sleeper) = match started {
        Ok(started) => started,
        Err(message) => {
            let _ = ready.send(Err(message));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let tick = glommio::spawn_local(tick(shard.clone(), heart.clone())).detach();
    glommio::spawn_local(feel_heart(shard.clone(), heart)).detach();
    loop {
        // A panic here is a mistake of ours, not of a handler: those are caught where they are called.
        // What this shard holds is given up, and the supervisor starts it again.
        let busy = match catch_unwind(AssertUnwindSafe(|| shard.turn())) {
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
        if busy {
            glommio::executor().yield_task_queue_now().await;
        } else {
            sleeper.sleep_unless(|| shard.has_work()).await;
        }
    }
    shard.end();
    tick.await;
}

/// Moves the timers on.
async fn tick(shard: Shard, heart: Heart) {
    while !shard.has_ended() {
        let rests = shard.has_nobody();
        heart.rest(rests);
        let step_ms = if rests { RESTING_STEP_MS } else { STEP_MS };
        Timer::new(Duration::from_millis(step_ms)).await;
        shard.tick();
    }
}

/// Goes on when the supervisor has woken this executor because its ticks had stopped.
async fn feel_heart(shard: Shard, heart: Heart) {
    while !shard.has_ended() {
        heart.feel().await;
        shard.metrics().pulses.add(1);
        shard.nudge();
    }
}
