//! What is compared between peers, and the tables that do it across all scenarios.

use super::chart::Steps;
use super::document::{Block, Cell, Column, Grid, Row, Tone};
use super::sections::{name, sharing};
use crate::contest::Contest;
use crate::figures::{Figures, Table};
use crate::peer::OURS;
use crate::quantity;
use crate::scenario::Scenario;
use crate::spread::Spread;
use crate::workshop::Entrant;

/// What is compared: how it is called, how it is found, how it is written, and whether less is better.
pub(super) struct Comparison {
    pub(super) suffix: &'static str,
    pub(super) figure: fn(&Figures) -> Option<Spread>,
    pub(super) unit: fn(f64) -> String,
    pub(super) steps: Steps,
    pub(super) less_is_better: bool,
}

pub(super) const RATE: Comparison = Comparison {
    suffix: "",
    figure: |figures| figures.messages_per_cpu_second,
    unit: quantity::rate,
    steps: Steps::Decimal,
    less_is_better: false,
};
pub(super) const MEMORY: Comparison = Comparison {
    suffix: ", RSS",
    figure: |figures| figures.rss_per_connection,
    unit: quantity::bytes,
    steps: Steps::Binary,
    less_is_better: true,
};
pub(super) const IDLE_CPU: Comparison = Comparison {
    suffix: ", CPU",
    figure: |figures| figures.idle_cpu_us,
    unit: quantity::micros,
    steps: Steps::Decimal,
    less_is_better: true,
};

fn comparisons(scenario: &Scenario) -> &'static [Comparison] {
    if scenario.is_idle() { &[MEMORY, IDLE_CPU] } else { &[RATE] }
}

/// Ours against each of the others.
pub(super) fn ratios(contest: &Contest, table: &Table) -> Vec<Block> {
    let others: Vec<&Entrant> =
        contest.entrants.iter().filter(|entrant| entrant.peer.name != OURS).collect();
    if others.is_empty() || others.len() == contest.entrants.len() {
        return Vec::new();
    }
    let mut head = vec![Column::text("scenario"), Column::number(OURS)];
    head.extend(others.iter().map(|entrant| Column::number(entrant.peer.name)));
    let mut grid = Grid::new(head);
    for scenario in &contest.scenarios {
        for comparison in comparisons(scenario) {
            let ours = table.of(scenario.name, OURS).and_then(comparison.figure);
            let mut cells = vec![
                Cell::plain(format!("{}{}", scenario.name, comparison.suffix)),
                ours.map_or_else(Cell::none, |ours| {
                    Cell::new((comparison.unit)(ours.median), Tone::Ours)
                }),
            ];
            cells
                .extend(others.iter().map(|other| ratio(table, scenario, comparison, ours, other)));
            grid.rows.push(Row::Cells(cells));
        }
    }
    vec![
        Block::Chapter("Yamabiko against each".to_owned()),
        Block::Text(
            "How many times more messages Yamabiko gets out of a CPU-second, and how many times less memory and \
             CPU an idle connection takes. Above 1× Yamabiko is better."
                .to_owned(),
        ),
        Block::Grid(grid),
    ]
}

fn ratio(
    table: &Table,
    scenario: &Scenario,
    comparison: &Comparison,
    ours: Option<Spread>,
    other: &Entrant,
) -> Cell {
    if !scenario.peers.contains(&other.peer.name) {
        return Cell::none();
    }
    let Some(figures) = table.of(scenario.name, other.peer.name) else {
        let state = if other.launch.is_err() { "not available" } else { "not run" };
        return Cell::new(state, Tone::Dim);
    };
    let Some(theirs) = (comparison.figure)(figures) else {
        return Cell::new(if figures.void > 0 { "void" } else { "failed" }, Tone::Bad);
    };
    let Some(ours) = ours else { return Cell::none() };
    let times = match comparison.less_is_better {
        true => theirs.median / ours.median,
        false => ours.median / theirs.median,
    };
    if !times.is_finite() || times < 0.0 {
        return Cell::none();
    }
    let order = if figures.out_of_order > 0 { " ‡" } else { "" };
    let tone = if times >= 1.0 { Tone::Good } else { Tone::Plain };
    Cell::new(format!("{}{order}", quantity::times(times)), tone)
}

/// CPU per message on two cores and on one.
pub(super) fn two_cores(contest: &Contest, table: &Table) -> Vec<Block> {
    let mut grid = Grid::new(vec![
        Column::text("peer"),
        Column::text("scenario"),
        Column::number("CPU per million on one core"),
        Column::number("on two"),
        Column::number("two against one"),
    ]);
    for scenario in &contest.scenarios {
        let Some(one_core) = scenario.on_one_core else { continue };
        for place in contest.taking_part(scenario) {
            let entrant = &contest.entrants[place];
            let cost = |scenario, peer| {
                table.of(scenario, peer).and_then(|figures| figures.cpu_per_million)
            };
            let text = |spread: Option<Spread>| {
                spread
                    .map_or_else(Cell::none, |spread| Cell::plain(quantity::seconds(spread.median)))
            };
            let base = entrant.peer.one_core_peer();
            let base_name = if base == entrant.peer.name { "" } else { " (node)" };
            let mut one = text(cost(one_core, base));
            one.text += base_name;
            let against = table.two_cores_against_one(scenario, entrant.peer.name);
            grid.rows.push(Row::Cells(vec![
                name(entrant),
                Cell::plain(scenario.name),
                one,
                text(cost(scenario.name, entrant.peer.name)),
                against.map_or_else(|_| Cell::none(), |times| Cell::plain(quantity::times(times))),
            ]));
        }
    }
    if grid.rows.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![
        Block::Chapter("Two cores against one".to_owned()),
        Block::Text(
            "What a message costs when the server has two cores, against the same load on one. 1× is perfect \
             scaling. The cluster always has two workers and is held against node. The floor shares no rooms \
             between its threads, so it takes no part in the fan-out."
                .to_owned(),
        ),
    ];
    blocks.extend(sharing(contest, 2).map(Block::Text));
    blocks.push(Block::Grid(grid));
    blocks
}
