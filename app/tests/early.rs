//! Events that come while a guard decides: they wait, and keep their order with those that come later.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::cell::RefCell;
use std::time::Duration;

use harness::{Guest, Inside};
use yamabiko::{App, Config, Namespace, Reject, Socket};

/// Clients, one after the other; and events of each, which take longer to send than its guard to decide.
const CLIENTS: usize = 60;
const EVENTS: usize = 1_500;

#[test]
fn what_came_early_comes_before_what_came_later() {
    let mut config = Config::default();
    config.settings.shards = Some(1);
    config.settings.limits.early_events_max = EVENTS;
    let server = Inside::serve(config, |_core| {
        let numbers = Namespace::new()
            .guard(async |socket: Socket| -> Result<_, Reject> {
                socket.sleep(Duration::from_millis(2)).await;
                Ok(RefCell::new(Vec::<usize>::new()))
            })
            .on("number", |socket: Socket, number: usize| {
                socket.get::<RefCell<Vec<usize>>>().unwrap().borrow_mut().push(number);
            })
            .on("numbers", |socket: Socket| socket.get::<RefCell<Vec<usize>>>().unwrap().take());
        App::new().namespace("/", numbers)
    });
    for _ in 0..CLIENTS {
        let mut guest = Guest::open(server.address());
        guest.send("40");
        for number in 0..EVENTS {
            guest.emit("/", &format!(r#"["number",{number}]"#));
        }
        assert!(guest.packet().starts_with("40{"));
        let numbers: Vec<Vec<usize>> =
            serde_json::from_str(&guest.ask("/", r#"["numbers"]"#)).unwrap();
        let late = numbers[0].windows(2).find(|pair| pair[1] != pair[0] + 1);
        assert_eq!((numbers[0].len(), late), (EVENTS, None));
    }
}
