//! One scenario: its chart and its table.

use super::chart::{Bar, Chart};
use super::comparison::{Comparison, IDLE_CPU, MEMORY, RATE};
use super::document::{Block, Cell, Column, Grid, Row, Tone};
use super::sections::{name, sharing};
use crate::contest::Contest;
use crate::figures::{Figures, Table};
use crate::peer::OURS;
use crate::quantity;
use crate::scenario::Scenario;
use crate::spread::Spread;
use crate::target::Measure;
use crate::workshop::Entrant;

/// Below this share of its cores the server was not the limit of what was measured.
const BUSY: f64 = 0.95;

pub(super) fn blocks(contest: &Contest, table: &Table, scenario: &'static Scenario) -> Vec<Block> {
    let mut blocks = vec![
        Block::Section(scenario.name.to_owned()),
        Block::Text(format!(
            "{}. Generator: `{} --connections {} --outstanding {} --payload {} --rooms {} --seconds {}`.",
            capital(scenario.what),
            scenario.load.word(),
            scenario.connections,
            scenario.outstanding,
            scenario.payload,
            scenario.rooms,
            scenario.seconds(contest.seconds)
        )),
    ];
    if let Some(why) = contest.impossible.get(scenario.name) {
        blocks.push(Block::Text(format!("Not run on this machine: {why}.")));
        return blocks;
    }
    blocks.extend(sharing(contest, scenario.cores).map(Block::Text));
    blocks.extend(charts(contest, table, scenario).into_iter().map(Block::Chart));
    blocks.push(Block::Grid(figures(contest, table, scenario)));
    blocks
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn charts(contest: &Contest, table: &Table, scenario: &'static Scenario) -> Vec<Chart> {
    let target = |measure| {
        scenario.targets.iter().find(|target| target.measure == measure).map(|target| target.bound)
    };
    let chart = |comparison: &Comparison, title: String, measure| Chart {
        title,
        unit: comparison.unit,
        steps: comparison.steps,
        bars: bars(contest, table, scenario, comparison),
        target: target(measure),
    };
    if scenario.is_idle() {
        return vec![
            chart(&MEMORY, "RSS per idle connection, less is better".to_owned(), Measure::Memory),
            chart(
                &IDLE_CPU,
                "CPU per idle connection and second, less is better".to_owned(),
                Measure::IdleCpu,
            ),
        ];
    }
    let title = format!("{} per server CPU-second, more is better", capital(scenario.load.unit()));
    vec![chart(&RATE, title, Measure::Rate)]
}

fn bars(
    contest: &Contest,
    table: &Table,
    scenario: &'static Scenario,
    comparison: &Comparison,
) -> Vec<Bar> {
    let bar = |place: usize| {
        let entrant = &contest.entrants[place];
        let figures = table.of(scenario.name, entrant.peer.name);
        let value = figures.and_then(comparison.figure).ok_or_else(|| {
            let state = absence(entrant, figures);
            // The table below has the reason.
            state.split(": ").next().unwrap_or_default().to_owned()
        });
        let disordered = figures.is_some_and(|figures| figures.out_of_order > 0);
        let order = if disordered { " ‡" } else { "" };
        Bar {
            label: format!("{}{order}", entrant.peer.name),
            ours: entrant.peer.name == OURS,
            value,
        }
    };
    contest.taking_part(scenario).into_iter().map(bar).collect()
}

/// Why a peer has no figure in a scenario.
fn absence(entrant: &Entrant, figures: Option<&Figures>) -> String {
    match (figures, &entrant.launch) {
        (Some(figures), _) => figures.absence(),
        (None, Err(why)) => format!("not available: {why}"),
        (None, Ok(_)) => "not run".to_owned(),
    }
}

fn figures(contest: &Contest, table: &Table, scenario: &'static Scenario) -> Grid {
    let titles: &[&str] = match scenario.is_idle() {
        true => &["RSS per connection", "CPU per connection and second"],
        false => &["CPU per million", "per CPU-second", "wall rate", "p50", "p99"],
    };
    let mut head = vec![Column::text("peer")];
    head.extend(titles.iter().map(|title| Column::number(title)));
    head.extend([Column::number("server"), Column::number("generator"), Column::text("remarks")]);
    let mut grid = Grid::new(head);
    for place in contest.taking_part(scenario) {
        let entrant = &contest.entrants[place];
        let row = match table.of(scenario.name, entrant.peer.name) {
            Some(figures) if figures.valid > 0 => Row::Cells(cells(scenario, entrant, figures)),
            figures => {
                let tone = if figures.is_some() { Tone::Bad } else { Tone::Dim };
                Row::Remark(name(entrant), Cell::new(absence(entrant, figures), tone))
            }
        };
        grid.rows.push(row);
    }
    grid
}

fn cells(scenario: &Scenario, entrant: &Entrant, figures: &Figures) -> Vec<Cell> {
    let tone = name(entrant).tone;
    let cell = |spread: Option<Spread>, unit: fn(f64) -> String| {
        spread.map_or_else(Cell::none, |spread| Cell::new(with_range(&spread, unit), tone))
    };
    let median = |spread: Option<Spread>, unit: fn(f64) -> String| {
        spread.map_or_else(Cell::none, |spread| Cell::plain(unit(spread.median)))
    };
    let mut cells = vec![name(entrant)];
    if scenario.is_idle() {
        cells.push(cell(figures.rss_per_connection, quantity::bytes));
        cells.push(cell(figures.idle_cpu_us, quantity::micros));
    } else {
        cells.push(cell(figures.cpu_per_million, quantity::seconds));
        cells.push(cell(figures.messages_per_cpu_second, quantity::rate));
        cells.push(median(figures.wall_rate, |rate| format!("{}/s", quantity::rate(rate))));
        cells.push(median(figures.p50_us, quantity::micros));
        cells.push(median(figures.p99_us, quantity::micros));
    }
    cells.push(median(figures.server_use, quantity::percent));
    cells.push(median(figures.generator_use, quantity::percent));
    cells.push(Cell::plain(remarks(scenario, figures)));
    cells
}

fn with_range(spread: &Spread, unit: fn(f64) -> String) -> String {
    let (median, min, max) = (unit(spread.median), unit(spread.min), unit(spread.max));
    if spread.count == 1 {
        return median;
    }
    format!("{median} ({min}–{max})")
}

fn remarks(scenario: &Scenario, figures: &Figures) -> String {
    let mut remarks = Vec::new();
    if figures.out_of_order > 0 {
        remarks.push(format!("‡ {} out of order", figures.out_of_order));
    }
    let busy = figures.server_use.is_none_or(|server_use| server_use.median >= BUSY);
    if !scenario.is_idle() && !busy {
        remarks.push("the server was not the limit".to_owned());
    }
    if figures.void + figures.failed > 0 {
        remarks.push(figures.faults());
    }
    remarks.join("; ")
}
