//! What one shard asks the others, and what they answer.
//!
//! A question goes to every shard that may have something to say, and to the other nodes of the cluster.
//! Each is heard once: it tells what it knows, and from whom more is due (the sockets that were asked for an
//! acknowledgement).

use std::sync::Arc;
use std::time::Duration;

use yamabiko_protocol::parser::EncodeError;

use crate::application::{NamespaceId, SocketKey};
use crate::broadcast::Target;
use crate::emit::Handshake;
use crate::gathering::{Asker, Elsewhere, Gathered, Gathering, Piece, Sink, Tidings};
use crate::interest::ShardSet;
use crate::mesh::Parcel;
use crate::packet::{EmitArgs, EmitError, Encoded};
use crate::raw::RawArgs;
use crate::shard::{Shard, State, Timer};
use crate::socket::AckCallback;

/// What is told of a socket to another shard.
#[derive(Debug, Clone)]
pub struct SocketInfo {
    /// Its id.
    pub id: String,
    /// The shard that owns it; `None` if it is one of another node.
    pub shard: Option<u8>,
    /// The rooms it is in, its own id first.
    pub rooms: Vec<String>,
    /// What is known of its client.
    pub handshake: Handshake,
    /// What the application says of it, as JSON: [`Application::data`](crate::Application::data).
    pub data: Option<Box<str>>,
}

/// One answer.
#[derive(Debug)]
pub enum Item {
    /// A socket of the target.
    Socket(Box<SocketInfo>),
    /// A client's acknowledgement.
    Ack {
        /// The socket that was asked.
        socket: String,
        /// What it said.
        args: RawArgs,
    },
    /// The answer of an application on another shard or node.
    Server {
        /// The shard that was asked; `None` for another node.
        shard: Option<u8>,
        /// What it said.
        args: RawArgs,
    },
}

/// Called once with what was gathered.
pub type OnGathered = Box<dyn FnOnce(Gathered)>;

/// What is asked.
#[derive(Debug)]
pub(crate) enum Question {
    Sockets(Target),
    Acks { target: Target, event: Box<str>, args: RawArgs, timeout: Duration },
    Server { event: Box<str>, args: RawArgs },
}

/// A question on its way through the node.
#[derive(Debug)]
pub(crate) struct Inquiry {
    namespace: NamespaceId,
    question: Question,
    /// Where to answer; `None` if nobody waits for it.
    asker: Option<Asker>,
}

/// Who is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) shards: ShardSet,
    /// And no other node.
    pub(crate) is_local: bool,
}

/// The application's way to answer an event of another shard's application. Dropped, it says that there is
/// no answer.
pub struct ServerReply {
    shard: Shard,
    asker: Asker,
    is_answered: bool,
}

impl Inquiry {
    /// An event for applications, which nobody waits for.
    pub(crate) fn event(namespace: NamespaceId, event: &str, args: RawArgs) -> Self {
        Self { namespace, question: Question::Server { event: event.into(), args }, asker: None }
    }
}

impl Shard {
    /// Asks all shards which sockets of `target` they have.
    pub fn fetch_sockets(
        &self,
        namespace: NamespaceId,
        target: Target,
        timeout: Duration,
        done: OnGathered,
    ) {
        let shards = self.with(|state| state.interested(namespace, &target));
        let scope = Scope { shards, is_local: target.local };
        self.ask(namespace, scope, Question::Sockets(target), timeout, Sink::Whole(done));
    }

    /// Sends an event to all sockets of `target` and gathers what each of them acknowledges.
    ///
    /// # Errors
    /// [`EmitError::Encode`]; nothing was sent then.
    pub fn emit_for_acks<T: EmitArgs + ?Sized>(
        &self,
        namespace: NamespaceId,
        target: Target,
        event: &str,
        args: &T,
        timeout: Duration,
        done: OnGathered,
    ) -> Result<(), EmitError> {
        yamabiko_protocol::socket::encode::check_name(event)?;
        let args = args.to_raw(self.settings().parser)?;
        let shards = self.with(|state| state.interested(namespace, &target));
        let scope = Scope { shards, is_local: target.local };
        let question = Question::Acks { target, event: event.into(), args, timeout };
        self.ask(namespace, scope, question, timeout, Sink::Whole(done));
        Ok(())
    }

    /// Sends an event to the applications of all other shards and nodes.
    ///
    /// # Errors
    /// The arguments cannot be put into JSON.
    pub fn server_side_emit<T: EmitArgs + ?Sized>(
        &self,
        namespace: NamespaceId,
        event: &str,
        args: &T,
    ) -> Result<(), EncodeError> {
        let args = args.to_raw(self.settings().parser)?;
        self.tell_nodes(namespace, event, &args);
        self.spread_event(namespace, event, args);
        Ok(())
    }

    /// The same, and gathers what they answer.
    ///
    /// # Errors
    /// The arguments cannot be put into JSON.
    pub fn server_side_ask<T: EmitArgs + ?Sized>(
        &self,
        namespace: NamespaceId,
        event: &str,
        args: &T,
        timeout: Duration,
        done: OnGathered,
    ) -> Result<(), EncodeError> {
        let args = args.to_raw(self.settings().parser)?;
        let question = Question::Server { event: event.into(), args };
        let scope = Scope { shards: self.all_shards().without(self.0.id), is_local: false };
        self.ask(namespace, scope, question, timeout, Sink::Whole(done));
        Ok(())
    }

    fn all_shards(&self) -> ShardSet {
        (0..self.0.shards).fold(ShardSet::default(), |set, shard| {
            set.union(ShardSet::only(u8::try_from(shard).unwrap_or(u8::MAX)))
        })
    }

    /// Has the applications of all other shards hear an event that nobody waits for.
    pub(crate) fn spread_event(&self, namespace: NamespaceId, event: &str, args: RawArgs) {
        let inquiry = Arc::new(Inquiry::event(namespace, event, args));
        self.spread(&inquiry, self.all_shards());
        self.nudge();
    }

    pub(crate) fn ask(
        &self,
        namespace: NamespaceId,
        scope: Scope,
        question: Question,
        timeout: Duration,
        sink: Sink,
    ) {
        let Scope { shards, is_local } = scope;
        let is_alone = is_local || self.with(|state| state.voice.is_none());
        if shards.is_empty() && is_alone {
            return match sink {
                Sink::Whole(done) => self.guarded(None, || done(Gathered::default())),
                Sink::Pieces(mut take) => take(Piece::Due(0)),
            };
        }
        let key = self.with(|state| {
            let deadline_ms = state.now_ms.saturating_add(timeout.as_millis() as u64);
            let key = state.inquiries.insert(Gathering::new(shards, deadline_ms, sink));
            state.wheel.file(Timer::Inquiry(key), deadline_ms);
            key
        });
        let asker = Asker { shard: self.0.id, key };
        if !is_alone {
            let asked = self.ask_nodes(namespace, &question, asker);
            let is_cut_off = asked.is_none();
            self.with(|state| {
                if let Some(gathering) = state.inquiries.get_mut(key) {
                    gathering.expect_nodes(asked.unwrap_or_else(Elsewhere::cut_off));
                }
            });
            if is_cut_off && shards.is_empty() {
                self.tell(asker, Tidings::Nodes(None));
            }
        }
        let inquiry = Arc::new(Inquiry { namespace, question, asker: Some(asker) });
        self.spread(&inquiry, shards);
        if shards.contains(self.0.id) {
            self.respond(&inquiry);
        }
        self.nudge();
    }

    fn spread(&self, inquiry: &Arc<Inquiry>, shards: ShardSet) {
        self.with(|state| {
            for to in shards.without(self.0.id).iter() {
                state.mesh.post(to, Parcel::Inquiry(Arc::clone(inquiry)), &self.0.metrics);
            }
        });
    }

    /// Answers a question for this shard.
    pub(crate) fn respond(&self, inquiry: &Inquiry) {
        let namespace = inquiry.namespace;
        match (&inquiry.question, inquiry.asker) {
            (Question::Sockets(target), Some(asker)) => {
                let sockets = self.with(|state| state.members(namespace, target));
                let items = sockets.into_iter().filter_map(|socket| self.describe(socket));
                let items = items.map(|info| Item::Socket(Box::new(info))).collect();
                self.tell(asker, Tidings::Heard { shard: self.0.id, items, due: Vec::new() });
            }
            (Question::Acks { target, event, args, timeout }, Some(asker)) => {
                let due = self.emit_to_each(namespace, target, event, args, *timeout, asker);
                self.tell(asker, Tidings::Heard { shard: self.0.id, items: Vec::new(), due });
            }
            (Question::Server { event, args }, asker) => {
                let reply = asker.map(|asker| {
                    let (items, due) = (Vec::new(), vec![shard_name(self.0.id)]);
                    self.tell(asker, Tidings::Heard { shard: self.0.id, items, due });
                    ServerReply { shard: self.clone(), asker, is_answered: false }
                });
                args.with_args(|args| {
                    self.guarded(None, || {
                        self.application().server_side_event(namespace, event, args, reply);
                    });
                });
            }
            (Question::Sockets(_) | Question::Acks { .. }, None) => {}
        }
    }

    fn describe(&self, socket: SocketKey) -> Option<SocketInfo> {
        let state = self.state(socket).ok()?;
        let mut data = None;
        self.guarded(None, || data = self.application().data(state.as_ref()));
        Some(SocketInfo {
            id: self.socket_id(socket).ok()?,
            shard: Some(self.0.id),
            rooms: self.rooms(socket).ok()?,
            handshake: self.handshake(socket).ok()?,
            data,
        })
    }

    /// Sends the event to this shard's members, each of whom owes an acknowledgement then. Returns their
    /// ids.
    fn emit_to_each(
        &self,
        namespace: NamespaceId,
        target: &Target,
        event: &str,
        args: &RawArgs,
        timeout: Duration,
        asker: Asker,
    ) -> Vec<String> {
        let encoded = self.with(|state| {
            let members = state.members(namespace, target);
            // A shard that is only asked for a socket's id may never have met the namespace.
            if members.is_empty() {
                return None;
            }
            let id = state.next_ack(namespace);
            Some((members, id, state.encode_event(namespace, Some(id), None, event, args).ok()?))
        });
        let Some((members, id, encoded)) = encoded else { return Vec::new() };
        let mut due = Vec::with_capacity(members.len());
        for socket in members {
            let Ok(name) = self.socket_id(socket) else { continue };
            due.push(name.clone());
            let shard = self.clone();
            let on_ack: AckCallback = Box::new(move |answer| {
                let tidings = match answer {
                    Ok(args) => {
                        let item = Item::Ack { socket: name.clone(), args: RawArgs::from(args) };
                        Tidings::Came { due: name, item }
                    }
                    Err(_) => Tidings::Lost { due: name },
                };
                shard.tell(asker, tidings);
            });
            self.with(|state| {
                state.compress = target.compress;
                state.send_for_ack(socket, &encoded, id, target.volatile, timeout, on_ack);
                state.compress = true;
            });
        }
        due
    }
}

impl State {
    /// Sends an encoded event to one socket and calls `on_ack` once with what comes of it.
    fn send_for_ack(
        &mut self,
        socket: SocketKey,
        encoded: &Encoded,
        id: u64,
        volatile: bool,
        timeout: Duration,
        on_ack: AckCallback,
    ) {
        let max = self.settings.limits.pending_acks_max;
        let Some(entry) = self.sockets.get_mut(socket) else { return };
        // The asker's own timer tells those that are missing.
        if entry.acks.len() >= max {
            return;
        }
        entry.acks.insert(id, on_ack);
        let at = self.now_ms.saturating_add(timeout.as_millis() as u64);
        self.wheel.file(Timer::Ack(socket, id, at), at);
        self.send(socket, encoded, volatile);
    }
}

impl ServerReply {
    /// Answers.
    ///
    /// # Errors
    /// The answer cannot be put into JSON; there is none then.
    pub fn answer<T: EmitArgs + ?Sized>(mut self, args: &T) -> Result<(), EncodeError> {
        let args = args.to_raw(self.shard.settings().parser)?;
        self.is_answered = true;
        let (due, shard) = (shard_name(self.shard.id()), self.shard.id());
        let item = Item::Server { shard: Some(shard), args };
        self.shard.tell(self.asker, Tidings::Came { due, item });
        Ok(())
    }
}

impl Drop for ServerReply {
    fn drop(&mut self) {
        if !self.is_answered {
            let due = shard_name(self.shard.id());
            self.shard.tell(self.asker, Tidings::Lost { due });
        }
    }
}

fn shard_name(shard: u8) -> String {
    format!("shard {shard}")
}
