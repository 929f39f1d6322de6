//! Questions between nodes: what this one asks, and how it answers.
//!
//! A node answers as one, however many shards it has: one of them asks the others and tells the cluster.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use yamabiko_protocol::cluster::{Message, Names, Packet, RemoteSocket, Sockets, Value};

use super::asked::Sought;
use super::mouth::opts;
use super::portrait;
use super::voice::Voice;
use super::wire::{OldAnswer, Return};
use crate::application::NamespaceId;
use crate::broadcast::Target;
use crate::gathering::{Asker, Elsewhere, Gathered, Piece, Sink};
use crate::inquiry::{Inquiry, Item, Question, Scope, SocketInfo};
use crate::interest::ShardSet;
use crate::operation::Operation;
use crate::raw::RawArgs;
use crate::shard::Shard;

/// How long the node's own shards have to answer: Node's `requestsTimeout`, after which nobody waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest that another node may have clients' acknowledgements waited for here.
const ACKS_PATIENCE_MAX: Duration = Duration::from_secs(3600);

/// What this node asks.
impl Shard {
    /// Passes a question on to the other nodes. `None` if they cannot be asked.
    pub(crate) fn ask_nodes(
        &self,
        namespace: NamespaceId,
        question: &Question,
        asker: Asker,
    ) -> Option<Elsewhere> {
        let (voice, name) = self.voice_of(namespace)?;
        match question {
            Question::Sockets(target) => voice.ask(&name, asker, Sought::Sockets, |request| {
                Message::Fetch { target: opts(target), request: request.into() }
            }),
            Question::Acks { target, event, args, timeout } => args.with_list(event, |data| {
                voice.ask(&name, asker, Sought::Acks, |request| {
                    let mut target = opts(target);
                    target.flags.timeout_ms = Some(timeout.as_millis() as u64);
                    let packet = Packet { namespace: None, id: None, data };
                    Message::Broadcast { packet, target, request: Some(request.into()) }
                })
            })?,
            Question::Server { event, args } => args.with_list(event, |data| {
                voice.ask(&name, asker, Sought::Servers, |request| Message::ServerSideEmit {
                    data,
                    request: Some(request.into()),
                })
            })?,
        }
    }

    /// Has other nodes' applications hear an event.
    pub(crate) fn tell_nodes(&self, namespace: NamespaceId, event: &str, args: &RawArgs) {
        let Some((voice, name)) = self.voice_of(namespace) else { return };
        args.with_list(event, |data| {
            voice.say(&name, Message::ServerSideEmit { data, request: None });
        });
    }

    /// The voice, and the namespace's name.
    fn voice_of(&self, namespace: NamespaceId) -> Option<(Arc<Voice>, Rc<str>)> {
        self.with(|state| {
            let voice = state.voice.clone()?;
            Some((voice, state.namespaces.get(namespace)?.name.clone()))
        })
    }
}

/// What it answers. These run on one shard, in its turn.
impl Shard {
    /// Tells all about the node's sockets of a target.
    pub(crate) fn tell_sockets(&self, namespace: NamespaceId, target: Target, to: Return) {
        self.tell_found(namespace, target, move |voice, name, sockets| {
            let found: Vec<_> = sockets.into_iter().map(portrait::Portrait::of).collect();
            let found: Vec<_> = found.iter().map(portrait::Portrait::lend).collect();
            let sockets = Sockets::from(&found[..]);
            let request = (&*to.request).into();
            voice.answer(name, &to, Message::FetchResponse { request, sockets });
        });
    }

    /// Tells only their ids.
    pub(crate) fn tell_ids(&self, namespace: NamespaceId, target: Target, to: Return) {
        self.tell_found(namespace, target, move |voice, name, sockets| {
            let bare = |info: &'_ SocketInfo| RemoteSocket {
                id: info.id.clone().into(),
                handshake: None,
                rooms: Names::default(),
                data: None,
            };
            let found: Vec<_> = sockets.iter().map(bare).collect();
            voice.answer_old(name, &to, OldAnswer::Ids(Sockets::from(&found[..])));
        });
    }

    /// Tells the rooms of one socket, if it is this node's.
    pub(crate) fn tell_rooms_of(&self, namespace: NamespaceId, id: String, to: Return) {
        self.tell_found(namespace, only(id), move |voice, name, sockets| {
            if let Some(SocketInfo { rooms, .. }) = sockets.first() {
                voice.answer_old(name, &to, OldAnswer::Rooms(Names::from(&rooms[..])));
            }
        });
    }

    /// Does something to one socket, if it is this node's, and tells when it is done.
    pub(crate) fn operate_and_tell(
        &self,
        namespace: NamespaceId,
        id: String,
        operation: Operation,
        to: Return,
    ) {
        let shard = self.clone();
        let target = only(id);
        self.tell_found(namespace, target.clone(), move |voice, name, sockets| {
            if !sockets.is_empty() {
                shard.operate(namespace, &target, operation);
                voice.answer_old(name, &to, OldAnswer::Done);
            }
        });
    }

    /// Sends an event to the node's sockets of a target, and tells how many they are and what each of them
    /// says.
    pub(crate) fn tell_acks(
        &self,
        namespace: NamespaceId,
        target: Target,
        event: (Box<str>, RawArgs),
        timeout: Option<Duration>,
        to: Return,
    ) {
        let Some((voice, name)) = self.voice_of(namespace) else { return };
        let shards = self.with(|state| state.interested(namespace, &target));
        let timeout = timeout.unwrap_or(PATIENCE).min(ACKS_PATIENCE_MAX);
        let (event, args) = event;
        let sink = Sink::Pieces(Box::new(move |piece| {
            let request = (&*to.request).into();
            match piece {
                Piece::Due(count) => {
                    let count = count as u64;
                    voice.answer(&name, &to, Message::ClientCount { request, count });
                }
                Piece::Came(Item::Ack { args, .. }) => first(&args, |answer| {
                    voice.answer(&name, &to, Message::Ack { request, answer });
                }),
                Piece::Came(_) => {}
            }
        }));
        let question = Question::Acks { target, event, args, timeout };
        self.ask(namespace, Scope { shards, is_local: true }, question, timeout, sink);
    }

    /// Has the application hear an event, and tells what it says.
    pub(crate) fn tell_application(
        &self,
        namespace: NamespaceId,
        event: Box<str>,
        args: RawArgs,
        to: Return,
    ) {
        // All of them hear it, as each is an application of its own; one speaks for the node.
        self.spread_event(namespace, &event, args.clone());
        let own = self.voice_of(namespace);
        let done = Box::new(move |gathered: Gathered| {
            let Some((voice, name)) = own else { return };
            let Some(Item::Server { args, .. }) = gathered.items.first() else { return };
            first(args, |answer| {
                let request = (&*to.request).into();
                voice.answer(&name, &to, Message::ServerSideEmitResponse { request, answer });
            });
        });
        let scope = Scope { shards: ShardSet::only(self.0.id), is_local: true };
        let question = Question::Server { event, args };
        self.ask(namespace, scope, question, PATIENCE, Sink::Whole(done));
    }

    /// Has all applications of the node hear an event that nobody waits for.
    pub(crate) fn hear_event(&self, namespace: NamespaceId, event: &str, args: RawArgs) {
        self.spread_event(namespace, event, args.clone());
        self.respond(&Inquiry::event(namespace, event, args));
    }

    /// Tells the names of rooms.
    pub(crate) fn tell_all_rooms(&self, namespace: NamespaceId, rooms: Vec<String>, to: Return) {
        if let Some((voice, name)) = self.voice_of(namespace) {
            voice.answer_old(&name, &to, OldAnswer::Rooms(Names::from(&rooms[..])));
        }
    }

    /// Tells that there is nothing to tell.
    pub(crate) fn tell_nothing(&self, namespace: NamespaceId, to: &Return) {
        if let Some((voice, name)) = self.voice_of(namespace) {
            voice.answer_old(&name, to, OldAnswer::Nothing);
        }
    }

    fn tell_found(
        &self,
        namespace: NamespaceId,
        target: Target,
        tell: impl FnOnce(&Voice, &str, Vec<SocketInfo>) + 'static,
    ) {
        let Some((voice, name)) = self.voice_of(namespace) else { return };
        let target = Target { local: true, ..target };
        let done = Box::new(move |gathered: Gathered| {
            let sockets = gathered.items.into_iter().filter_map(|item| match item {
                Item::Socket(info) => Some(*info),
                _ => None,
            });
            tell(&voice, &name, sockets.collect());
        });
        self.fetch_sockets(namespace, target, PATIENCE, done);
    }
}

/// One socket of this node.
fn only(id: String) -> Target {
    Target { rooms: vec![id], local: true, ..Target::default() }
}

/// Lends the first of some arguments, which is what Node tells of an acknowledgement.
fn first(args: &RawArgs, call: impl FnOnce(Option<Value<'_>>)) {
    // Any name will do.
    let mut call = Some(call);
    args.with_list("ack", |list| {
        let first = list.elements().and_then(|elements| elements.into_iter().nth(1));
        if let Some(call) = call.take() {
            call(first);
        }
    });
}
