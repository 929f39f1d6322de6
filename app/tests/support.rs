//! The support chat of the example `support`, on two cores.

#![allow(clippy::unwrap_used)]

mod harness;

use harness::{Guest, Server};

const AGENT: &str = r#"{"token":"secret"}"#;

fn start() -> Server {
    let variables = [
        ("YAMABIKO_PORT", "0"),
        ("YAMABIKO_SHARDS", "2"),
        ("YAMABIKO_ANNOUNCE", "true"),
        ("TOKEN", "secret"),
    ];
    Server::of("support", 2, &variables)
}

fn agent(server: &Server, core: u8) -> Guest {
    let mut agent = Guest::on(server.address(), core);
    let answer = agent.ask_to_join("/agents", AGENT);
    assert!(answer.starts_with("40/agents,{"), "{answer}");
    agent
}

/// A visitor and its id.
fn visitor(server: &Server, core: u8, name: &str) -> (Guest, String) {
    let mut visitor = Guest::on(server.address(), core);
    let answer = visitor.ask_to_join("/visitors", &format!(r#"{{"name":"{name}"}}"#));
    let id = answer.strip_prefix(r#"40/visitors,{"sid":""#).unwrap().get(..20).unwrap();
    (visitor, id.into())
}

fn hears(agent: &mut Guest, event: &str, id: &str, text: &str) {
    assert_eq!(agent.packet(), format!(r#"42/agents,["{event}","{id}","{text}"]"#));
}

fn talk(agent: &mut Guest, id: &str, text: &str) -> String {
    agent.ask("/agents", &format!(r#"["talk","{id}"{text}]"#))
}

#[test]
fn visitors_are_helped_by_one_agent_each() {
    let server = start();
    let mut agents = [agent(&server, 0), agent(&server, 1)];
    for core in 0..2 {
        let (mut visitor, id) = visitor(&server, core, "Ada");
        visitor.ask("/visitors", r#"["say","hello"]"#);
        for agent in &mut agents {
            hears(agent, "waiting", &id, "Ada");
            hears(agent, "said", &id, "hello");
        }
        let [first, second] = &mut agents;
        assert_eq!(talk(first, &id, ""), r#"[["hello"]]"#);
        assert_eq!(talk(second, &id, r#","me too""#), r#"[{"error":"another agent was quicker"}]"#);
        assert_eq!(talk(first, &id, r#","how can I help?""#), r#"[["hello"]]"#);
        assert_eq!(visitor.packet(), r#"42/visitors,["said","how can I help?"]"#);
        visitor.ask("/visitors", r#"["say","it is broken"]"#);
        hears(first, "said", &id, "it is broken");
        drop(visitor);
        hears(first, "left", &id, "Ada");
        assert_eq!(talk(first, &id, ""), r#"[{"error":"no such visitor"}]"#);
    }
    // The second one has heard nothing of what was said to the first.
    assert_eq!(talk(&mut agents[1], "nobody", ""), r#"[{"error":"no such visitor"}]"#);
    drop(agents);
    server.stop();
}

#[test]
fn only_one_of_many_agents_gets_a_visitor() {
    let server = start();
    let mut agents: Vec<Guest> = (0..12).map(|number| agent(&server, number % 2)).collect();
    let (_visitor, id) = visitor(&server, 0, "Grace");
    let asked: Vec<String> = agents
        .iter_mut()
        .map(|agent| {
            hears(agent, "waiting", &id, "Grace");
            agent.emit_for_ack("/agents", &format!(r#"["talk","{id}"]"#))
        })
        .collect();
    let answers = agents
        .iter_mut()
        .zip(&asked)
        .map(|(agent, start)| agent.packet().strip_prefix(start).expect("an answer").to_owned());
    assert_eq!(answers.filter(|answer| answer == "[]]").count(), 1);
    drop((agents, _visitor));
    server.stop();
}

#[test]
fn a_visitor_waits_again_when_its_agent_has_gone() {
    let server = start();
    let (mut first, mut second) = (agent(&server, 0), agent(&server, 1));
    let (visitor, id) = visitor(&server, 1, "Alan");
    hears(&mut second, "waiting", &id, "Alan");
    assert_eq!(talk(&mut first, &id, ""), "[[]]");
    drop(first);
    hears(&mut second, "waiting", &id, "Alan");
    assert_eq!(talk(&mut second, &id, ""), "[[]]");
    drop((visitor, second));
    server.stop();
}

#[test]
fn who_has_no_name_or_no_token_is_refused() {
    let server = start();
    let mut guest = Guest::open(server.address());
    let no_name = r#"44/visitors,{"message":"please tell us your name"}"#;
    assert_eq!(guest.ask_to_join("/visitors", ""), no_name);
    let no_agent = r#"44/agents,{"message":"agents only"}"#;
    assert_eq!(guest.ask_to_join("/agents", r#"{"token":"guessed"}"#), no_agent);
    assert_eq!(guest.ask_to_join("/agents", ""), no_agent);
    drop(guest);
    server.stop();
}
