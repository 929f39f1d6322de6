//! How a shard wakes another one that sleeps in its ring: by an eventfd that the sleeper's ring polls, or
//! by a message from ring to ring (`IORING_OP_MSG_RING`). Two threads on two cores, a flume channel each
//! way for what is said, and each bell in turn, several times; it prints medians.
//!
//!     cargo run --release --package yamabiko-benches --example doorbell
//!
//! All `unsafe` here is queueing operations, none of which points at memory.
#![allow(unsafe_code, clippy::print_stdout)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use flume::{Receiver, Sender, bounded};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use rustix::event::{EventfdFlags, eventfd};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 9;
/// Trips there and back in a round.
const TRIPS: usize = 10_000;
/// Batches in a round that goes one way, and the time from one to the next: the other side sleeps by then.
const BATCHES: usize = 10_000;
const PAUSE: Duration = Duration::from_micros(60);

/// What is counted up by one in an eventfd.
static ONE: [u8; 8] = 1u64.to_ne_bytes();

/// How the sleeper is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bell {
    /// `write(2)` to an eventfd, as the runtime does.
    Eventfd,
    /// A completion in the sleeper's ring, submitted with what else the ringer's turn has for its own ring.
    Message,
}

const BELLS: [Bell; 2] = [Bell::Eventfd, Bell::Message];

/// What a broadcast is to the mesh: a counted pointer, in a batch; and when it was sent.
struct Batch {
    sent: Instant,
    parcels: Vec<Arc<[u8]>>,
}

/// One side.
struct Shard {
    ring: IoUring,
    own: Arc<House>,
    other: Arc<House>,
    inbox: Receiver<Batch>,
    line: Sender<Batch>,
    bell: Bell,
}

/// What a shard shows to its neighbour.
struct House {
    asleep: AtomicBool,
    eventfd: OwnedFd,
    ring: std::sync::OnceLock<RawFd>,
}

impl House {
    fn build() -> Arc<Self> {
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC).expect("a descriptor");
        Arc::new(Self { asleep: AtomicBool::new(false), eventfd, ring: Default::default() })
    }
}

impl Shard {
    /// To be called on the thread that is to use it.
    fn new(ends: Ends) -> Self {
        let Ends { own, other, inbox, line, bell, core } = ends;
        let mut here = CpuSet::new();
        here.set(core);
        sched_setaffinity(None, &here).expect("one of the cores that may be used");
        let mut builder = IoUring::builder();
        let ring = builder.setup_single_issuer().setup_defer_taskrun().build(64);
        let ring = ring.expect("Linux 6.1, and io_uring allowed");
        own.ring.set(ring.as_raw_fd()).expect("there is one ring in a house");
        let mut shard = Self { ring, own, other, inbox, line, bell };
        let eventfd = Fd(shard.own.eventfd.as_raw_fd());
        shard.push(opcode::PollAdd::new(eventfd, libc::POLLIN as u32).multi(true).build());
        shard.ring.submit().expect("it is polled");
        shard
    }

    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: no operation here points at memory, and descriptors live as long as the shards.
        unsafe { self.ring.submission().push(&entry) }.expect("64 entries are enough");
    }

    /// Sends a batch and rings, if the other side sleeps; the next `enter` or `receive` may carry that.
    fn send(&mut self, parcels: Vec<Arc<[u8]>>) {
        let batch = Batch { sent: Instant::now(), parcels };
        assert!(self.line.send(batch).is_ok(), "the other side is there");
        fence(Ordering::SeqCst);
        if !self.other.asleep.load(Ordering::Relaxed) {
            return;
        }
        let eventfd = &self.other.eventfd;
        match self.bell {
            Bell::Eventfd => {
                rustix::io::write(eventfd, &ONE).expect("a counter that is far from full");
            }
            Bell::Message => {
                let ring = Fd(*self.other.ring.get().expect("it sleeps, so it is built"));
                let message = opcode::MsgRingData::new(ring, 0, 0, None);
                self.push(message.build().flags(squeue::Flags::SKIP_SUCCESS));
            }
        }
    }

    /// Ends a turn that has work for the kernel, as most turns that send have: here, to do nothing.
    fn enter(&mut self) {
        self.push(opcode::Nop::new().build());
        self.ring.submit_and_wait(1).expect("the ring is whole");
        self.ring.completion().for_each(drop);
    }

    /// Sleeps in the ring until there is a batch.
    fn receive(&mut self) -> Batch {
        loop {
            self.own.asleep.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let found = self.inbox.try_recv();
            if found.is_err() {
                match self.ring.submit_and_wait(1) {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => panic!("{error}"),
                    _ => self.ring.completion().for_each(drop),
                }
            }
            self.own.asleep.store(false, Ordering::Relaxed);
            if let Ok(batch) = found {
                // What was rung and not yet submitted must not wait for the next sleep.
                if !self.ring.submission().is_empty() {
                    self.ring.submit().expect("the ring is whole");
                }
                return batch;
            }
        }
    }
}

/// What a shard is made of, before it is on its thread.
struct Ends {
    own: Arc<House>,
    other: Arc<House>,
    inbox: Receiver<Batch>,
    line: Sender<Batch>,
    bell: Bell,
    core: usize,
}

fn pair(bell: Bell, cores: [usize; 2]) -> (Ends, Ends) {
    let (one, two) = (House::build(), House::build());
    let (to_two, at_two) = bounded(1024);
    let (to_one, at_one) = bounded(1024);
    let [core, other] = cores;
    let here =
        Ends { own: one.clone(), other: two.clone(), inbox: at_one, line: to_two, bell, core };
    (here, Ends { own: two, other: one, inbox: at_two, line: to_one, bell, core: other })
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    /// Of a trip there and back: time, and CPU time of both sides.
    trip: f64,
    trip_cpu: f64,
    /// Of a batch one way: in the sender's turn, CPU time of the receiver, and until it was received.
    turn: f64,
    wake_cpu: f64,
    late_p50: f64,
    late_p99: f64,
}

fn there_and_back(bell: Bell, cores: [usize; 2], figures: &mut Figures) {
    let (here, there) = pair(bell, cores);
    let echo = thread::spawn(move || {
        let mut shard = Shard::new(there);
        let start = thread_cpu();
        for _ in 0..TRIPS {
            let batch = shard.receive();
            shard.send(batch.parcels);
        }
        shard.enter();
        thread_cpu() - start
    });
    let mut shard = Shard::new(here);
    let (start, cpu) = (Instant::now(), thread_cpu());
    let parcels = vec![Arc::from(&b"an encoded broadcast"[..])];
    for _ in 0..TRIPS {
        shard.send(parcels.clone());
        assert_eq!(shard.receive().parcels.len(), 1);
    }
    figures.trip = micros(start.elapsed()) / TRIPS as f64;
    let cpu = thread_cpu() - cpu + echo.join().expect("it only answers");
    figures.trip_cpu = micros(cpu) / TRIPS as f64;
}

fn one_way(bell: Bell, cores: [usize; 2], figures: &mut Figures) {
    let (here, there) = pair(bell, cores);
    let receiver = thread::spawn(move || {
        let mut shard = Shard::new(there);
        let start = thread_cpu();
        let late: Vec<Duration> = (0..BATCHES).map(|_| shard.receive().sent.elapsed()).collect();
        (thread_cpu() - start, late)
    });
    let mut shard = Shard::new(here);
    let parcels: Vec<Arc<[u8]>> = vec![Arc::from(&b"an encoded broadcast"[..])];
    let mut turns = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let next = Instant::now() + PAUSE;
        while Instant::now() < next {
            std::hint::spin_loop();
        }
        let batch = parcels.clone();
        let start = Instant::now();
        shard.send(batch);
        shard.enter();
        turns.push(micros(start.elapsed()));
    }
    let (cpu, late) = receiver.join().expect("it only receives");
    let mut late: Vec<f64> = late.into_iter().map(micros).collect();
    figures.turn = percentile(&mut turns, 50);
    figures.wake_cpu = micros(cpu) / BATCHES as f64;
    figures.late_p50 = percentile(&mut late, 50);
    figures.late_p99 = percentile(&mut late, 99);
}

fn main() {
    let set = sched_getaffinity(None).expect("of this thread");
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
    let &[one, two, ..] = cores.as_slice() else {
        println!("this takes two cores");
        return;
    };
    let mut rounds = [[Figures::default(); ROUNDS]; BELLS.len()];
    for round in 0..ROUNDS {
        for (figures, bell) in rounds.iter_mut().zip(BELLS) {
            there_and_back(bell, [one, two], &mut figures[round]);
            one_way(bell, [one, two], &mut figures[round]);
        }
    }
    println!("µs, medians of {ROUNDS} rounds\n");
    println!(
        "| bell | there and back | CPU of both | ringer's turn | sleeper's CPU | late p50 | p99 |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (bell, figures) in BELLS.iter().zip(rounds) {
        let median = |figure: fn(&Figures) -> f64| {
            percentile(&mut figures.iter().map(figure).collect::<Vec<_>>(), 50)
        };
        println!(
            "| {bell:?} | {:.1} | {:.1} | {:.2} | {:.2} | {:.1} | {:.1} |",
            median(|it| it.trip),
            median(|it| it.trip_cpu),
            median(|it| it.turn),
            median(|it| it.wake_cpu),
            median(|it| it.late_p50),
            median(|it| it.late_p99),
        );
    }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() * percent / 100]
}
