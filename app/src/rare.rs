//! What few sockets have: listeners of their own, events that wait for a middleware, actors, tasks, data for
//! other shards.
//! A socket without any of it holds one empty word.

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use yamabiko_protocol::parser::{Event, KeptEvent};

use crate::actor::Resident;
use crate::handler::Handle;
use crate::socket::Socket;
use crate::task::Tasks;

/// Names one listener of a socket, for [`Socket::off`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

pub(crate) type OnAny = Rc<dyn Fn(&Socket, &Event<'_>)>;

/// What few sockets have.
#[derive(Default)]
pub(crate) struct Rare {
    listeners: RefCell<Listeners>,
    queue: RefCell<VecDeque<KeptEvent>>,
    /// An event waits in a middleware, so that those behind it have to wait too.
    is_held_up: Cell<bool>,
    /// One of each type of actor.
    seats: RefCell<Vec<(TypeId, Rc<dyn Resident>)>>,
    pub(crate) tasks: Tasks,
    /// JSON.
    pub(crate) data: RefCell<Option<Box<str>>>,
}

#[derive(Default)]
struct Listeners {
    next: u64,
    /// The socket has left: nothing is kept any more.
    closed: bool,
    named: Vec<Named>,
    incoming: Vec<(ListenerId, OnAny)>,
    outgoing: Vec<(ListenerId, OnAny)>,
}

struct Named {
    id: ListenerId,
    event: Box<str>,
    once: bool,
    handle: Rc<Handle>,
}

/// The two directions that a listener of everything can listen to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Direction {
    Incoming,
    Outgoing,
}

/// Where a listener of everything is put.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    First,
    Last,
}

/// Listeners.
impl Rare {
    pub(crate) fn listen(&self, event: &str, once: bool, handle: Rc<Handle>) -> ListenerId {
        let mut listeners = self.listeners.borrow_mut();
        let id = listeners.new_id();
        if !listeners.closed {
            listeners.named.push(Named { id, event: event.into(), once, handle });
        }
        id
    }

    pub(crate) fn listen_to_any(
        &self,
        direction: Direction,
        place: Place,
        listener: OnAny,
    ) -> ListenerId {
        let mut listeners = self.listeners.borrow_mut();
        let id = listeners.new_id();
        if !listeners.closed {
            let list = listeners.any(direction);
            let at = match place {
                Place::First => 0,
                Place::Last => list.len(),
            };
            list.insert(at, (id, listener));
        }
        id
    }

    /// Drops one listener of any kind; whether there was one.
    pub(crate) fn off(&self, id: ListenerId) -> bool {
        self.remove(|listeners| {
            let mut gone = Vec::new();
            gone.extend(listeners.named.extract_if(.., |it| it.id == id).map(gone_one));
            for list in [&mut listeners.incoming, &mut listeners.outgoing] {
                gone.extend(list.extract_if(.., |(other, _)| *other == id).map(gone_one));
            }
            gone
        })
    }

    /// Drops all listeners of one event.
    pub(crate) fn off_event(&self, event: &str) -> bool {
        self.remove(|listeners| {
            listeners.named.extract_if(.., |it| &*it.event == event).map(gone_one).collect()
        })
    }

    /// Drops all listeners of everything in one direction.
    pub(crate) fn off_any(&self, direction: Direction) -> bool {
        self.remove(|listeners| listeners.any(direction).drain(..).map(gone_one).collect())
    }

    /// What listeners captured may have something of its own to say when it goes: by then nothing is borrowed.
    fn remove(&self, take: impl FnOnce(&mut Listeners) -> Vec<Gone>) -> bool {
        let gone = take(&mut self.listeners.borrow_mut());
        !gone.is_empty()
    }

    /// Those that listen to this event, in order. Those that listen once are dropped with this.
    pub(crate) fn listeners_of(&self, event: &str) -> Vec<Rc<Handle>> {
        let mut listeners = self.listeners.borrow_mut();
        let mut found = Vec::new();
        listeners.named.retain(|it| {
            let is_meant = &*it.event == event;
            if is_meant {
                found.push(Rc::clone(&it.handle));
            }
            !(is_meant && it.once)
        });
        found
    }

    /// Calls those that listen to everything.
    pub(crate) fn call_any(&self, direction: Direction, socket: &Socket, event: &Event<'_>) {
        let listeners: Vec<OnAny> = {
            let mut all = self.listeners.borrow_mut();
            all.any(direction).iter().map(|(_, listener)| Rc::clone(listener)).collect()
        };
        for listener in listeners {
            listener(socket, event);
        }
    }
}

impl Listeners {
    fn new_id(&mut self) -> ListenerId {
        self.next += 1;
        ListenerId(self.next)
    }

    fn any(&mut self, direction: Direction) -> &mut Vec<(ListenerId, OnAny)> {
        match direction {
            Direction::Incoming => &mut self.incoming,
            Direction::Outgoing => &mut self.outgoing,
        }
    }
}

/// A listener that is to be dropped.
type Gone = Box<dyn Any>;

fn gone_one(listener: impl Any) -> Gone {
    Box::new(listener)
}

/// Events that wait behind one in a middleware.
impl Rare {
    pub(crate) fn is_held_up(&self) -> bool {
        self.is_held_up.get()
    }

    pub(crate) fn hold_up(&self) {
        self.is_held_up.set(true);
    }

    /// Lets an event wait, if fewer than `max` do so.
    pub(crate) fn enqueue(&self, event: &Event<'_>, max: usize) -> bool {
        let mut queue = self.queue.borrow_mut();
        let has_room = queue.len() < max;
        if has_room {
            queue.push_back(event.into());
        }
        has_room
    }

    /// The next event that waits; without one the socket is held up no more.
    pub(crate) fn dequeue(&self) -> Option<KeptEvent> {
        let next = self.queue.borrow_mut().pop_front();
        if next.is_none() {
            self.is_held_up.set(false);
            self.queue.take();
        }
        next
    }
}

/// Actors.
impl Rare {
    pub(crate) fn add_seat(&self, kind: TypeId, seat: Rc<dyn Resident>) {
        self.seats.borrow_mut().push((kind, seat));
    }

    pub(crate) fn seat(&self, kind: TypeId) -> Option<Rc<dyn Resident>> {
        let seats = self.seats.borrow();
        seats.iter().find(|(other, _)| *other == kind).map(|(_, seat)| Rc::clone(seat))
    }
}

impl Rare {
    /// The socket has left: what its listeners captured, often the socket itself, is let go of, and so are
    /// the states of its actors; its tasks end.
    pub(crate) fn close(&self) {
        let closed = Listeners { closed: true, ..Listeners::default() };
        let listeners = self.listeners.replace(closed);
        drop(listeners);
        self.queue.take();
        self.tasks.cancel();
        for (_, seat) in self.seats.take() {
            seat.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use yamabiko_protocol::limits::PacketLimits;
    use yamabiko_protocol::socket::decode;

    fn handle() -> Rc<Handle> {
        Rc::new(Box::new(|_, _| Ok(())))
    }

    fn held(text: &str) -> KeptEvent {
        let packet = decode(text, &PacketLimits::default()).unwrap();
        KeptEvent::from(&Event::from(packet.event(&[]).unwrap()))
    }

    #[test]
    fn listeners_come_and_go_in_order() {
        let rare = Rare::default();
        let [first, second] = [handle(), handle()];
        let id = rare.listen("a", false, Rc::clone(&first));
        rare.listen("a", true, Rc::clone(&second));
        rare.listen("b", false, handle());
        let found = rare.listeners_of("a");
        assert!(
            found.len() == 2 && Rc::ptr_eq(&found[0], &first) && Rc::ptr_eq(&found[1], &second)
        );
        assert_eq!(rare.listeners_of("a").len(), 1, "once is once");
        assert!(rare.off(id) && !rare.off(id));
        assert!(rare.listeners_of("a").is_empty());
        assert!(rare.off_event("b") && !rare.off_event("b"));
    }

    #[test]
    fn a_socket_that_left_keeps_no_listener() {
        let rare = Rare::default();
        let kept = handle();
        rare.listen("a", false, Rc::clone(&kept));
        rare.close();
        rare.listen("a", false, Rc::clone(&kept));
        let id = rare.listen_to_any(Direction::Incoming, Place::First, Rc::new(|_, _| ()));
        assert!(!rare.off(id) && rare.listeners_of("a").is_empty());
        assert_eq!(Rc::strong_count(&kept), 1);
    }

    #[test]
    fn so_many_events_wait_and_no_more() {
        let rare = Rare::default();
        rare.hold_up();
        for (number, has_room) in [(1, true), (2, true), (3, false)] {
            assert_eq!(rare.enqueue(&held(&format!("2[\"{number}\"]")).lend(), 2), has_room);
        }
        assert_eq!(&*rare.dequeue().unwrap().lend().name, "1");
        assert_eq!(&*rare.dequeue().unwrap().lend().name, "2");
        assert!(rare.is_held_up());
        assert!(rare.dequeue().is_none() && !rare.is_held_up());
    }
}
