//! From one call to one pinned executor per core, and back again on a signal.
//!
//! The calling thread becomes the supervisor: it waits for signals, restarts a shard that died, and on
//! SIGTERM or SIGINT tells all shards to drain. Signals are blocked before any thread starts, so that
//! only it sees them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};

use yamabiko_protocol::limits::ClusterLimits;

use crate::application::Application;
use crate::bridge::{Link, RedisSettings};
use crate::cluster::{Asked, Ear, Mouth, Voice, Wire};
use crate::driver;
use crate::heart::Heart;
use crate::interest::{Directory, SHARDS_MAX};
use crate::listener;
use crate::mesh::{Mesh, Parcel};
use crate::metrics::ShardMetrics;
use crate::nodes::{Members, Myself, Roll, random_slot};
use crate::outside::Outside;
use crate::preflight::{self, Unfit};
use crate::registry::Registry;
use crate::relay::signer;
use crate::settings::{Redis, Settings};
use crate::shard::{Place, Shard};

/// How often the supervisor looks whether every shard is alive: longer than two ticks.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// The same while all of them rest.
const RESTING_LOOK_EVERY: Duration = Duration::from_millis(250);
/// A shard that dies is started again at most once in this time.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Why the server could not run.
#[derive(Debug)]
pub enum ServeError {
    /// A setting is out of its range, or settings contradict each other.
    Settings(String),
    /// The machine cannot run it; the text names the cure.
    Unfit(Unfit),
    /// The address could not be had.
    Listen(SocketAddr, io::Error),
    /// A shard could not start.
    Shard(u8, String),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Settings(message) => f.write_str(message),
            ServeError::Unfit(unfit) => unfit.fmt(f),
            ServeError::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            ServeError::Shard(shard, message) => {
                write!(f, "shard {shard} did not start: {message}")
            }
        }
    }
}

impl std::error::Error for ServeError {}

/// What an embedder learns when every shard accepts connections.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The address it listens on, with the real port.
    pub address: SocketAddr,
    /// The address at which other nodes pass connections on, with the real port.
    pub cluster_address: Option<SocketAddr>,
    /// Each shard's counters, in order of their ids.
    pub metrics: Vec<Arc<ShardMetrics>>,
    /// The way to the shards from any thread.
    pub outside: Outside,
}

/// Runs a node until SIGTERM, SIGINT or [`Outside::close`], then shuts it down cleanly.
///
/// `factory` runs once on each shard's own thread. `on_ready` is called when all shards accept. A second
/// signal during the shutdown ends it at once.
///
/// # Errors
/// [`ServeError`] if it could not start. Once it serves, failures are local and logged.
pub fn serve<F>(
    settings: Settings,
    factory: F,
    on_ready: impl FnOnce(Ready),
) -> Result<(), ServeError>
where
    F: Fn(Shard) -> Rc<dyn Application> + Clone + Send + 'static,
{
    let settings = Arc::new(settings.checked().map_err(ServeError::Settings)?);
    let cores = cores();
    let count = settings.shards.unwrap_or(cores.len());
    if !(1..=SHARDS_MAX).contains(&count) {
        return Err(ServeError::Settings(format!("shards must be between 1 and {SHARDS_MAX}")));
    }
    preflight::check(count).map_err(ServeError::Unfit)?;
    let descriptors = preflight::raise_descriptor_limit();
    preflight::grow_descriptor_table();
    let signals = Signals::block();
    let (address, listeners) = listener::bind(settings.listen, count, settings.ring.backlog)
        .map_err(|error| ServeError::Listen(settings.listen, error))?;
    if settings.steer_by_cpu {
        match listener::steer(&listeners, &cores) {
            Ok(()) => tracing::info!("connections go to the shard on the core they arrive at"),
            Err(why) => {
                tracing::warn!(%why, "connections are spread by hash, not steered by CPU");
            }
        }
    }
    let cluster = settings.cluster.listen.map(|listen| {
        listener::bind(listen, count, settings.ring.backlog)
            .map_err(|error| ServeError::Listen(listen, error))
    });
    let (cluster_address, cluster_listeners) = cluster.transpose()?.unzip();
    let slot = match settings.cluster.slot {
        0 if settings.redis.is_some() => random_slot(),
        slot => slot,
    };
    let roll = Arc::new(Roll::of(slot, &settings.cluster.nodes));
    roll.drain(settings.cluster.drain);
    let mesh = Mesh::lay(count).map_err(|error| ServeError::Shard(0, error.to_string()))?;
    let registry = Arc::new(Registry::new(settings.limits.dynamic_namespaces_max));
    let directory = Arc::new(Directory::new());
    let metrics: Arc<[Arc<ShardMetrics>]> = (0..count).map(|_| Arc::default()).collect();
    let voice = match &settings.redis {
        Some(redis) => {
            let ears = Ears { mesh: &mesh, registry: &registry, directory: &directory };
            let about = About { roll: &roll, metrics: &metrics, address: cluster_address };
            Some(join_cluster(&settings, redis, &ears, &about)?)
        }
        None => None,
    };
    let mut node = Node {
        settings,
        factory,
        cores,
        mesh,
        listeners,
        cluster_listeners: cluster_listeners.unwrap_or_default(),
        directory,
        voice,
        roll,
        registry,
        metrics,
        shards: Vec::new(),
    };
    for id in 0..count {
        let running = node.start(id as u8)?;
        node.shards.push(Some(running));
    }
    preflight::give_back_memory();
    tracing::info!(%address, shards = count, descriptors, "serving");
    let outside = node.mesh.outside();
    on_ready(Ready { address, cluster_address, metrics: node.metrics.to_vec(), outside });
    let end = Arc::clone(node.mesh.node_end());
    node.supervise(&signals);
    node.shut_down(&signals);
    end.come();
    Ok(())
}

/// Where what others say goes.
struct Ears<'n> {
    mesh: &'n Mesh,
    registry: &'n Arc<Registry>,
    directory: &'n Arc<Directory>,
}

/// What others are told of this node.
struct About<'n> {
    roll: &'n Arc<Roll>,
    metrics: &'n Arc<[Arc<ShardMetrics>]>,
    /// Where it takes connections that others pass on.
    address: Option<SocketAddr>,
}

/// Opens the bridge to other nodes.
fn join_cluster(
    settings: &Settings,
    redis: &Redis,
    ears: &Ears<'_>,
    about: &About<'_>,
) -> Result<Arc<Voice>, ServeError> {
    let Ears { mesh, registry, directory } = *ears;
    let cluster = &settings.cluster;
    // An address that means any of them cannot be told to others.
    let address = cluster.address.or(about.address.filter(|it| !it.ip().is_unspecified()));
    if address.is_none() && about.address.is_some() {
        return Err(ServeError::Settings(
            "cluster-address is needed where cluster-listener names no single address".into(),
        ));
    }
    // As long as the sharded adapter's, so that no two nodes share it.
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| ServeError::Settings(error.to_string()))?;
    let uid = format!("{:016x}", u64::from_ne_bytes(random));
    let (metrics, asked) = (Arc::default(), Arc::<Asked>::default());
    let wire = Wire {
        adapter: redis.adapter,
        prefix: redis.key.as_str().into(),
        uid: uid.as_str().into(),
    };
    let myself = Myself {
        uid: uid.as_str().into(),
        address,
        url: cluster.public_url.as_deref().map(Box::from),
        weight: cluster.weight,
        secret: cluster.secret.as_ref().map(signer),
    };
    let ear = Ear {
        wire: wire.clone(),
        parser: settings.parser,
        limits: ClusterLimits::default(),
        registry: Arc::clone(registry),
        directory: Arc::clone(directory),
        shards: mesh.outside(),
        asked: Arc::clone(&asked),
        metrics: Arc::clone(&metrics),
        members: Members::new(myself, Arc::clone(about.roll), 0),
        roll: Arc::clone(about.roll),
        clock: Instant::now(),
        node: Arc::clone(about.metrics),
    };
    let link = Link::open(RedisSettings::of(&redis.url), ear)
        .map_err(|error| ServeError::Settings(format!("redis: {error}")))?;
    let voice = Voice::new(Mouth { link, wire }, metrics, asked, mesh.outside());
    voice.arrive();
    Ok(Arc::new(voice))
}

/// Everything that outlives a single shard.
struct Node<F> {
    settings: Arc<Settings>,
    factory: F,
    cores: Vec<usize>,
    mesh: Mesh,
    listeners: Vec<OwnedFd>,
    /// Those for other nodes of the cluster; none, or one for each shard.
    cluster_listeners: Vec<OwnedFd>,
    directory: Arc<Directory>,
    voice: Option<Arc<Voice>>,
    roll: Arc<Roll>,
    registry: Arc<Registry>,
    metrics: Arc<[Arc<ShardMetrics>]>,
    shards: Vec<Option<Running>>,
}

struct Running {
    thread: ExecutorJoinHandle<()>,
    started: Instant,
    heart: Heart,
    /// The shard's ticks at the last look, and when they were seen to go on.
    ticks: u64,
    ticked: Instant,
}

impl<F> Node<F>
where
    F: Fn(Shard) -> Rc<dyn Application> + Clone + Send + 'static,
{
    /// Starts one shard and waits until it accepts connections.
    fn start(&self, id: u8) -> Result<Running, ServeError> {
        let failed = |message: String| ServeError::Shard(id, message);
        let own = |listeners: &[OwnedFd]| {
            let listener = listeners.get(usize::from(id)).map(OwnedFd::try_clone);
            listener.transpose().map_err(|error| failed(error.to_string()))
        };
        let listener = own(&self.listeners)?.expect("there is one for each shard");
        let place = Place {
            id,
            shards: self.listeners.len(),
            listener,
            cluster_listener: own(&self.cluster_listeners)?,
            settings: Arc::clone(&self.settings),
            directory: Arc::clone(&self.directory),
            registry: Arc::clone(&self.registry),
            metrics: Arc::clone(&self.metrics),
            mesh: self.mesh.end(id),
            doorbell: self.mesh.doorbell(id),
            outside: self.mesh.outside(),
            voice: self.voice.clone(),
            roll: Arc::clone(&self.roll),
        };
        let (ready, is_ready) = mpsc::channel();
        let heart = Heart::default();
        let shard_heart = heart.clone();
        let factory = self.factory.clone();
        let thread = self
            .executor(id)
            .spawn(move || driver::run(place, factory, ready, shard_heart))
            .map_err(|error| failed(error.to_string()))?;
        match is_ready.recv() {
            Ok(Ok(())) => {
                let now = Instant::now();
                Ok(Running { thread, started: now, heart, ticks: 0, ticked: now })
            }
            Ok(Err(message)) => Err(failed(message)),
            Err(_) => Err(failed(match thread.join() {
                Err(error) => error.to_string(),
                Ok(()) => "it ended at once".into(),
            })),
        }
    }

    fn executor(&self, id: u8) -> LocalExecutorBuilder {
        let placement = match self.settings.pin {
            true => Placement::Fixed(self.cores[usize::from(id) % self.cores.len()]),
            false => Placement::Unbound,
        };
        // The network has its own ring: glommio's are for timers and the doorbell, for which its default
        // of 10 MiB of locked memory is far too much. Its preempt timer stays at 100 ms: our loop lets
        // other tasks run once a turn by itself, and a short one makes the sleep that `heart` is about
        // likely.
        LocalExecutorBuilder::new(placement)
            .name(&format!("shard-{id}"))
            .io_memory(64 * 1024)
            .ring_depth(256)
    }

    /// Waits for a signal, or for somebody outside to close the node; meanwhile starts again what died.
    fn supervise(&mut self, signals: &Signals) {
        while signals.wait(self.look_every()).is_none() && !self.mesh.node_end().is_wanted() {
            self.feel_pulses();
            for id in 0..self.shards.len() {
                let died = !self.is_alive(id);
                let recently =
                    self.shards[id].as_ref().is_some_and(|s| s.started.elapsed() < RESTART_PAUSE);
                if died && !recently {
                    self.restart(id as u8);
                }
            }
        }
    }

    fn is_alive(&self, id: usize) -> bool {
        self.shards[id].is_some() && !self.mesh.has_died(id as u8)
    }

    fn look_every(&self) -> Duration {
        match self.shards.iter().flatten().all(|shard| shard.heart.rests()) {
            true => RESTING_LOOK_EVERY,
            false => LOOK_EVERY,
        }
    }

    /// Wakes each shard whose ticks have stopped for longer than they may.
    fn feel_pulses(&mut self) {
        for (shard, metrics) in self.shards.iter_mut().zip(self.metrics.iter()) {
            let Some(shard) = shard else { continue };
            let ticks = metrics.ticks.value();
            if ticks != shard.ticks {
                (shard.ticks, shard.ticked) = (ticks, Instant::now());
            } else if !shard.heart.rests() || shard.ticked.elapsed() >= RESTING_LOOK_EVERY {
                shard.heart.beat();
            }
        }
    }

    fn restart(&mut self, id: u8) {
        let slot = usize::from(id);
        if let Some(dead) = self.shards[slot].take() {
            let end = dead.thread.join();
            tracing::error!(shard = id, ?end, "a shard died; its clients will reconnect");
        }
        self.mesh.revive(id);
        self.registry.forget(id);
        match self.start(id) {
            Ok(running) => self.shards[slot] = Some(running),
            Err(error) => tracing::error!(shard = id, %error, "a shard could not be restarted"),
        }
    }

    /// Tells every shard to drain and waits for them, at most as long as the settings say.
    fn shut_down(mut self, signals: &Signals) {
        tracing::info!("shutting down");
        self.roll.drain(true);
        self.listeners.clear();
        self.cluster_listeners.clear();
        let deadline = Instant::now() + self.settings.shutdown_timeout + Duration::from_secs(1);
        for id in 0..self.shards.len() {
            self.mesh.tell(id as u8, Parcel::Drain);
        }
        while (0..self.shards.len()).any(|id| self.is_alive(id)) {
            self.feel_pulses();
            if Instant::now() > deadline || signals.wait(LOOK_EVERY).is_some() {
                tracing::warn!("not everything could be closed in time");
                return;
            }
        }
        for shard in self.shards.into_iter().flatten() {
            let _ = shard.thread.join();
        }
        if let Some(voice) = self.voice {
            voice.leave();
        }
        tracing::info!("shut down");
    }
}

/// The cores this process may use, in order.
fn cores() -> Vec<usize> {
    // SAFETY: a cpu_set_t is plain bits, for which all zeroes are valid; the call fills the set of the
    // size it is told.
    #[allow(unsafe_code)]
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
        set
    };
    // SAFETY: every asked index is below the set's size.
    #[allow(unsafe_code)]
    let is_set = |core: &usize| unsafe { libc::CPU_ISSET(*core, &set) };
    let cores: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(is_set).collect();
    if cores.is_empty() { vec![0] } else { cores }
}

/// SIGTERM and SIGINT, blocked in every thread and waited for in one.
struct Signals(libc::sigset_t);

#[allow(unsafe_code)]
impl Signals {
    fn block() -> Self {
        // SAFETY: the set is initialised by sigemptyset before it is used.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGTERM);
            libc::sigaddset(&mut set, libc::SIGINT);
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            Self(set)
        }
    }

    /// The signal that came within `time`, if any.
    fn wait(&self, time: Duration) -> Option<i32> {
        let time = libc::timespec {
            tv_sec: time.as_secs() as libc::time_t,
            tv_nsec: time.subsec_nanos().into(),
        };
        // SAFETY: both pointers are valid for the call; no information is asked for.
        let signal = unsafe { libc::sigtimedwait(&self.0, std::ptr::null_mut(), &time) };
        (signal > 0).then_some(signal)
    }
}
