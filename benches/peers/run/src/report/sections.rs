//! The report from top to bottom, and what its parts have in common.

use super::document::{Block, Cell, Column, Grid, Row, Tone};
use super::{Occasion, comparison, detail, head};
use crate::contest::Contest;
use crate::figures::Table;
use crate::peer::OURS;
use crate::scenario::Scenario;
use crate::target::{Standing, Verdict};
use crate::workshop::Entrant;

/// The whole report.
pub(crate) fn document(occasion: &Occasion, contest: &Contest, table: &Table) -> Vec<Block> {
    let mut document = vec![Block::Title("Yamabiko and its peers, side by side".to_owned())];
    document.extend(head::blocks(occasion, contest));
    document.extend(targets(contest, table));
    document.extend(comparison::ratios(contest, table));
    document.extend(comparison::two_cores(contest, table));
    document.push(Block::Chapter("Scenarios".to_owned()));
    for scenario in &contest.scenarios {
        document.extend(detail::blocks(contest, table, scenario));
    }
    document
}

/// How each target of the scenarios that were asked for stands.
pub(crate) fn standings(contest: &Contest, table: &Table) -> Vec<Standing> {
    let targets = |scenario: &&'static Scenario| {
        let scenario: &'static Scenario = scenario;
        scenario.targets.iter().map(move |target| target.stand(scenario, table))
    };
    contest.scenarios.iter().flat_map(targets).collect()
}

fn targets(contest: &Contest, table: &Table) -> Vec<Block> {
    let mut grid = Grid::new(vec![
        Column::text("scenario"),
        Column::text("what"),
        Column::number("target"),
        Column::number("measured"),
        Column::text("verdict"),
    ]);
    for standing in standings(contest, table) {
        let (verdict, tone) = match standing.verdict {
            Verdict::Met => ("met".to_owned(), Tone::Good),
            Verdict::Missed(None) => ("missed".to_owned(), Tone::Bad),
            Verdict::Missed(Some(why)) => (format!("missed: {why}"), Tone::Bad),
            Verdict::Unmeasured(why) => (format!("not measured: {why}"), Tone::Dim),
        };
        grid.rows.push(Row::Cells(vec![
            Cell::plain(standing.scenario),
            Cell::plain(standing.what),
            Cell::plain(standing.bound),
            standing.measured.map_or_else(Cell::none, Cell::plain),
            Cell::new(verdict, tone),
        ]));
    }
    match grid.rows.is_empty() {
        true => Vec::new(),
        false => vec![Block::Chapter("Targets of Yamabiko".to_owned()), Block::Grid(grid)],
    }
}

/// What to think of runs in which the generator has no core of its own.
pub(super) fn sharing(contest: &Contest, count: usize) -> Option<String> {
    contest.cores.shared(count).then(|| {
        format!(
            "The generator shared core {} with the server: it was the limit of wall rate, latency and use, and by \
             driving the server's data out of the cache it makes a message a little dearer.",
            contest.cores.generator()
        )
    })
}

/// A peer's name, ours in its own colour.
pub(super) fn name(entrant: &Entrant) -> Cell {
    let tone = if entrant.peer.name == OURS { Tone::Ours } else { Tone::Plain };
    Cell::new(entrant.peer.name, tone)
}
