//! What many peers answer to one question.

use std::fmt;

use serde::de::DeserializeOwned;
use yamabiko_runtime::{EmitError, Gathered, Item, Unreached};

use crate::ArgsError;
use crate::remote::silent;

/// Why a broadcast's acknowledgements, or other cores' answers, are not what was asked for.
#[derive(Debug)]
pub enum AcksFailure<R> {
    /// Nothing was sent.
    Emit(EmitError),
    /// Not everybody has answered in time, or not as asked.
    Incomplete(Incomplete<R>),
    /// The server was not reached; only for who asks from [another thread](crate::Meant).
    Unreached(Unreached),
}

/// The answers that came, and who is missing.
#[derive(Debug)]
pub struct Incomplete<R> {
    /// What was answered, in the order in which it came.
    pub responses: Vec<R>,
    /// Who has not answered: ids of sockets, `shard 3` for all that this core has, `1 of 2 other nodes`, or
    /// `a client of another node`, which only its own node knows by name.
    pub missing: Vec<String>,
    /// Whose answer was of another type.
    pub misfits: Vec<(String, ArgsError)>,
}

/// Sorts what was gathered: all that was asked for, or what is not there.
pub(crate) fn complete<R: DeserializeOwned>(gathered: Gathered) -> Result<Vec<R>, AcksFailure<R>> {
    let (mut responses, mut misfits) = (Vec::new(), Vec::new());
    let mut missing = silent(&gathered);
    missing.extend(gathered.missing);
    for item in gathered.items {
        let (name, args) = match item {
            Item::Ack { socket, args } => (socket, args),
            Item::Server { shard: Some(shard), args } => (format!("shard {shard}"), args),
            Item::Server { shard: None, args } => ("another node".into(), args),
            Item::Socket(_) => continue,
        };
        match args.parse_arg(0) {
            Ok(response) => responses.push(response),
            Err(error) => misfits.push((name, error)),
        }
    }
    if missing.is_empty() && misfits.is_empty() {
        return Ok(responses);
    }
    Err(AcksFailure::Incomplete(Incomplete { responses, missing, misfits }))
}

impl<R> fmt::Display for AcksFailure<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcksFailure::Emit(error) => error.fmt(f),
            AcksFailure::Unreached(error) => error.fmt(f),
            AcksFailure::Incomplete(Incomplete { responses, missing, misfits }) => {
                let (came, missing, misfits) = (responses.len(), missing.len(), misfits.len());
                write!(f, "operation has timed out: {came} answered, {missing} did not")?;
                if misfits > 0 {
                    write!(f, ", {misfits} with another type")?;
                }
                Ok(())
            }
        }
    }
}

impl<R: fmt::Debug> std::error::Error for AcksFailure<R> {}
