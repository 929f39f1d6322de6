//! A socket with flags: how the next event is sent, to its client or from there to others.

use std::future::Future;
use std::time::Duration;

use serde::de::DeserializeOwned;
use yamabiko_runtime::{AckError, EmitArgs, EmitError, EmitOptions, RawArgs};

use crate::broadcast::Broadcast;
use crate::socket::{AckFailure, Socket};
use crate::{Args, ArgsError};

/// A socket with flags, which [`Socket::volatile`], [`Socket::compress`] and [`Socket::timeout`] begin. Flags
/// come in any order, and go along when rooms are named. The socket itself stays as it is: the next event
/// that is sent without them has none.
///
/// ```no_run
/// # use std::time::Duration;
/// # use yamabiko::{Reject, Socket};
/// # async fn example(socket: Socket) -> Result<(), Reject> {
/// socket.volatile().emit("position", &(1, 2))?;
/// socket.volatile().to("spectators").emit("position", &(1, 2))?;
/// let patience = Duration::from_secs(5);
/// let name: String = socket.compress(false).timeout(patience).emit_with_ack("name?", &()).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "nothing is sent before `emit` or another verb"]
pub struct Sending<'s> {
    socket: &'s Socket,
    options: EmitOptions,
    timeout: Option<Duration>,
}

/// Flags.
impl Socket {
    /// What is sent may be lost if the client is not ready for it right now.
    pub fn volatile(&self) -> Sending<'_> {
        Sending::of(self).volatile()
    }

    /// Whether what is sent may be compressed: yes, unless told. An answer to a poll with nothing in it that may
    /// be is sent as it is (`http-compression`). WebSockets are not compressed.
    pub fn compress(&self, may: bool) -> Sending<'_> {
        Sending::of(self).compress(may)
    }

    /// How long an answer is waited for.
    pub fn timeout(&self, time: Duration) -> Sending<'_> {
        Sending::of(self).timeout(time)
    }

    /// Everybody in the namespace on this node but this socket: see [`Broadcast::local`].
    pub fn local(&self) -> Broadcast {
        self.broadcast().local()
    }
}

/// More flags.
impl<'s> Sending<'s> {
    /// As [`Socket::volatile`]. A question that is lost is one that is never answered.
    pub fn volatile(mut self) -> Self {
        self.options.volatile = true;
        self
    }

    /// As [`Socket::compress`].
    pub fn compress(mut self, may: bool) -> Self {
        self.options.compress = may;
        self
    }

    /// As [`Socket::timeout`].
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = Some(time);
        self
    }

    pub(crate) fn of(socket: &'s Socket) -> Self {
        Self { socket, options: EmitOptions::default(), timeout: None }
    }

    pub(crate) fn for_at_most(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }
}

/// To this client.
impl Sending<'_> {
    /// As [`Socket::emit`]. The time allowed for an answer means nothing here.
    ///
    /// # Errors
    /// As [`Socket::emit`].
    pub fn emit<T: EmitArgs + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.socket.shard.emit(self.socket.key, event, args, self.options)
    }

    /// As [`Socket::emit_with_ack`]. Without [`Self::timeout`] it waits until the client answers or
    /// disconnects.
    pub fn emit_with_ack<R: DeserializeOwned + 'static>(
        &self,
        event: &str,
        args: &dyn EmitArgs,
    ) -> impl Future<Output = Result<R, AckFailure>> + use<R> {
        self.ask(event, args, |args| args.parse_arg::<R>(0))
    }

    /// As [`Self::emit_with_ack`], with all the answer's arguments as a tuple.
    pub fn emit_with_acks<R: DeserializeOwned + 'static>(
        &self,
        event: &str,
        args: &dyn EmitArgs,
    ) -> impl Future<Output = Result<R, AckFailure>> + use<R> {
        self.ask(event, args, |args| args.parse_tuple::<R>())
    }

    /// As [`Self::emit_with_ack`], with the answer as it came.
    pub fn emit_with_raw_ack(
        &self,
        event: &str,
        args: &dyn EmitArgs,
    ) -> impl Future<Output = Result<RawArgs, AckFailure>> + use<> {
        self.ask(event, args, |args| Ok(RawArgs::from(args)))
    }

    fn ask<R: 'static>(
        &self,
        event: &str,
        args: &dyn EmitArgs,
        read: fn(&Args<'_>) -> Result<R, ArgsError>,
    ) -> impl Future<Output = Result<R, AckFailure>> + use<R> {
        let (sender, receiver) = flume::bounded(1);
        let on_ack = move |answer: Result<&Args<'_>, AckError>| {
            let _ = sender.send(match answer {
                Ok(args) => read(args).map_err(AckFailure::Type),
                Err(AckError::TimedOut) => Err(AckFailure::TimedOut),
                Err(AckError::Disconnected) => Err(AckFailure::Disconnected),
            });
        };
        let Socket { shard, key, .. } = self.socket;
        let (options, timeout) = (self.options, self.timeout);
        let sent = shard.emit_with_ack(*key, event, args, options, timeout, Box::new(on_ack));
        async move {
            sent.map_err(AckFailure::Emit)?;
            receiver.recv_async().await.unwrap_or(Err(AckFailure::Disconnected))
        }
    }
}

/// To others.
impl Sending<'_> {
    /// As [`Socket::to`].
    pub fn to(&self, room: &str) -> Broadcast {
        self.broadcast().to(room)
    }

    /// As [`Socket::to_rooms`].
    pub fn to_rooms<R: Into<String>>(&self, rooms: impl IntoIterator<Item = R>) -> Broadcast {
        self.broadcast().to_rooms(rooms)
    }

    /// As [`Socket::except`].
    pub fn except(&self, room: &str) -> Broadcast {
        self.broadcast().except(room)
    }

    /// As [`Socket::except_rooms`].
    pub fn except_rooms<R: Into<String>>(&self, rooms: impl IntoIterator<Item = R>) -> Broadcast {
        self.broadcast().except_rooms(rooms)
    }

    /// As [`Socket::local`].
    pub fn local(&self) -> Broadcast {
        self.broadcast().local()
    }

    /// As [`Socket::broadcast`].
    pub fn broadcast(&self) -> Broadcast {
        let others = self.socket.broadcast().compress(self.options.compress);
        let others = match self.options.volatile {
            true => others.volatile(),
            false => others,
        };
        match self.timeout {
            Some(time) => others.timeout(time),
            None => others,
        }
    }
}
