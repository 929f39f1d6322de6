//! What other nodes say. It is read once, on the bridge's thread, and handed to the shards that care.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use yamabiko_protocol::cluster::{Dialect, Message, Packet, Target as Opts, Unwritable, Value};
use yamabiko_protocol::engine::Owner;
use yamabiko_protocol::limits::ClusterLimits;
use yamabiko_protocol::parser::Parser;

use super::asked::{Asked, Sought};
use super::portrait;
use super::wire::{Heard, OldQuestion, Place, Return, Said, Wire};
use crate::application::NamespaceId;
use crate::bridge::{Kind, Listener, Said as Saying};
use crate::broadcast::{Broadcast, Target};
use crate::gathering::{News, Tidings};
use crate::inquiry::Item;
use crate::interest::{Directory, ShardSet};
use crate::mesh::Parcel;
use crate::metrics::ShardMetrics;
use crate::nodes::{self, Members, Roll, Whose};
use crate::operation::{Operation, Order};
use crate::outside::Outside;
use crate::packet::Encoded;
use crate::raw::RawArgs;
use crate::registry::{Card, Registry};
use crate::room::EVERYONE;
use crate::shard::Shard;

/// A client of another node that has answered; only its node knows which.
const A_CLIENT: &str = "a client of another node";

/// The node's ear in the cluster.
pub(crate) struct Ear {
    pub(crate) wire: Wire,
    pub(crate) parser: Parser,
    pub(crate) limits: ClusterLimits,
    pub(crate) registry: Arc<Registry>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) shards: Outside,
    pub(crate) asked: Arc<Asked>,
    pub(crate) metrics: Arc<EarMetrics>,
    pub(crate) members: Members,
    pub(crate) roll: Arc<Roll>,
    pub(crate) clock: Instant,
    /// Those of all shards.
    pub(crate) node: Arc<[Arc<ShardMetrics>]>,
}

/// What the ear counts.
#[derive(Debug, Default)]
pub(crate) struct EarMetrics {
    /// Messages of other nodes that a shard was given.
    pub(crate) taken: AtomicU64,
    /// Messages that nobody here cares for.
    pub(crate) unwanted: AtomicU64,
    /// Messages that make no sense.
    pub(crate) malformed: AtomicU64,
    /// Messages that a shard was too busy for.
    pub(crate) dropped: AtomicU64,
}

/// Why nothing is done about a message.
type Why = &'static str;

impl Listener for Ear {
    fn message(&mut self, channel: &str, payload: Bytes) {
        let heard = match self.namespace_of(channel) {
            Some(card) => self.listen(&card, channel, &payload),
            None if channel == nodes::channel(&self.wire.prefix) => {
                let now_ms = self.now_ms();
                self.members.hear(now_ms, &payload)
            }
            None => Ok(()),
        };
        if let Err(why) = heard {
            // Once for each would let anybody fill the log.
            if self.metrics.malformed.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(channel, why, "a message of the cluster makes no sense");
            }
        }
    }

    fn wants(&self) -> Vec<(Kind, Arc<str>)> {
        let kind = if self.wire.is_sharded() { Kind::Sharded } else { Kind::Plain };
        vec![(kind, nodes::channel(&self.wire.prefix).into())]
    }

    fn next_words(&mut self) -> Option<Saying> {
        let clients = self.node.iter().map(|shard| shard.sessions.value()).sum();
        let words = self.members.next_words(self.now_ms(), clients)?;
        let channel = nodes::channel(&self.wire.prefix).into();
        Some(Saying { channel, is_sharded: self.wire.is_sharded(), payload: words.into() })
    }

    fn farewell(&mut self) -> Option<Saying> {
        let channel = nodes::channel(&self.wire.prefix).into();
        let payload = self.members.farewell(self.now_ms()).into();
        Some(Saying { channel, is_sharded: self.wire.is_sharded(), payload })
    }

    fn look(&mut self) {
        let now_ms = self.now_ms();
        self.members.look(now_ms);
    }

    fn up(&mut self) {
        let now_ms = self.now_ms();
        self.members.up(now_ms);
    }

    fn down(&mut self) {
        let now_ms = self.now_ms();
        self.members.down(now_ms);
    }
}

/// What it is.
impl Ear {
    fn now_ms(&self) -> u64 {
        self.clock.elapsed().as_millis() as u64
    }

    fn listen(&self, card: &Card, channel: &str, payload: &[u8]) -> Result<(), Why> {
        let (namespace, name) = (card.id, &*card.name);
        let Some(place) = self.wire.identify(name, channel) else { return Ok(()) };
        if let Place::Broadcasts(room) = &place
            && self.interested(namespace, room.as_deref()).is_empty()
        {
            // Most is dropped here, unread.
            self.metrics.unwanted.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let mut modern = Vec::new();
        let heard = self.wire.read(name, &place, channel, payload, &mut modern, &self.limits)?;
        let Heard { sender, generation, said } = heard;
        if sender.as_deref() == Some(&*self.wire.uid) {
            return Ok(());
        }
        let back = |request: Cow<'_, str>| Return {
            request: request.into(),
            node: sender.as_deref().map(Box::from),
            generation,
        };
        match said {
            Said::Message(Message::Broadcast { packet, target, request: None }) => {
                let room = match &place {
                    Place::Broadcasts(room) => room.as_deref(),
                    Place::Rest => None,
                };
                self.broadcast(card, target_of(&target, room), &packet)
            }
            Said::Message(Message::Broadcast { packet, target, request: Some(request) }) => {
                self.ask_for_acks(namespace, &target, &packet, back(request))
            }
            Said::Message(message) => self.hear(namespace, message, back),
            Said::Old(question, request) => {
                self.old(namespace, question, back(request));
                Ok(())
            }
            Said::Nothing => Ok(()),
        }
    }

    fn hear(
        &self,
        namespace: NamespaceId,
        message: Message<'_>,
        back: impl FnOnce(Cow<'_, str>) -> Return,
    ) -> Result<(), Why> {
        match message {
            Message::Join { target, rooms } => {
                let rooms = rooms.iter().map(Cow::into_owned).collect();
                self.order(namespace, plain(&target), Operation::Join(rooms));
            }
            Message::Leave { target, rooms } => {
                let rooms = rooms.iter().map(Cow::into_owned).collect();
                self.order(namespace, plain(&target), Operation::Leave(rooms));
            }
            Message::Disconnect { target, close } => {
                self.order(namespace, plain(&target), Operation::Disconnect { close });
            }
            Message::Fetch { target, request } => {
                let (target, back) = (plain(&target), back(request));
                self.on_one(namespace, move |shard| {
                    shard.tell_sockets(namespace, target, back);
                });
            }
            Message::ServerSideEmit { data, request } => {
                let (event, args) = self.event_of(&Packet { namespace: None, id: None, data })?;
                let back = request.map(back);
                self.on_one(namespace, move |shard| match back {
                    Some(back) => shard.tell_application(namespace, event, args, back),
                    None => shard.hear_event(namespace, &event, args),
                });
            }
            Message::FetchResponse { request, sockets } => {
                let told = || sockets.iter().filter_map(|socket| portrait::seen(&socket));
                self.answered(&request, Sought::Sockets, || {
                    Ok(Tidings::Node(told().map(|info| Item::Socket(Box::new(info))).collect()))
                })?;
            }
            Message::ServerSideEmitResponse { request, answer } => {
                self.answered(&request, Sought::Servers, || {
                    Ok(Tidings::Node(vec![Item::Server {
                        shard: None,
                        args: self.args_of(answer)?,
                    }]))
                })?;
            }
            Message::ClientCount { request, count } => {
                self.answered(&request, Sought::Acks, || Ok(Tidings::Clients(count)))?;
            }
            Message::Ack { request, answer } => {
                self.answered(&request, Sought::Acks, || {
                    let args = self.args_of(answer)?;
                    Ok(Tidings::Client(Item::Ack { socket: A_CLIENT.into(), args }))
                })?;
            }
            // Heartbeats, of other adapters.
            _ => {}
        }
        Ok(())
    }

    fn old(&self, namespace: NamespaceId, question: OldQuestion<'_>, back: Return) {
        let one = |id: Cow<'_, str>, operation, back| {
            let id = id.into_owned();
            self.on_one(namespace, move |shard| {
                shard.operate_and_tell(namespace, id, operation, back);
            });
        };
        match question {
            OldQuestion::Join(id, room) => one(id, Operation::Join(vec![room.into()]), back),
            OldQuestion::Leave(id, room) => one(id, Operation::Leave(vec![room.into()]), back),
            OldQuestion::Disconnect(id, close) => one(id, Operation::Disconnect { close }, back),
            OldQuestion::Ids(rooms) => {
                let rooms = rooms.iter().map(Cow::into_owned).collect();
                let target = Target { rooms, local: true, ..Target::default() };
                self.on_one(namespace, move |shard| shard.tell_ids(namespace, target, back));
            }
            OldQuestion::RoomsOf(id) => {
                let id = id.into_owned();
                self.on_one(namespace, move |shard| shard.tell_rooms_of(namespace, id, back));
            }
            OldQuestion::AllRooms => {
                let rooms = self.directory.rooms(namespace);
                self.on_one(namespace, move |shard| shard.tell_all_rooms(namespace, rooms, back));
            }
            OldQuestion::Custom => {
                self.on_one(namespace, move |shard| shard.tell_nothing(namespace, &back));
            }
        }
    }

    /// The namespace on one of whose channels something came, if there is such a namespace here.
    fn namespace_of(&self, channel: &str) -> Option<Arc<Card>> {
        let rest = channel.strip_prefix(&*self.wire.prefix)?;
        let rest = rest.strip_prefix("-request").or(rest.strip_prefix("-response")).unwrap_or(rest);
        let rest = rest.strip_prefix('#')?;
        // A name may have a `#` in it; then the longest that is known counts.
        let mut ends: Vec<usize> = rest.match_indices('#').map(|(at, _)| at).collect();
        ends.reverse();
        let names = ends.into_iter().map(|end| &rest[..end]);
        names.filter(|name| name.starts_with('/')).find_map(|name| self.registry.find(name))
    }
}

/// What is done about it.
impl Ear {
    fn broadcast(&self, card: &Card, target: Target, packet: &Packet<'_>) -> Result<(), Why> {
        let shards = self.meant(card.id, &target);
        if shards.is_empty() {
            self.metrics.unwanted.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let encoded = self.encode(&card.name, packet)?;
        let namespace = card.id;
        let broadcast = Arc::new(Broadcast { namespace, target, encoded, serial: None });
        self.post_to(shards, || Parcel::Broadcast(Arc::clone(&broadcast)));
        Ok(())
    }

    fn order(&self, namespace: NamespaceId, target: Target, operation: Operation) {
        let shards = self.meant(namespace, &target);
        let order = Arc::new(Order::new(namespace, target, operation));
        self.post_to(shards, || Parcel::Order(Arc::clone(&order)));
    }

    fn ask_for_acks(
        &self,
        namespace: NamespaceId,
        target: &Opts<'_>,
        packet: &Packet<'_>,
        back: Return,
    ) -> Result<(), Why> {
        let timeout = target.flags.timeout_ms.map(Duration::from_millis);
        let (event, target) = (self.event_of(packet)?, plain(target));
        self.on_one(namespace, move |shard| {
            shard.tell_acks(namespace, target, event, timeout, back);
        });
        Ok(())
    }

    /// Hands an answer to the shard that asked. What nobody asked is not looked into.
    fn answered(
        &self,
        request: &str,
        sought: Sought,
        tidings: impl FnOnce() -> Result<Tidings, Why>,
    ) -> Result<(), Why> {
        let waiting = self.asked.find(request).filter(|waiting| waiting.sought == sought);
        if let Some(waiting) = waiting {
            let news = News { key: waiting.asker.key, tidings: tidings()? };
            self.post_to(ShardSet::only(waiting.asker.shard), {
                let mut news = Some(news);
                move || Parcel::News(news.take().expect("one shard has asked"))
            });
        }
        Ok(())
    }

    /// Has a shard that knows the namespace do something for the node.
    fn on_one(&self, namespace: NamespaceId, call: impl FnOnce(&Shard) + Send + 'static) {
        let shard = self.directory.look_up(namespace, EVERYONE).iter().next().unwrap_or(0);
        let counter = match self.shards.call(shard, call) {
            Ok(()) => &self.metrics.taken,
            Err(_) => &self.metrics.dropped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn post_to(&self, shards: ShardSet, mut parcel: impl FnMut() -> Parcel) {
        for shard in shards.iter() {
            if self.shards.post(shard, parcel()).is_err() {
                self.metrics.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.metrics.taken.fetch_add(1, Ordering::Relaxed);
    }

    fn interested(&self, namespace: NamespaceId, room: Option<&str>) -> ShardSet {
        match room.and_then(crate::broadcast::own_id) {
            // An id leads to its shard, but sockets that came back have moved.
            Some(id) if self.is_ours(id.owner()) => self
                .directory
                .look_up(namespace, room.unwrap_or(EVERYONE))
                .union(ShardSet::only(id.owner().shard)),
            _ => self.directory.look_up(namespace, room.unwrap_or(EVERYONE)),
        }
    }

    fn is_ours(&self, owner: Owner) -> bool {
        usize::from(owner.shard) < self.shards.shards()
            && self.roll.whose(owner.node) == Whose::Ours
    }

    fn meant(&self, namespace: NamespaceId, target: &Target) -> ShardSet {
        if target.rooms.is_empty() {
            return self.interested(namespace, None);
        }
        let each = target.rooms.iter().map(|room| self.interested(namespace, Some(room)));
        each.fold(ShardSet::default(), ShardSet::union)
    }
}

/// Events in the form of this node's parser.
impl Ear {
    fn encode(&self, namespace: &str, packet: &Packet<'_>) -> Result<Encoded, Why> {
        use yamabiko_protocol::{msgpack, socket};
        let event = packet.event().ok_or("it holds no event")?;
        let mut out = Vec::new();
        match self.parser {
            Parser::Default => {
                let (json, attachments) = self.json_args(packet)?;
                let count = attachments.len();
                socket::encode::event_raw(&mut out, namespace, None, &event.name, &json, count)
                    .map_err(|_| "its event has a name that is reserved")?;
                Ok(Encoded::json(&out, attachments))
            }
            Parser::Msgpack => {
                let mut args = Vec::new();
                let count =
                    packet.write_args_msgpack(&mut args, Dialect::Client).map_err(unwritable)?;
                msgpack::encode::event_raw(&mut out, namespace, None, &event.name, &args, count)
                    .map_err(|_| "its event has a name that is reserved")?;
                Ok(Encoded::Msgpack(out.into()))
            }
        }
    }

    fn event_of(&self, packet: &Packet<'_>) -> Result<(Box<str>, RawArgs), Why> {
        let event = packet.event().ok_or("it holds no event")?;
        let args = match self.parser {
            Parser::Default => {
                let (json, attachments) = self.json_args(packet)?;
                RawArgs::json(json.into_bytes(), attachments)
            }
            Parser::Msgpack => {
                let mut args = Vec::new();
                let count =
                    packet.write_args_msgpack(&mut args, Dialect::Client).map_err(unwritable)?;
                RawArgs::msgpack(&args, count)
            }
        };
        Ok((event.name.into(), args))
    }

    /// What one peer has answered.
    fn args_of(&self, answer: Option<Value<'_>>) -> Result<RawArgs, Why> {
        let Some(answer) = answer else { return Ok(RawArgs::default()) };
        if self.parser == Parser::Msgpack {
            let mut bytes = Vec::new();
            answer.write_msgpack(&mut bytes, Dialect::Client).map_err(unwritable)?;
            return Ok(RawArgs::msgpack(&bytes, 1));
        }
        let (mut json, mut attachments) = (Vec::new(), Vec::new());
        answer
            .write_json(&mut json, &mut attachments, self.limits.attachments_max)
            .map_err(unwritable)?;
        Ok(RawArgs::json(json, attachments))
    }

    fn json_args(&self, packet: &Packet<'_>) -> Result<(String, Vec<Bytes>), Why> {
        let (mut json, mut attachments) = (Vec::new(), Vec::new());
        packet
            .write_args_json(&mut json, &mut attachments, self.limits.attachments_max)
            .map_err(unwritable)?;
        Ok((String::from_utf8(json).expect("the encoder writes JSON text"), attachments))
    }
}

fn unwritable(_: Unwritable) -> Why {
    "what it holds cannot be sent to clients"
}

/// Whom something is for, as this node knows it. No other node is told of it again.
fn plain(opts: &Opts<'_>) -> Target {
    Target {
        rooms: opts.rooms.iter().map(|name| name.into_owned()).collect(),
        except: opts.except.iter().map(|name| name.into_owned()).collect(),
        volatile: opts.flags.volatile,
        compress: opts.flags.compress.unwrap_or(true),
        local: true,
    }
}

/// Whom a broadcast is for that came on the channel of `room`.
fn target_of(opts: &Opts<'_>, room: Option<&str>) -> Target {
    let mut target = plain(opts);
    if let Some(room) = room
        && target.rooms.len() > 1
        && let Some(at) = target.rooms.iter().position(|listed| listed == room)
    {
        // An old emitter publishes once for each room: who is in an earlier one has had it.
        target.except.extend(target.rooms.drain(..at));
        target.rooms = vec![room.into()];
    }
    target
}
