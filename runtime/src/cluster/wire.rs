//! What is said in the cluster, as bytes on channels and back: by the classic adapter or by the sharded one.
//!
//! Both say the same things. What only old versions of the classic one ask is a [`Said::Old`].

use std::borrow::Cow;

use yamabiko_protocol::cluster::classic::{
    Action, Answer, Broadcast, Channels, Generation, Origin, Request, Response,
};
use yamabiko_protocol::cluster::{
    EMITTER, Envelope, Malformed, Message, Names, Packet, Sockets, Unwritable, Value, modernise,
    sharded,
};
use yamabiko_protocol::engine::SessionId;
use yamabiko_protocol::limits::ClusterLimits;

use crate::bridge::Kind;
use crate::settings::Adapter;

/// How this node talks to others.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    pub(crate) adapter: Adapter,
    /// What all channels start with.
    pub(crate) prefix: Box<str>,
    /// The node's name.
    pub(crate) uid: Box<str>,
}

/// Something to be published.
pub(crate) struct Letter {
    pub(crate) channel: String,
    pub(crate) bytes: Vec<u8>,
}

/// Where an answer goes, and what it refers to.
#[derive(Debug, Clone)]
pub(crate) struct Return {
    pub(crate) request: Box<str>,
    /// The node that asked; older ones do not say.
    pub(crate) node: Option<Box<str>>,
    pub(crate) generation: Generation,
}

/// Something that was heard.
pub(crate) struct Heard<'a> {
    pub(crate) sender: Option<Cow<'a, str>>,
    pub(crate) generation: Generation,
    pub(crate) said: Said<'a>,
}

pub(crate) enum Said<'a> {
    Message(Message<'a>),
    /// What only old nodes ask, and what their question is called.
    Old(OldQuestion<'a>, Cow<'a, str>),
    /// An answer to something that this node never asks.
    Nothing,
}

/// Questions of old nodes.
pub(crate) enum OldQuestion<'a> {
    /// The ids of the sockets in any of these rooms.
    Ids(Names<'a>),
    /// The names of all rooms.
    AllRooms,
    /// The rooms of one socket.
    RoomsOf(Cow<'a, str>),
    Join(Cow<'a, str>, Cow<'a, str>),
    Leave(Cow<'a, str>, Cow<'a, str>),
    Disconnect(Cow<'a, str>, bool),
    /// What an app would have to agree upon; nobody here did.
    Custom,
}

/// Answers to them.
pub(crate) enum OldAnswer<'a> {
    Ids(Sockets<'a>),
    Rooms(Names<'a>),
    Done,
    Nothing,
}

/// What is on a channel.
pub(crate) enum Place {
    /// Broadcasts of the classic adapter, for the members of one room if there is one.
    Broadcasts(Option<Box<str>>),
    /// Everything else.
    Rest,
}

impl Wire {
    /// What is to be heard as long as a namespace is there.
    pub(crate) fn channels(&self, namespace: &str) -> Vec<(Kind, String)> {
        match self.adapter {
            Adapter::Classic { .. } => {
                let channels = self.classic(namespace);
                vec![
                    (Kind::Pattern, channels.broadcast_pattern()),
                    // Whoever hears requests is counted as one that answers: last, when all else is heard.
                    (Kind::Plain, channels.response().into()),
                    (Kind::Plain, channels.own_response().into()),
                    (Kind::Plain, channels.request().into()),
                ]
            }
            Adapter::Sharded(mode) => {
                let channels = self.sharded(namespace, mode);
                let (own, main) = (channels.own().into(), channels.main().into());
                vec![(Kind::Sharded, own), (Kind::Sharded, main)]
            }
        }
    }

    /// The channel that each node hears once.
    pub(crate) fn counted(&self, namespace: &str) -> (Kind, String) {
        match self.adapter {
            Adapter::Classic { .. } => (Kind::Plain, self.classic(namespace).request().into()),
            Adapter::Sharded(mode) => (Kind::Sharded, self.sharded(namespace, mode).main().into()),
        }
    }

    /// The channel for what is sent to one room alone, if it is to be heard for itself.
    pub(crate) fn room_channel(&self, namespace: &str, room: &str) -> Option<String> {
        match self.adapter {
            Adapter::Classic { .. } => None,
            Adapter::Sharded(mode) => {
                let is_own = SessionId::parse(room).is_some();
                self.sharded(namespace, mode).room(room, is_own)
            }
        }
    }

    pub(crate) fn is_sharded(&self) -> bool {
        matches!(self.adapter, Adapter::Sharded(_))
    }

    /// Writes something for all other nodes.
    pub(crate) fn to_all(
        &self,
        namespace: &str,
        message: Message<'_>,
    ) -> Result<Letter, Unwritable> {
        match self.adapter {
            Adapter::Classic { .. } => self.to_all_classic(namespace, message),
            Adapter::Sharded(mode) => {
                let channel = self.sharded(namespace, mode).publish(&message).into_owned();
                Ok(Letter { channel, bytes: self.enveloped(namespace, message)? })
            }
        }
    }

    /// Writes an answer.
    pub(crate) fn answer(
        &self,
        namespace: &str,
        to: &Return,
        message: Message<'_>,
    ) -> Result<Letter, Unwritable> {
        match self.adapter {
            Adapter::Sharded(mode) => {
                let node = to.node.as_deref().unwrap_or_default();
                let channel = self.sharded(namespace, mode).response_to(node);
                Ok(Letter { channel, bytes: self.enveloped(namespace, message)? })
            }
            Adapter::Classic { .. } => {
                let (answer, is_shared) = match message {
                    Message::FetchResponse { sockets, .. } => (Answer::Sockets(sockets), false),
                    Message::ClientCount { count, .. } => (Answer::ClientCount(count), false),
                    Message::Ack { answer, .. } => (Answer::Ack(answer), false),
                    // Those who ask hear this on the channel of all, whatever their options.
                    Message::ServerSideEmitResponse { answer, .. } => {
                        (Answer::ServerSideEmit(answer), true)
                    }
                    _ => return Err(Unwritable::Unchecked),
                };
                self.respond(namespace, to, answer, is_shared)
            }
        }
    }

    /// Writes an answer to an old node.
    pub(crate) fn answer_old(
        &self,
        namespace: &str,
        to: &Return,
        answer: OldAnswer<'_>,
    ) -> Result<Letter, Unwritable> {
        let answer = match answer {
            OldAnswer::Ids(ids) => Answer::Sockets(ids),
            OldAnswer::Rooms(rooms) => Answer::Rooms(rooms),
            OldAnswer::Done => Answer::Done,
            OldAnswer::Nothing => Answer::Custom(Value::json("null")),
        };
        self.respond(namespace, to, answer, false)
    }

    /// What is on a channel of the namespace.
    pub(crate) fn identify(&self, namespace: &str, channel: &str) -> Option<Place> {
        match self.adapter {
            Adapter::Classic { .. } => {
                Some(match self.classic(namespace).identify(channel.as_bytes())? {
                    Origin::Broadcast { room } => Place::Broadcasts(room.map(Box::from)),
                    Origin::Request | Origin::Response => Place::Rest,
                })
            }
            Adapter::Sharded(mode) => {
                let channels = self.sharded(namespace, mode);
                channels.identify(channel.as_bytes()).map(|_| Place::Rest)
            }
        }
    }

    /// Reads what came on a channel of the namespace. `modern` is memory for a message that has to be written
    /// anew to be read.
    pub(crate) fn read<'a>(
        &self,
        namespace: &str,
        place: &Place,
        channel: &str,
        payload: &'a [u8],
        modern: &'a mut Vec<u8>,
        limits: &ClusterLimits,
    ) -> Result<Heard<'a>, &'static str> {
        let unreadable = |_: Malformed| "it cannot be read";
        let is_theirs = |named: Option<&str>| named.is_none_or(|named| named == namespace);
        if self.is_sharded() {
            let Envelope { sender, namespace: named, message } =
                Envelope::decode(payload, limits).map_err(unreadable)?;
            if !is_theirs(Some(&named)) {
                return Err("it is on the channel of another namespace");
            }
            return Ok(Heard::of(Some(sender), Said::Message(message)));
        }
        if let Place::Broadcasts(_) = place {
            let broadcast = match Broadcast::decode(payload, limits) {
                // Perhaps in the MessagePack of old, which had no binary data.
                Err(Malformed::Syntax) => {
                    modern.extend_from_slice(payload);
                    modernise(modern).map_err(|_| "it cannot be read")?;
                    Broadcast::decode(modern, limits)
                }
                other => other,
            };
            let Broadcast { sender, packet, target } = broadcast.map_err(unreadable)?;
            if packet.namespace.as_deref().unwrap_or("/") != namespace {
                return Err("it is on the channel of another namespace");
            }
            let message = Message::Broadcast { packet, target, request: None };
            return Ok(Heard::of(Some(sender), Said::Message(message)));
        }
        if channel == self.classic(namespace).request() {
            return Request::decode(payload, limits).map_err(unreadable).and_then(of_request);
        }
        Response::decode(payload, limits).map_err(unreadable).map(of_response)
    }

    fn to_all_classic(&self, namespace: &str, message: Message<'_>) -> Result<Letter, Unwritable> {
        let channels = self.classic(namespace);
        let mut bytes = Vec::new();
        let (action, id) = match message {
            Message::Broadcast { packet, target, request: None } => {
                let packet = Packet { namespace: Some(namespace.into()), ..packet };
                let channel = channels.broadcast(&target.rooms).into_owned();
                Broadcast { sender: (&*self.uid).into(), packet, target }.encode(&mut bytes)?;
                return Ok(Letter { channel, bytes });
            }
            Message::Broadcast { packet, target, request } => {
                let packet = Packet { namespace: Some(namespace.into()), ..packet };
                (Action::Broadcast { packet, target }, request)
            }
            Message::Join { target, rooms } => (Action::Join { target, rooms }, None),
            Message::Leave { target, rooms } => (Action::Leave { target, rooms }, None),
            Message::Disconnect { target, close } => (Action::Disconnect { target, close }, None),
            Message::Fetch { target, request } => (Action::Fetch { target }, Some(request)),
            Message::ServerSideEmit { data, request } => (Action::ServerSideEmit { data }, request),
            _ => return Err(Unwritable::Unchecked),
        };
        // Emitters sign only what Node's do.
        let is_signed = &*self.uid != EMITTER || matches!(action, Action::ServerSideEmit { .. });
        let sender = is_signed.then(|| (&*self.uid).into());
        let request = Request { sender, id, generation: Generation::Current, action };
        request.encode(&mut bytes)?;
        Ok(Letter { channel: channels.request().into(), bytes })
    }

    fn respond(
        &self,
        namespace: &str,
        to: &Return,
        answer: Answer<'_>,
        is_shared: bool,
    ) -> Result<Letter, Unwritable> {
        let channels = self.classic(namespace);
        let is_specific = matches!(self.adapter, Adapter::Classic { is_specific: true });
        let channel = match &to.node {
            Some(node) if is_specific && !is_shared => channels.response_to(node),
            _ => channels.response().into(),
        };
        let mut bytes = Vec::new();
        let response = Response { id: (&*to.request).into(), generation: to.generation, answer };
        response.encode(&mut bytes)?;
        Ok(Letter { channel, bytes })
    }

    fn enveloped(&self, namespace: &str, message: Message<'_>) -> Result<Vec<u8>, Unwritable> {
        let mut bytes = Vec::new();
        let (sender, namespace) = ((&*self.uid).into(), namespace.into());
        Envelope { sender, namespace, message }.encode(&mut bytes)?;
        Ok(bytes)
    }

    fn classic(&self, namespace: &str) -> Channels {
        Channels::new(&self.prefix, namespace, &self.uid)
    }

    fn sharded(&self, namespace: &str, mode: sharded::Mode) -> sharded::Channels {
        sharded::Channels::new(&self.prefix, namespace, &self.uid, mode)
    }
}

impl<'a> Heard<'a> {
    fn of(sender: Option<Cow<'a, str>>, said: Said<'a>) -> Self {
        Self { sender, generation: Generation::Current, said }
    }
}

fn of_request(request: Request<'_>) -> Result<Heard<'_>, &'static str> {
    let Request { sender, id, generation, action } = request;
    let named = |id: Option<_>| id.ok_or("it is a question without a name");
    let old = |question, id| named(id).map(|id| Said::Old(question, id));
    let said = Said::Message(match action {
        Action::Join { target, rooms } => Message::Join { target, rooms },
        Action::Leave { target, rooms } => Message::Leave { target, rooms },
        Action::Disconnect { target, close } => Message::Disconnect { target, close },
        Action::Fetch { target } => Message::Fetch { target, request: named(id)? },
        Action::ServerSideEmit { data } => Message::ServerSideEmit { data, request: id },
        Action::Broadcast { packet, target } => {
            Message::Broadcast { packet, target, request: Some(named(id)?) }
        }
        other => {
            let question = match other {
                Action::Sockets { rooms } => OldQuestion::Ids(rooms),
                Action::AllRooms => OldQuestion::AllRooms,
                Action::JoinOne { sid, room } => OldQuestion::Join(sid, room),
                Action::LeaveOne { sid, room } => OldQuestion::Leave(sid, room),
                Action::DisconnectOne { sid, close } => OldQuestion::Disconnect(sid, close),
                Action::ClientRooms { sid } => OldQuestion::RoomsOf(sid),
                _ => OldQuestion::Custom,
            };
            let said = old(question, id)?;
            return Ok(Heard { sender, generation, said });
        }
    });
    Ok(Heard { sender, generation, said })
}

fn of_response(response: Response<'_>) -> Heard<'_> {
    let Response { id: request, generation, answer } = response;
    let said = match answer {
        Answer::Sockets(sockets) => Said::Message(Message::FetchResponse { request, sockets }),
        Answer::ServerSideEmit(answer) => {
            Said::Message(Message::ServerSideEmitResponse { request, answer })
        }
        Answer::ClientCount(count) => Said::Message(Message::ClientCount { request, count }),
        Answer::Ack(answer) => Said::Message(Message::Ack { request, answer }),
        Answer::Rooms(_) | Answer::Done | Answer::Custom(_) => Said::Nothing,
    };
    Heard { sender: None, generation, said }
}
