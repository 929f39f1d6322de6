//! The report's head: the machine, the occasion, the peers, and how to read the rest.

use super::Occasion;
use super::document::{Block, Cell, Column, Grid, Row, Tone};
use super::sections::name;
use crate::contest::Contest;
use crate::cores;
use crate::generator::WARMUP_SECONDS;
use crate::quantity;

/// From this load average on the machine had something else to do.
const UNQUIET: f64 = 0.5;

pub(super) fn blocks(occasion: &Occasion, contest: &Contest) -> Vec<Block> {
    let machine = &occasion.machine;
    let mut facts = Grid::new(vec![Column::text("what"), Column::text("here")]);
    for (what, fact) in [
        ("date", occasion.date.clone()),
        ("command", format!("`{}`", occasion.command)),
        (
            "machine",
            format!(
                "{}, {} cores, {} of memory",
                machine.cpu,
                machine.cores,
                quantity::bytes(machine.memory_bytes as f64)
            ),
        ),
        ("kernel", machine.kernel.clone()),
        ("compiler", machine.rust.clone()),
        ("load average before", load(occasion.load_average)),
        (
            "runs",
            format!(
                "{} rounds, each with every peer once and a fresh server, the order turned by one; {WARMUP_SECONDS} s \
             of warm-up, then {} s measured",
                contest.rounds, contest.seconds
            ),
        ),
        ("cores", placement(contest)),
    ] {
        facts.rows.push(Row::Cells(vec![Cell::plain(what), Cell::plain(fact)]));
    }
    vec![Block::Grid(facts), Block::Grid(peers(contest)), Block::List(reading())]
}

fn load(average: f64) -> String {
    let warning = if average >= UNQUIET { ": the machine was not idle, expect spread" } else { "" };
    format!("{average:.2}{warning}")
}

fn placement(contest: &Contest) -> String {
    let generator = contest.cores.generator();
    let servers = [(1, "servers of one core"), (2, "servers of two")];
    let places = servers.iter().filter_map(|(count, what)| {
        let on = cores::list(contest.cores.server(*count)?);
        let shared = if contest.cores.shared(*count) { ", shared with the generator" } else { "" };
        Some(format!("{what} on {on}{shared}"))
    });
    format!("{}; the generator on {generator}", places.collect::<Vec<_>>().join("; "))
}

fn peers(contest: &Contest) -> Grid {
    let mut grid = Grid::new(vec![
        Column::text("peer"),
        Column::text("what it is"),
        Column::text("version"),
        Column::text("state"),
    ]);
    for entrant in &contest.entrants {
        let state = match &entrant.launch {
            Ok(_) => Cell::plain("available"),
            Err(why) => Cell::new(format!("not available: {why}"), Tone::Bad),
        };
        grid.rows.push(Row::Cells(vec![
            name(entrant),
            Cell::plain(entrant.peer.what),
            Cell::plain(entrant.version.clone()),
            state,
        ]));
    }
    grid
}

fn reading() -> Vec<String> {
    [
        "The main figure is the CPU the server needed: seconds per million messages, and its inverse, messages \
         per server CPU-second. It does not depend on how fast the generator is. CPU is that of all threads of \
         the server and its descendants, user and kernel.",
        "Numbers are medians of the runs that count, with the least and the most in parentheses.",
        "A run in which a message was lost or doubled, or in which there was an error, is void: it is shown with \
         its counts and enters no number.",
        "‡ marks a peer that answered messages in another order than they were sent.",
        "Where the server kept its cores less than 95 % busy, the generator or the scenario was the limit. That \
         bounds the wall rate, not the CPU per message.",
    ]
    .map(str::to_owned)
    .to_vec()
}
