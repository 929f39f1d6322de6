//! A hop between two shards, as a model: two threads, and between them what the runtime's mesh is made
//! of. That is a bounded flume channel of batches, and a doorbell that is rung only if the other side
//! sleeps. The runtime's own doorbell is an eventfd in a ring; here a pipe stands for it.
//!
//! Reference: flume's own way to sleep and wake.
#![allow(missing_docs)]

use std::hint;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flume::{Receiver, Sender, bounded};

/// As in the mesh.
const BATCHES_MAX: usize = 1024;
const BATCH: usize = 64;

/// What a broadcast is to the mesh: a counted pointer.
type Parcel = Arc<[u8]>;

fn parcel() -> Parcel {
    Arc::from(&b"an encoded broadcast"[..])
}

/// One direction between two shards.
struct Line {
    sender: Sender<Vec<Parcel>>,
    asleep: Arc<AtomicBool>,
    bell: PipeWriter,
}

struct Inbox {
    receiver: Receiver<Vec<Parcel>>,
    asleep: Arc<AtomicBool>,
    bell: PipeReader,
}

fn line() -> (Line, Inbox) {
    let (sender, receiver) = bounded(BATCHES_MAX);
    let (reader, writer) = pipe().expect("two descriptors");
    let asleep = Arc::new(AtomicBool::new(false));
    let line = Line { sender, asleep: Arc::clone(&asleep), bell: writer };
    (line, Inbox { receiver, asleep, bell: reader })
}

impl Line {
    fn send(&mut self, batch: Vec<Parcel>) {
        let mut batch = Some(batch);
        while let Some(full) = batch.take() {
            if let Err(error) = self.sender.try_send(full) {
                batch = Some(error.into_inner());
                hint::spin_loop();
            }
        }
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.bell.write_all(&[1]).expect("the other side is there");
        }
    }
}

impl Inbox {
    /// The next batch, by a shard that has other work and looks again and again.
    fn spin(&self) -> Vec<Parcel> {
        loop {
            match self.receiver.try_recv() {
                Ok(batch) => return batch,
                Err(_) => hint::spin_loop(),
            }
        }
    }

    /// The next batch, by a shard that has nothing else to do.
    fn sleep(&mut self) -> Vec<Parcel> {
        loop {
            self.asleep.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let found = self.receiver.try_recv();
            if found.is_err() {
                self.bell.read_exact(&mut [0]).expect("the other side is there");
            }
            self.asleep.store(false, Ordering::Relaxed);
            if let Ok(batch) = found {
                return batch;
            }
        }
    }
}

/// Both directions in one thread: what a parcel costs without any crossing.
fn alone(c: &mut Criterion) {
    let mut group = c.benchmark_group("mesh, both ends in one thread");
    let (mut line, inbox) = line();
    let parcel = parcel();
    for batch in [1, BATCH] {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("batch of {batch}"), |b| {
            b.iter(|| {
                let mut held = Vec::new();
                for _ in 0..batch {
                    held.push(Arc::clone(&parcel));
                }
                line.send(held);
                inbox.spin().into_iter().map(|parcel| parcel.len()).sum::<usize>()
            });
        });
    }
    group.finish();
}

/// One shard sends without pause, the other takes.
fn one_way(c: &mut Criterion) {
    let mut group = c.benchmark_group("mesh, one way");
    for batch in [1, BATCH] {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("batches of {batch}"), |b| {
            b.iter_custom(|rounds| {
                let (mut line, inbox) = line();
                let parcel = parcel();
                let start = Instant::now();
                let producer = thread::spawn(move || {
                    for _ in 0..rounds {
                        line.send(vec![Arc::clone(&parcel); batch]);
                    }
                });
                for _ in 0..rounds {
                    assert_eq!(inbox.spin().len(), batch);
                }
                let time = start.elapsed();
                producer.join().expect("it only sends");
                time
            });
        });
    }
    group.finish();
}

/// There and back, one parcel under way.
fn round_trip(c: &mut Criterion) {
    let mut group = c.benchmark_group("mesh, there and back");
    group.bench_function("both awake", |b| {
        b.iter_custom(|rounds| echoes(rounds, |inbox| inbox.spin()));
    });
    group.bench_function("both asleep, doorbell", |b| {
        b.iter_custom(|rounds| echoes(rounds, Inbox::sleep));
    });
    group.bench_function("both asleep, flume's own", |b| {
        b.iter_custom(|rounds| {
            echoes(rounds, |inbox| inbox.receiver.recv().expect("the other side is there"))
        });
    });
    group.finish();
}

fn echoes(
    rounds: u64,
    take: impl Fn(&mut Inbox) -> Vec<Parcel> + Copy + Send + 'static,
) -> Duration {
    let (mut there, mut there_end) = line();
    let (mut back, mut back_end) = line();
    let echo = thread::spawn(move || {
        for _ in 0..rounds {
            let batch = take(&mut there_end);
            back.send(batch);
        }
    });
    let parcel = parcel();
    let start = Instant::now();
    for _ in 0..rounds {
        there.send(vec![Arc::clone(&parcel)]);
        assert_eq!(take(&mut back_end).len(), 1);
    }
    let time = start.elapsed();
    echo.join().expect("it only sends back");
    time
}

criterion_group! {
    name = stages;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = alone, one_way, round_trip
}
criterion_main!(stages);
