//! A support chat: visitors wait, agents take them, and each visitor talks to one agent.
//!
//! Visitors are actors: whatever two agents do at the same time comes to a visitor one after the other. Agents are
//! plain handlers, which reach the visitors of all cores by their mailboxes. Their token is in `TOKEN`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{collections::HashMap, env, rc::Rc};

use yamabiko::{
    Actor, App, Config, DisconnectReason, Events, Mailbox, Namespace, Receive, Reject, Socket,
};

/// The visitors of the whole node, by their ids.
type Desk = Arc<Mutex<HashMap<String, Mailbox<Visitor>>>>;

fn all(desk: &Desk) -> MutexGuard<'_, HashMap<String, Mailbox<Visitor>>> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Visitor {
    socket: Socket,
    desk: Rc<Desk>,
    name: String,
    agent: Option<String>,
    said: Vec<String>,
}

impl Actor for Visitor {
    type Shared = Desk;

    async fn connect(socket: Socket, desk: Rc<Desk>) -> Result<Self, Reject> {
        let auth: HashMap<String, String> = socket.handshake()?.auth().unwrap_or_default();
        let name = auth.get("name").ok_or("please tell us your name")?.clone();
        Ok(Self { socket, desk, name, agent: None, said: Vec::new() })
    }

    fn events(events: Events<Self>) -> Events<Self> {
        events.on("say", |visitor: &mut Self, text: String| {
            visitor.tell("said", &text);
            visitor.said.truncate(99); // enough to know what it is about
            visitor.said.push(text);
        })
    }

    async fn connected(&mut self) -> Result<(), Reject> {
        let mailbox = self.socket.address().mailbox().ok_or("left already")?;
        all(&self.desk).insert(self.socket.id().into(), mailbox);
        self.tell("waiting", &self.name);
        Ok(())
    }

    async fn disconnected(self, _: DisconnectReason) -> Result<(), Reject> {
        all(&self.desk).remove(self.socket.id());
        self.tell("left", &self.name);
        Ok(())
    }
}

impl Visitor {
    /// Tells the agent who has taken the visitor; as long as nobody has, all of them.
    fn tell(&self, event: &str, text: &str) {
        let Some(agents) = self.socket.core().of("/agents") else { return };
        let meant = self.agent.iter().fold(agents, |agents, id| agents.to(id));
        meant.emit(event, &(self.socket.id(), text)).ok();
    }
}

/// What an agent, known by its id, does with a visitor. The answer is what the visitor has said so far.
enum Deed {
    Talk(String, Option<String>),
    Leave(String),
}

impl Receive<Deed> for Visitor {
    type Answer = Result<Vec<String>, &'static str>;

    async fn receive(&mut self, deed: Deed) -> Self::Answer {
        match deed {
            Deed::Talk(agent, text) => {
                if *self.agent.get_or_insert(agent.clone()) != agent {
                    return Err("another agent was quicker");
                }
                text.map(|text| self.socket.emit("said", &text).ok());
            }
            Deed::Leave(agent) if self.agent.take_if(|it| *it == agent).is_none() => {}
            Deed::Leave(_) => self.tell("waiting", &self.name),
        }
        Ok(self.said.clone())
    }
}

fn agents(desk: Desk) -> Namespace {
    let leaves = desk.clone();
    Namespace::new()
        .guard(async |agent: Socket| {
            let auth: HashMap<String, String> = agent.handshake()?.auth().unwrap_or_default();
            let is_agent = env::var("TOKEN").is_ok_and(|it| auth.get("token") == Some(&it));
            is_agent.then_some(()).ok_or_else(|| Reject::new("agents only"))
        })
        .on("talk", async move |agent: Socket, visitor: String, text: Option<String>| {
            let mailbox = all(&desk).get(&visitor).cloned().ok_or("no such visitor")?;
            Ok::<_, Reject>(mailbox.ask(Deed::Talk(agent.id().into(), text)).await??)
        })
        .on_disconnect(async move |agent: Socket, _| {
            for visitor in all(&leaves).values() {
                visitor.tell(Deed::Leave(agent.id().into())).ok();
            }
        })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let desk = Desk::default();
    Ok(yamabiko::serve(Config::from_args()?, move |_core| {
        App::new()
            .namespace("/visitors", Namespace::new().actor::<Visitor>(desk.clone()))
            .namespace("/agents", agents(desk.clone()))
    })?)
}
