//! The namespaces of an app on its shard: those it declares, and those that came with a client.
//!
//! A dynamic namespace is served by the first pattern that takes its name. That is decided once on each
//! shard, when its first client there asks, and holds as long as the namespace is there.

use std::cell::RefCell;
use std::rc::Rc;

use yamabiko_runtime::{NamespaceId, Shard};

use crate::namespace::Namespace;
use crate::pattern::{Matcher, Pattern};

/// A namespace on its shard.
pub(crate) struct Space {
    pub(crate) id: NamespaceId,
    pub(crate) name: Box<str>,
    pub(crate) handlers: Rc<Namespace>,
}

/// All namespaces that this shard serves.
pub(crate) struct Spaces {
    shard: Shard,
    declared: Vec<(String, Rc<Namespace>)>,
    patterns: Vec<Pattern>,
    /// By the slots of their ids. One that is no more stays until another takes its slot.
    known: RefCell<Vec<Option<Rc<Space>>>>,
}

impl Spaces {
    pub(crate) fn new(
        shard: Shard,
        declared: Vec<(String, Namespace)>,
        patterns: Vec<Pattern>,
    ) -> Self {
        let declared = declared.into_iter().map(|(name, it)| (name, Rc::new(it))).collect();
        Self { shard, declared, patterns, known: RefCell::default() }
    }

    /// The names of those that are always there.
    pub(crate) fn names(&self) -> Vec<String> {
        self.declared.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Those that are always there have their ids.
    pub(crate) fn start(&self) {
        for (name, handlers) in &self.declared {
            let id = self.shard.namespace(name).expect("it was declared");
            self.begin(id, name, handlers);
        }
    }

    /// Whether any of them has a handler of upgrades.
    pub(crate) fn hear_of_upgrades(&self) -> bool {
        let declared = self.declared.iter().map(|(_, handlers)| handlers);
        let mut all = declared.chain(self.patterns.iter().map(|pattern| &pattern.handlers));
        all.any(|handlers| !handlers.on_upgrade.is_empty())
    }

    /// Whether a pattern takes that name, or may do so when it is asked.
    pub(crate) fn may_have(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| match &pattern.matcher {
            Matcher::Name(takes) => takes(name),
            Matcher::Asked(_) => true,
        })
    }

    pub(crate) fn get(&self, id: NamespaceId) -> Option<Rc<Space>> {
        let known = self.known.borrow();
        known.get(id.slot())?.as_ref().filter(|space| space.id == id).cloned()
    }

    /// The namespace that a client asks for, if a pattern takes its name; `auth` is the client's, as JSON.
    pub(crate) async fn find(&self, id: NamespaceId, auth: Option<Box<str>>) -> Option<Rc<Space>> {
        let name = self.shard.namespace_name(id)?;
        for Pattern { matcher, handlers } in &self.patterns {
            let takes = match matcher {
                Matcher::Name(takes) => takes(&name),
                Matcher::Asked(takes) => takes(name.clone(), auth.as_deref()).await,
            };
            if takes {
                // Another client may have been quicker.
                return Some(self.get(id).unwrap_or_else(|| self.begin(id, &name, handlers)));
            }
        }
        None
    }

    fn begin(&self, id: NamespaceId, name: &str, handlers: &Rc<Namespace>) -> Rc<Space> {
        let handlers = Rc::clone(handlers);
        if !handlers.on_room.is_empty() {
            self.shard.watch_rooms(id);
        }
        let space = Rc::new(Space { id, name: name.into(), handlers });
        let mut known = self.known.borrow_mut();
        if known.len() <= id.slot() {
            known.resize_with(id.slot() + 1, || None);
        }
        known[id.slot()] = Some(Rc::clone(&space));
        space
    }
}
