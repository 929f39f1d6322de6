//! `yamabiko emit`: sends to the clients of a cluster from the command line.

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use serde::ser::{Serialize, SerializeTuple, Serializer};
use serde_json::Value;
use yamabiko::{Adapter, Addressed, Emitter, Redis};

/// Send to the clients of a cluster, and do things to them.
#[derive(Debug, Parser)]
#[command(
    name = "yamabiko emit",
    after_help = "Examples:\n  yamabiko emit --redis redis://10.0.0.5 --to \"customer 7\" price '\"apple\"' 120\n  yamabiko emit --redis redis://10.0.0.5 --to kicked --disconnect"
)]
pub(crate) struct EmitCommand {
    /// Redis over which the nodes of the cluster talk
    #[arg(long, value_name = "URL", env = "YAMABIKO_REDIS")]
    redis: String,

    /// What all channels on Redis start with [default: socket.io]
    #[arg(long, value_name = "KEY", env = "YAMABIKO_REDIS_KEY")]
    redis_key: Option<String>,

    /// How the nodes talk to each other: classic or sharded [default: classic]
    #[arg(long, value_name = "NAME", env = "YAMABIKO_REDIS_ADAPTER")]
    redis_adapter: Option<String>,

    /// With the sharded adapter: static, dynamic or dynamic-private [default: dynamic]
    #[arg(long, value_name = "MODE", env = "YAMABIKO_SUBSCRIPTION_MODE")]
    subscription_mode: Option<String>,

    /// The namespace
    #[arg(long, value_name = "NAME", default_value = "/")]
    namespace: String,

    /// Only to members of this room, or to the socket with this id; may be given several times
    #[arg(long, visible_alias = "in", value_name = "ROOM", allow_hyphen_values = true)]
    to: Vec<String>,

    /// But not to members of this room; may be given several times
    #[arg(long, value_name = "ROOM", allow_hyphen_values = true)]
    except: Vec<String>,

    /// It may be lost for clients that are not ready for it
    #[arg(long)]
    volatile: bool,

    /// Send the event to the servers' applications (serverSideEmit), not to clients
    #[arg(long, conflicts_with_all = ["to", "except", "volatile"])]
    server_side: bool,

    /// Have the sockets join this room first; may be given several times
    #[arg(long, value_name = "ROOM", allow_hyphen_values = true)]
    join: Vec<String>,

    /// Have the sockets leave this room afterwards; may be given several times
    #[arg(long, value_name = "ROOM", allow_hyphen_values = true)]
    leave: Vec<String>,

    /// Take the sockets out of the namespace afterwards
    #[arg(long)]
    disconnect: bool,

    /// Close their connections, too
    #[arg(long, requires = "disconnect")]
    close: bool,

    /// The arguments are plain text, not JSON
    #[arg(long)]
    text: bool,

    /// How long to wait for Redis, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    patience: u64,

    /// The event's name; none to do only what options say
    event: Option<String>,

    /// Its arguments, each as JSON
    #[arg(allow_negative_numbers = true)]
    args: Vec<String>,
}

/// Several arguments of an event.
struct Arguments(Vec<Value>);

impl Serialize for Arguments {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut tuple = to.serialize_tuple(self.0.len())?;
        for argument in &self.0 {
            tuple.serialize_element(argument)?;
        }
        tuple.end()
    }
}

impl EmitCommand {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let Self { join, leave, disconnect, .. } = &self;
        if self.event.is_none() && join.is_empty() && leave.is_empty() && !disconnect {
            return Err(
                "there is nothing to do: name an event, or --join, --leave, --disconnect".into()
            );
        }
        let args = Arguments(self.arguments()?);
        let redis = Redis::at(&self.redis);
        let adapter =
            Adapter::named(self.redis_adapter.as_deref(), self.subscription_mode.as_deref())?;
        let key = self.redis_key.clone().unwrap_or(redis.key);
        let emitter = Emitter::new(&Redis { key, adapter, ..redis })?;
        let some = self.addressed(&emitter);
        if !join.is_empty() {
            some.sockets_join(join)?;
        }
        match &self.event {
            Some(event) if self.server_side => some.server_side_emit(event, &args)?,
            Some(event) => some.emit(event, &args)?,
            None => {}
        }
        if !leave.is_empty() {
            some.sockets_leave(leave)?;
        }
        if *disconnect {
            some.disconnect_sockets(self.close)?;
        }
        emitter.flush(Duration::from_secs(self.patience))?;
        Ok(())
    }

    fn arguments(&self) -> Result<Vec<Value>, String> {
        let read = |text: &String| match self.text {
            true => Ok(Value::String(text.clone())),
            false => serde_json::from_str(text).map_err(|error| {
                format!("'{text}' is no JSON ({error}); --text takes it as it is")
            }),
        };
        self.args.iter().map(read).collect()
    }

    fn addressed<'e>(&self, emitter: &'e Emitter) -> Addressed<'e> {
        let everyone = emitter.of(&self.namespace).except_rooms(&self.except);
        let some = match self.to.is_empty() {
            true => everyone,
            false => everyone.to_rooms(&self.to),
        };
        if self.volatile { some.volatile() } else { some }
    }
}
