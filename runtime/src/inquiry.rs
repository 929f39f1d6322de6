//! What one shard asks the others, and how it gathers what they answer.
//!
//! A question goes to every shard that may have something to say. Each is heard once: it tells what it
//! knows, and from whom more is due (the sockets that were asked for an acknowledgement). The asker waits
//! until all were heard and nothing is due any more, or its time is over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use yamabiko_protocol::parser::EncodeError;

use crate::application::{NamespaceId, SocketKey};
use crate::broadcast::Target;
use crate::emit::Handshake;
use crate::interest::ShardSet;
use crate::mesh::Parcel;
use crate::packet::{EmitArgs, EmitError, Encoded};
use crate::raw::RawArgs;
use crate::shard::{Shard, State, Timer};
use crate::socket::AckCallback;

slotmap::new_key_type! {
    /// Names one inquiry of a shard.
    pub(crate) struct InquiryKey;
}

/// What is told of a socket to another shard.
#[derive(Debug, Clone)]
pub struct SocketInfo {
    /// Its id.
    pub id: String,
    /// The shard that owns it.
    pub shard: u8,
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
    /// The answer of an application on another shard.
    Server {
        /// The shard that was asked.
        shard: u8,
        /// What it said.
        args: RawArgs,
    },
}

/// All that was answered.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The answers, in the order in which they came.
    pub items: Vec<Item>,
    /// Who was asked and did not answer: ids of sockets, or `shard 3`.
    pub missing: Vec<String>,
    /// Shards that were not heard at all.
    pub silent: Vec<u8>,
}

/// Called once with what was gathered.
pub type OnGathered = Box<dyn FnOnce(Gathered)>;

/// What is asked.
#[derive(Debug)]
enum Question {
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

/// Where the answers go.
#[derive(Debug, Clone, Copy)]
struct Asker {
    shard: u8,
    key: InquiryKey,
}

/// A part of the answer on its way to the asker.
#[derive(Debug)]
pub(crate) struct News {
    from: u8,
    key: InquiryKey,
    tidings: Tidings,
}

#[derive(Debug)]
enum Tidings {
    /// All that the shard knows itself, and who will say more.
    Heard { items: Vec<Item>, due: Vec<String> },
    /// What was due from one.
    Came { due: String, item: Item },
    /// One of those will say nothing.
    Lost { due: String },
}

/// An inquiry that is not over.
pub(crate) struct Gathering {
    silent: ShardSet,
    due: HashSet<String>,
    gathered: Gathered,
    deadline_ms: u64,
    done: OnGathered,
}

/// The application's way to answer an event of another shard's application. Dropped, it says that there is
/// no answer.
pub struct ServerReply {
    shard: Shard,
    asker: Asker,
    is_answered: bool,
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
        self.ask(namespace, shards, Question::Sockets(target), timeout, done);
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
        let question = Question::Acks { target, event: event.into(), args, timeout };
        self.ask(namespace, shards, question, timeout, done);
        Ok(())
    }

    /// Sends an event to the applications of all other shards.
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
        let question = Question::Server { event: event.into(), args };
        self.spread(&Arc::new(Inquiry { namespace, question, asker: None }), self.all_shards());
        self.nudge();
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
        let others = self.all_shards().without(self.0.id);
        self.ask(namespace, others, question, timeout, done);
        Ok(())
    }

    fn all_shards(&self) -> ShardSet {
        (0..self.0.shards).fold(ShardSet::default(), |set, shard| {
            set.union(ShardSet::only(u8::try_from(shard).unwrap_or(u8::MAX)))
        })
    }

    fn ask(
        &self,
        namespace: NamespaceId,
        shards: ShardSet,
        question: Question,
        timeout: Duration,
        done: OnGathered,
    ) {
        if shards.is_empty() {
            return self.guarded(None, || done(Gathered::default()));
        }
        let key = self.with(|state| {
            let deadline_ms = state.now_ms.saturating_add(timeout.as_millis() as u64);
            let key = state.inquiries.insert(Gathering {
                silent: shards,
                due: HashSet::new(),
                gathered: Gathered::default(),
                deadline_ms,
                done,
            });
            state.wheel.file(Timer::Inquiry(key), deadline_ms);
            key
        });
        let asker = Some(Asker { shard: self.0.id, key });
        let inquiry = Arc::new(Inquiry { namespace, question, asker });
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
                self.tell(asker, Tidings::Heard { items, due: Vec::new() });
            }
            (Question::Acks { target, event, args, timeout }, Some(asker)) => {
                let due = self.emit_to_each(namespace, target, event, args, *timeout, asker);
                self.tell(asker, Tidings::Heard { items: Vec::new(), due });
            }
            (Question::Server { event, args }, asker) => {
                let reply = asker.map(|asker| {
                    let due = vec![shard_name(self.0.id)];
                    self.tell(asker, Tidings::Heard { items: Vec::new(), due });
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
            shard: self.0.id,
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

    /// Sends a part of the answer to whoever asked.
    fn tell(&self, asker: Asker, tidings: Tidings) {
        let news = News { from: self.0.id, key: asker.key, tidings };
        if asker.shard == self.0.id {
            return self.hear(news);
        }
        self.with(|state| state.mesh.post(asker.shard, Parcel::News(news), &self.0.metrics));
        self.nudge();
    }

    /// Takes in a part of an answer. What comes too late is dropped.
    pub(crate) fn hear(&self, news: News) {
        let over = self.with(|state| {
            let gathering = state.inquiries.get_mut(news.key)?;
            gathering.take(news.from, news.tidings);
            gathering.is_over().then(|| state.inquiries.remove(news.key)).flatten()
        });
        self.finish_gathering(over);
    }

    /// An inquiry's time came up in the wheel.
    pub(crate) fn inquiry_timer(&self, key: InquiryKey) {
        let over = self.with(|state| {
            let deadline_ms = state.inquiries.get(key)?.deadline_ms;
            if state.now_ms < deadline_ms {
                state.wheel.file(Timer::Inquiry(key), deadline_ms);
                return None;
            }
            state.inquiries.remove(key)
        });
        self.finish_gathering(over);
    }

    fn finish_gathering(&self, over: Option<Gathering>) {
        if let Some(Gathering { silent, due, mut gathered, done, .. }) = over {
            gathered.missing.extend(due);
            gathered.silent = silent.iter().collect();
            self.guarded(None, || done(gathered));
        }
    }
}

impl Gathering {
    fn take(&mut self, from: u8, tidings: Tidings) {
        match tidings {
            Tidings::Heard { items, due } => {
                self.silent = self.silent.without(from);
                self.gathered.items.extend(items);
                self.due.extend(due);
            }
            Tidings::Came { due, item } => {
                if self.due.remove(&due) {
                    self.gathered.items.push(item);
                }
            }
            Tidings::Lost { due } => {
                if self.due.remove(&due) {
                    self.gathered.missing.push(due);
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.silent.is_empty() && self.due.is_empty()
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
        self.shard.tell(self.asker, Tidings::Came { due, item: Item::Server { shard, args } });
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
