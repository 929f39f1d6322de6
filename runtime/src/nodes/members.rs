//! Who is there. Time is an argument.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use hmac::Hmac;
use sha2::Sha256;

use super::announcement::{Announcement, Occasion};
use super::roll::{NodeInfo, Roll};

/// A node announces itself this often.
const BEAT_MS: u64 = 1_000;
/// One that has not been heard for so long is gone.
const PATIENCE_MS: u64 = 4_500;
/// The same while Redis is away, and nobody can be heard: nodes may still reach each other.
const PATIENCE_CUT_OFF_MS: u64 = 10 * 60_000;
/// More than any cluster has; whoever writes to Redis could make up as many as they like.
const MEMBERS_MAX: usize = 1024;

/// What this node says of itself.
pub(crate) struct Myself {
    pub(crate) uid: Box<str>,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) url: Option<Box<str>>,
    pub(crate) weight: u32,
    pub(crate) secret: Option<Hmac<Sha256>>,
}

/// All nodes that were heard of, and this one.
pub(crate) struct Members {
    myself: Myself,
    roll: Arc<Roll>,
    others: HashMap<Box<str>, Member>,
    /// When this node began.
    since_ms: u64,
    /// Since when Redis is away.
    cut_off_ms: Option<u64>,
    /// When to announce it next, and why.
    due: (u64, Occasion),
    /// Clients that this node has.
    clients: u64,
}

struct Member {
    said: Announcement,
    heard_ms: u64,
}

impl Members {
    pub(crate) fn new(myself: Myself, roll: Arc<Roll>, now_ms: u64) -> Self {
        let others = HashMap::new();
        let due = (now_ms, Occasion::Hello);
        let members = Self {
            myself,
            roll,
            others,
            since_ms: now_ms,
            cut_off_ms: Some(now_ms),
            due,
            clients: 0,
        };
        members.call_roll(now_ms);
        members
    }

    /// What this node is to say now, if anything. `clients` is how many it has.
    pub(crate) fn next_words(&mut self, now_ms: u64, clients: u64) -> Option<Vec<u8>> {
        let (at_ms, occasion) = self.due;
        if now_ms < at_ms || self.cut_off_ms.is_some() {
            return None;
        }
        self.due = (now_ms + BEAT_MS, Occasion::Here);
        self.clients = clients;
        self.call_roll(now_ms);
        Some(self.words(now_ms, clients, occasion))
    }

    /// What it says when it leaves.
    pub(crate) fn farewell(&self, now_ms: u64) -> Vec<u8> {
        self.words(now_ms, 0, Occasion::Bye)
    }

    fn words(&self, now_ms: u64, clients: u64, occasion: Occasion) -> Vec<u8> {
        let Myself { uid, address, url, weight, secret } = &self.myself;
        let announcement = Announcement {
            occasion,
            uid: uid.clone(),
            slot: self.roll.own(),
            age_ms: now_ms - self.since_ms,
            address: *address,
            url: url.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            clients,
            weight: *weight,
            is_draining: self.roll.is_draining(),
        };
        announcement.encode(secret.as_ref())
    }

    /// Redis is there.
    pub(crate) fn up(&mut self, now_ms: u64) {
        self.cut_off_ms = None;
        self.due = (now_ms, Occasion::Hello);
        // Nobody could be heard meanwhile.
        for member in self.others.values_mut() {
            member.heard_ms = now_ms;
        }
    }

    /// Redis is away.
    pub(crate) fn down(&mut self, now_ms: u64) {
        self.cut_off_ms = Some(now_ms);
    }

    /// Somebody has announced something.
    pub(crate) fn hear(&mut self, now_ms: u64, message: &[u8]) -> Result<(), &'static str> {
        let said = Announcement::decode(message, self.myself.secret.as_ref())?;
        if said.uid == self.myself.uid {
            return Ok(());
        }
        if said.occasion == Occasion::Bye {
            self.others.remove(&said.uid);
            self.call_roll(now_ms);
            return Ok(());
        }
        if said.occasion == Occasion::Hello {
            self.due.0 = now_ms;
        }
        if said.slot == self.roll.own() {
            self.settle(now_ms, &said);
        }
        if let Some(holder) = self.others.values().find(|other| other.said.slot == said.slot)
            && holder.said.uid != said.uid
            && holder.age_ms(now_ms) >= said.age_ms
        {
            return Err("its slot is another node's");
        }
        if self.others.len() >= MEMBERS_MAX && !self.others.contains_key(&said.uid) {
            return Err("there are too many nodes");
        }
        self.others.retain(|uid, other| other.said.slot != said.slot || *uid == said.uid);
        self.others.insert(said.uid.clone(), Member { said, heard_ms: now_ms });
        self.call_roll(now_ms);
        Ok(())
    }

    /// Forgets who was not heard for too long.
    pub(crate) fn look(&mut self, now_ms: u64) {
        let patience_ms = match self.cut_off_ms {
            Some(_) => PATIENCE_CUT_OFF_MS,
            None => PATIENCE_MS,
        };
        let before = self.others.len();
        self.others.retain(|uid, other| {
            let is_there = other.heard_ms + patience_ms > now_ms;
            if !is_there {
                tracing::warn!(node = &**uid, "a node of the cluster is gone");
            }
            is_there
        });
        if self.others.len() != before {
            self.call_roll(now_ms);
        }
    }

    /// Another node has the slot of this one: who came later takes another.
    fn settle(&mut self, now_ms: u64, said: &Announcement) {
        let ours = (now_ms - self.since_ms, &self.myself.uid);
        if ours > (said.age_ms, &said.uid) {
            // It yields as soon as it hears that.
            self.due.0 = now_ms;
            return;
        }
        let taken = |slot: u16| {
            slot == 0 || slot == said.slot || self.others.values().any(|it| it.said.slot == slot)
        };
        // There are 65,535 of them, and few are taken.
        if let Some(slot) =
            std::iter::repeat_with(random_slot).take(1000).find(|slot| !taken(*slot))
        {
            tracing::info!(slot, "another node has the number of this one, which takes another");
            self.roll.move_to(slot);
            self.due.0 = now_ms;
        }
    }

    fn call_roll(&self, now_ms: u64) {
        let others = self.others.values().map(|it| NodeInfo {
            uid: it.said.uid.to_string(),
            slot: it.said.slot,
            address: it.said.address,
            url: it.said.url.as_deref().map(str::to_owned),
            version: it.said.version.to_string(),
            clients: it.said.clients,
            weight: it.said.weight,
            is_draining: it.said.is_draining,
            is_self: false,
            silent_ms: now_ms - it.heard_ms,
        });
        let Myself { uid, address, url, weight, .. } = &self.myself;
        let own = NodeInfo {
            uid: uid.to_string(),
            slot: self.roll.own(),
            address: *address,
            url: url.as_deref().map(str::to_owned),
            version: env!("CARGO_PKG_VERSION").into(),
            clients: self.clients,
            weight: *weight,
            is_draining: self.roll.is_draining(),
            is_self: true,
            silent_ms: 0,
        };
        self.roll.call(std::iter::once(own).chain(others).collect());
    }
}

impl Member {
    fn age_ms(&self, now_ms: u64) -> u64 {
        self.said.age_ms + (now_ms - self.heard_ms)
    }
}

/// Any but 0, which is that of nodes without a cluster.
pub(crate) fn random_slot() -> u16 {
    let mut random = [0; 2];
    // Without random numbers there are no ids either.
    let _ = getrandom::fill(&mut random);
    u16::from_ne_bytes(random).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::announcement::tests::of;
    use super::super::roll::Whose;
    use super::*;

    fn members(uid: &str, slot: u16) -> (Members, Arc<Roll>) {
        let roll = Arc::new(Roll::of(slot, &[]));
        let myself = Myself {
            uid: uid.into(),
            address: Some(([10, 0, 0, 1], 3001).into()),
            url: None,
            weight: 1,
            secret: None,
        };
        let mut members = Members::new(myself, Arc::clone(&roll), 0);
        members.up(0);
        (members, roll)
    }

    fn hear(members: &mut Members, now_ms: u64, said: &Announcement) -> Result<(), &'static str> {
        members.hear(now_ms, &said.encode(None))
    }

    #[test]
    fn who_is_not_heard_is_forgotten() {
        let (mut members, roll) = members("me", 1);
        hear(&mut members, 100, &of("a", 7, 0)).unwrap();
        assert!(matches!(roll.whose(7), Whose::Peer(_)));
        members.look(4_000);
        assert!(matches!(roll.whose(7), Whose::Peer(_)));
        members.look(4_600);
        assert_eq!(roll.whose(7), Whose::Nobody);
        // Its own clock does not matter, only that it is heard.
        hear(&mut members, 5_000, &of("a", 7, u64::MAX / 2)).unwrap();
        assert!(matches!(roll.whose(7), Whose::Peer(_)));
        let bye = Announcement { occasion: Occasion::Bye, ..of("a", 7, 9) };
        hear(&mut members, 5_001, &bye).unwrap();
        assert_eq!(roll.whose(7), Whose::Nobody);
    }

    #[test]
    fn without_redis_everybody_stays_for_a_while() {
        let (mut members, roll) = members("me", 1);
        hear(&mut members, 0, &of("a", 7, 0)).unwrap();
        members.down(1_000);
        assert_eq!(members.next_words(2_000, 0), None);
        members.look(60_000);
        assert!(matches!(roll.whose(7), Whose::Peer(_)));
        members.up(61_000);
        assert!(members.next_words(61_000, 0).is_some());
        members.look(62_000);
        assert!(matches!(roll.whose(7), Whose::Peer(_)));
        members.look(66_000);
        assert_eq!(roll.whose(7), Whose::Nobody);
    }

    #[test]
    fn of_two_with_one_slot_the_later_takes_another() {
        let (mut early, early_roll) = members("early", 7);
        let (mut late, late_roll) = members("late", 7);
        // The late one began 10 s later; both clocks say what they say.
        let words = late.next_words(0, 0).unwrap();
        early.hear(10_000, &words).unwrap();
        assert_eq!(early_roll.own(), 7);
        let words = early.next_words(10_000, 0).expect("it answers at once");
        late.hear(5, &words).unwrap();
        let moved = late_roll.own();
        assert_ne!(moved, 7);
        assert!(matches!(late_roll.whose(7), Whose::Peer(_)), "it is the other's from now on");
        let words = late.next_words(5, 0).expect("it says so at once");
        early.hear(10_001, &words).unwrap();
        assert!(matches!(early_roll.whose(moved), Whose::Peer(_)));
        assert_eq!(early_roll.whose(7), Whose::Ours);
    }

    #[test]
    fn nobody_takes_a_slot_that_somebody_has() {
        let (mut members, roll) = members("me", 1);
        hear(&mut members, 0, &of("a", 7, 5_000)).unwrap();
        assert_eq!(hear(&mut members, 10, &of("b", 7, 10)), Err("its slot is another node's"));
        // Who was there before has it; the other will take another one.
        hear(&mut members, 20, &of("c", 7, 90_000)).unwrap();
        assert_eq!(roll.nodes().iter().filter(|node| !node.is_self).count(), 1);
    }

    #[test]
    fn there_are_not_more_than_there_may_be() {
        let (mut members, roll) = members("me", 1);
        for slot in 0..2_000_u16 {
            let _ = hear(&mut members, 0, &of(&format!("n{slot}"), slot + 2, 0));
        }
        assert_eq!(roll.nodes().len(), MEMBERS_MAX + 1);
    }
}
