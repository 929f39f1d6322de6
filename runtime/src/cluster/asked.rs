//! What this node has asked others, and has not been told all of.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::gathering::Asker;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sought {
    Sockets,
    Acks,
    Servers,
}

/// A question that waits for answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) asker: Asker,
    pub(crate) sought: Sought,
}

/// All of them. Shards add and forget, the bridge's thread looks up.
#[derive(Debug, Default)]
pub(crate) struct Asked(Mutex<HashMap<Box<str>, Waiting>>);

impl Asked {
    /// Names a question. Nobody can guess the name, so nobody can answer who was not asked.
    pub(crate) fn note(&self, waiting: Waiting) -> Option<Box<str>> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).ok()?;
        // As long as the newer adapters' own.
        let name: Box<str> = format!("{:016x}", u64::from_ne_bytes(random)).into();
        self.lock().insert(name.clone(), waiting);
        Some(name)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Waiting> {
        self.lock().get(name).copied()
    }

    pub(crate) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Waiting>> {
        // Each change is one insert or remove.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
