//! What comes back to a question: from shards, from sockets that were asked for an acknowledgement, from
//! other nodes.
//!
//! It is over when all were heard and nothing is due any more, or when its time is.

use std::collections::HashSet;

use crate::inquiry::{Item, OnGathered};
use crate::interest::ShardSet;
use crate::mesh::Parcel;
use crate::shard::{Shard, State, Timer};

slotmap::new_key_type! {
    /// Names one inquiry of a shard.
    pub(crate) struct InquiryKey;
}

/// Missing clients of other nodes that are named one by one; nobody knows more of them than their number.
const NAMELESS_MAX: u64 = 1000;

/// All that was answered.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The answers, in the order in which they came.
    pub items: Vec<Item>,
    /// Who was asked and did not answer: ids of sockets, `shard 3`, or how many of the other nodes.
    pub missing: Vec<String>,
    /// Shards that were not heard at all.
    pub silent: Vec<u8>,
}

/// Where the answers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) shard: u8,
    pub(crate) key: InquiryKey,
}

/// A part of the answer on its way to the asker.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) key: InquiryKey,
    pub(crate) tidings: Tidings,
}

#[derive(Debug)]
pub(crate) enum Tidings {
    /// All that a shard knows itself, and who will say more.
    Heard { shard: u8, items: Vec<Item>, due: Vec<String> },
    /// What was due from one.
    Came { due: String, item: Item },
    /// One of those will say nothing.
    Lost { due: String },
    /// How many other nodes there are; `None` if Redis could not tell.
    Nodes(Option<usize>),
    /// All that another node has to say.
    Node(Vec<Item>),
    /// So many clients of another node were asked.
    Clients(u64),
    /// What one of them says.
    Client(Item),
}

/// What becomes of the answers.
pub(crate) enum Sink {
    /// They are handed over when all are there.
    Whole(OnGathered),
    /// Each is handed over as it comes.
    Pieces(Box<dyn FnMut(Piece)>),
}

/// A part of what was gathered.
#[derive(Debug)]
pub(crate) enum Piece {
    /// All shards were heard, and so many answers are due.
    Due(usize),
    /// One of them.
    Came(Item),
}

/// An inquiry that is not over.
pub(crate) struct Gathering {
    silent: ShardSet,
    due: HashSet<String>,
    /// How many were ever due.
    promised: usize,
    elsewhere: Option<Elsewhere>,
    gathered: Gathered,
    deadline_ms: u64,
    sink: Sink,
}

/// What other nodes were asked.
pub(crate) struct Elsewhere {
    /// By which their answers name it.
    pub(crate) request: Box<str>,
    /// How many there are, as soon as that is known.
    nodes: Option<usize>,
    heard: usize,
    clients: u64,
    heard_clients: u64,
    /// Redis is away: nobody was asked.
    is_cut_off: bool,
}

impl Elsewhere {
    pub(crate) fn new(request: Box<str>) -> Self {
        let (nodes, heard, clients, heard_clients) = (None, 0, 0, 0);
        Self { request, nodes, heard, clients, heard_clients, is_cut_off: false }
    }

    /// Nobody can be asked: Redis is away.
    pub(crate) fn cut_off() -> Self {
        Self { is_cut_off: true, ..Self::new(Box::default()) }
    }

    fn is_over(&self) -> bool {
        let is_heard = self.nodes.is_some_and(|nodes| self.heard >= nodes);
        self.is_cut_off || (is_heard && self.heard_clients >= self.clients)
    }

    fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        match self.nodes {
            Some(nodes) if self.heard < nodes => {
                missing.push(format!("{} of {nodes} other nodes", nodes - self.heard));
            }
            Some(_) if !self.is_cut_off => {}
            _ => missing.push("the cluster".into()),
        }
        let clients = self.clients.saturating_sub(self.heard_clients).min(NAMELESS_MAX);
        missing.extend((0..clients).map(|_| "a client of another node".to_owned()));
        missing
    }
}

impl Gathering {
    pub(crate) fn new(shards: ShardSet, deadline_ms: u64, sink: Sink) -> Self {
        let (due, promised, elsewhere) = (HashSet::new(), 0, None);
        let gathered = Gathered::default();
        Self { silent: shards, due, promised, elsewhere, gathered, deadline_ms, sink }
    }

    /// Other nodes were asked, too.
    pub(crate) fn expect_nodes(&mut self, elsewhere: Elsewhere) {
        self.elsewhere = Some(elsewhere);
    }

    fn take(&mut self, tidings: Tidings) {
        match tidings {
            Tidings::Heard { shard, items, due } => {
                self.silent = self.silent.without(shard);
                self.promised += due.len();
                self.due.extend(due);
                for item in items {
                    self.pass(item);
                }
                if self.silent.is_empty()
                    && let Sink::Pieces(sink) = &mut self.sink
                {
                    sink(Piece::Due(self.promised));
                }
            }
            Tidings::Came { due, item } => {
                if self.due.remove(&due) {
                    self.pass(item);
                }
            }
            Tidings::Lost { due } => {
                if self.due.remove(&due) {
                    self.gathered.missing.push(due);
                }
            }
            Tidings::Nodes(count) => {
                if let Some(elsewhere) = &mut self.elsewhere {
                    elsewhere.is_cut_off = count.is_none();
                    elsewhere.nodes = count;
                }
            }
            Tidings::Node(items) => self.take_from_node(1, 0, items),
            Tidings::Clients(clients) => self.take_from_node(1, clients, Vec::new()),
            Tidings::Client(item) => {
                if let Some(elsewhere) = &mut self.elsewhere {
                    elsewhere.heard_clients += 1;
                    self.gathered.items.push(item);
                }
            }
        }
    }

    fn take_from_node(&mut self, heard: usize, clients: u64, items: Vec<Item>) {
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.heard += heard;
            elsewhere.clients = elsewhere.clients.saturating_add(clients);
            self.gathered.items.extend(items);
        }
    }

    fn pass(&mut self, item: Item) {
        match &mut self.sink {
            Sink::Whole(_) => self.gathered.items.push(item),
            Sink::Pieces(sink) => sink(Piece::Came(item)),
        }
    }

    fn is_over(&self) -> bool {
        let is_node_heard = self.silent.is_empty() && self.due.is_empty();
        is_node_heard && self.elsewhere.as_ref().is_none_or(Elsewhere::is_over)
    }
}

impl Shard {
    /// Sends a part of the answer to whoever asked.
    pub(crate) fn tell(&self, asker: Asker, tidings: Tidings) {
        let news = News { key: asker.key, tidings };
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
            gathering.take(news.tidings);
            gathering.is_over().then(|| state.end_inquiry(news.key)).flatten()
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
            state.end_inquiry(key)
        });
        self.finish_gathering(over);
    }

    fn finish_gathering(&self, over: Option<Gathering>) {
        let Some(Gathering { silent, due, elsewhere, mut gathered, sink, .. }) = over else {
            return;
        };
        let Sink::Whole(done) = sink else { return };
        let absent = elsewhere.map(|elsewhere| elsewhere.missing()).unwrap_or_default();
        gathered.missing.extend(due);
        gathered.missing.extend(absent);
        gathered.silent = silent.iter().collect();
        self.guarded(None, || done(gathered));
    }
}

impl State {
    /// What other nodes answer from now on has nowhere to go.
    fn end_inquiry(&mut self, key: InquiryKey) -> Option<Gathering> {
        let gathering = self.inquiries.remove(key)?;
        if let (Some(elsewhere), Some(voice)) = (&gathering.elsewhere, &self.voice) {
            voice.asked().forget(&elsewhere.request);
        }
        Some(gathering)
    }
}
